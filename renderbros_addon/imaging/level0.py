"""Level 0 of verification: what every result must be, whoever rendered it. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

from ..protocol.jobs import SceneSpec
from ..protocol.regions import Region
from ..protocol.results import Container, Output
from .channels import combined_layers, picture_of

CONTAINERS_OF_FORMATS: dict[str, Container] = {
    "PNG": "png",
    "JPEG": "jpeg",
    "OPEN_EXR": "openexr",
    "OPEN_EXR_MULTILAYER": "openexr",
    "TIFF": "tiff",
    "WEBP": "webp",
    "BMP": "bmp",
    "TARGA": "targa",
    "TARGA_RAW": "targa",
    "JPEG2000": "jpeg2000",
    "HDR": "hdr",
    "DPX": "dpx",
    "CINEON": "cineon",
    "IRIS": "sgi",
}
"""What a file of each of Blender's still formats is. A format that is not here can't be rendered on a farm."""


def level0_problems(output: Output, spec: SceneSpec, region: Region, linear: bool) -> tuple[str, ...]:
    """What is wrong with ``output`` as the result of a task, a sentence each; empty if it passes.

    ``region`` is the task's region of the output frame; ``linear`` says that the task asked for a multilayer EXR of
    floats instead of the job's format. That the file decodes and that its values are finite was settled when
    ``output`` was made. A blank image is not judged here: a black frame may be what the scene shows.
    """
    problems: list[str] = []
    if (output.width, output.height) != (region.width, region.height):
        problems.append(
            f"the image is {output.width}x{output.height} pixels, not {region.width}x{region.height} as asked for"
        )
    if linear:
        problems += _linear_problems(output, spec)
        return tuple(problems)
    wanted = CONTAINERS_OF_FORMATS.get(spec.format)
    if wanted is None:
        problems.append(f"no image has the format {spec.format}")
    elif output.container != wanted:
        problems.append(f"the image is {output.container}, not {wanted} as the format {spec.format} asks for")
    if spec.format == "OPEN_EXR_MULTILAYER":
        problems += _layer_problems(output, spec)
    elif len(picture_of(output.channels).colour) == 1 and not _is_grey(output.channels):
        problems.append(f"the image has no colour channels, only {_listed(output.channels)}")
    return tuple(problems)


CONTAINERS_OF_EXTENSIONS: dict[str, Container] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".exr": "openexr",
    ".tif": "tiff",
    ".webp": "webp",
    ".bmp": "bmp",
    ".tga": "targa",
    ".jp2": "jpeg2000",
    ".j2c": "jpeg2000",
    ".hdr": "hdr",
    ".dpx": "dpx",
    ".cin": "cineon",
    ".rgb": "sgi",
}
"""What a file is by the ending that Blender gives it."""


def extra_problems(output: Output, name: str) -> tuple[str, ...]:
    """What is wrong with ``output`` as a file called ``name`` beside a frame's picture, a sentence each."""
    wanted = CONTAINERS_OF_EXTENSIONS.get(PurePosixPath(name).suffix.lower())
    if wanted is None:
        return ("its name is not that of an image",)
    return () if output.container == wanted else (f"the image is {output.container}, not {wanted} as its name says",)


def _linear_problems(output: Output, spec: SceneSpec) -> list[str]:
    if output.container != "openexr":
        return [f"the image is {output.container}, not openexr as tiles and frames to be finished must be"]
    problems = _layer_problems(output, spec)
    if not problems and output.pixel_type != "float":
        problems.append(f"the Combined pass is stored as {output.pixel_type or 'a mix of types'}, not as float")
    return problems


def _layer_problems(output: Output, spec: SceneSpec) -> list[str]:
    layers = combined_layers(output.channels)
    if not layers:
        return [f"the image has no RGBA Combined pass, only {_listed(output.channels)}"]
    # With stereo, a layer appears once for each view, as LAYER.VIEW.
    return [
        f"the image has no Combined pass of the view layer {wanted!r}, only of {_listed(tuple(layers))}"
        for wanted in spec.settings.view_layers or ()
        if wanted not in layers and not any(layer.startswith(f"{wanted}.") for layer in layers)
    ]


def _is_grey(channels: tuple[str, ...]) -> bool:
    return any(name.rpartition(".")[2] in ("Y", "V") for name in channels)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
