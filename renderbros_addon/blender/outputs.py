"""The files that a frame comes to: the picture, a stereo frame's other views, what File Output nodes write.

A scene says where its files go, and may say anything. So Blender is made to write them under names of ours into a
folder of ours, and from there they get the names that the scene meant, as far as every platform can hold them.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..protocol.base import checked_name
from ..protocol.frames import frame_file_name
from ..protocol.jobs import MAX_EXTRAS, name_key
from ..protocol.renderer import RenderedExtra
from ..protocol.states import FailureCode
from .compositing import every_file_output, nodes_in_use
from .failures import scene_fault, worker_fault
from .versions import expand_names, file_output_folder, file_output_slots, redirect_file_output

PICTURE = "frame"
"""What Blender is told to call the picture itself."""

_EXTRAS = "extras"
_EXTENSIONS = {
    "BMP": ".bmp", "IRIS": ".rgb", "PNG": ".png", "JPEG": ".jpg", "JPEG2000": ".jp2", "TARGA": ".tga",
    "TARGA_RAW": ".tga", "CINEON": ".cin", "DPX": ".dpx", "OPEN_EXR": ".exr", "OPEN_EXR_MULTILAYER": ".exr",
    "HDR": ".hdr", "TIFF": ".tif", "WEBP": ".webp",
}  # fmt: skip
"""What Blender appends to a name, by its names for formats (``BKE_image_path_ext_from_imformat`` in its sources)."""


_ENDINGS = tuple(_EXTENSIONS.values())

_LONGEST_PART = 100
"""Bytes that are kept of a folder's or a file's name."""

_MOST_FOLDERS = 8
"""Folders that are kept of a path, the last ones."""


@dataclass(frozen=True)
class Extra:
    """A file beside the picture."""

    written: str
    """Template of its path below the task's folder, as we have Blender write it."""
    name: str
    """Template of its name for people; see ``JobSpec.extras``."""


def views_of(scene: Any) -> list[Any]:
    """The views that a frame is rendered from; one nameless view is meant by none."""
    render = scene.render
    if not render.use_multiview:
        return []
    views = render.stereo_views if render.views_format == "STEREO_3D" else render.views
    return [view for view in views if view.use]


def suffixes(scene: Any, image_settings: Any) -> list[str]:
    """What the names of the files of one picture end in: a suffix for each view, where each has a file of its own."""
    own = views_of(scene) if image_settings.views_format == "INDIVIDUAL" else []
    return [_safe_suffix(view) for view in own] or [""]


def _safe_suffix(view: Any) -> str:
    return _safe(view.file_suffix).replace("#", "_")


def extras_of(scene: Any, picture_template: str) -> list[Extra]:
    """What a frame of ``scene`` may come to beside its picture, whose name is ``picture_template``.

    A File Output node's file goes below the picture's folder as it does in the scene, or else into a folder named like
    the last one of its path. CannotServe (``unknown_format``, ``bad_setting``) for what can't be brought back.
    """
    found = list(_other_views(scene, picture_template))
    taken = {name_key(picture_template), *(name_key(extra.name) for extra in found)}
    home = _slashed(scene.render.filepath).rpartition("/")[0]
    for number, node in enumerate(_file_outputs(scene)):
        folder = _folder_name(expand_names(file_output_folder(node), scene, node), home)
        for i, slot in enumerate(file_output_slots(node)):
            extension = _EXTENSIONS.get(slot.format.file_format)
            if extension == ".jp2" and slot.format.jpeg2k_codec == "J2K":
                extension = ".j2c"
            if extension is None:
                raise scene_fault(
                    FailureCode.UNKNOWN_FORMAT,
                    f'The File Output node "{node.name}" writes {slot.format.file_format}, which the farm does not '
                    "bring back: choose another format, or mute the node.",
                )
            for suffix in suffixes(scene, slot.format):
                name = _template([*folder, *_parts(expand_names(slot.name, scene, node))], f"{suffix}{extension}")
                name = _unlike(taken, name, _safe(node.name) or "output")
                taken.add(name_key(name))
                found.append(Extra(f"{_EXTRAS}/{number}/slot{i}_####{suffix}{extension}", name))
    if len(found) > MAX_EXTRAS:
        raise scene_fault(
            FailureCode.BAD_SETTING,
            f"The compositor writes {len(found)} files for each frame, and a job may have {MAX_EXTRAS}: mute some of "
            "its File Output nodes, or write several passes into one multilayer file.",
        )
    return found


def with_suffix(scene: Any, name: str, suffix: str) -> str:
    """``name`` of a picture of ``scene`` with a view's suffix where Blender puts it: before the format's extension."""
    extension = scene.render.file_extension
    return f"{name.removesuffix(extension)}{suffix}{extension if name.endswith(extension) else ''}"


def _other_views(scene: Any, picture_template: str) -> Iterator[Extra]:
    first, *others = suffixes(scene, scene.render.image_settings)
    extension = scene.render.file_extension
    stem = picture_template.removesuffix(extension).removesuffix(first)
    ending = extension if picture_template.endswith(extension) else ""
    for suffix in others:
        yield Extra(f"{PICTURE}{suffix}{extension}", f"{stem}{suffix}{ending}")


def _file_outputs(scene: Any) -> list[Any]:
    return [node for node in nodes_in_use(scene) if node.bl_idname == "CompositorNodeOutputFile"]


@contextmanager
def writing_to(scene: Any, folder: Path) -> Iterator[None]:
    """While this lasts, File Output nodes of ``scene`` write below ``folder``, and all others of the file nowhere."""
    with ExitStack() as undo:
        for view in scene.render.views:
            # It ends up in the middle of a path.
            undo.callback(setattr, view, "file_suffix", view.file_suffix)
            view.file_suffix = _safe_suffix(view)
        ours = {node.as_pointer() for node in _file_outputs(scene)}
        for node in every_file_output():
            if node.as_pointer() not in ours and not node.mute:
                undo.callback(setattr, node, "mute", node.mute)
                node.mute = True
        for number, node in enumerate(_file_outputs(scene)):
            place = folder / _EXTRAS / str(number)
            place.mkdir(parents=True)
            names = [f"slot{i}_####" for i in range(len(file_output_slots(node)))]
            undo.callback(redirect_file_output(node, str(place), names))
        yield


def written_picture(scene: Any, folder: Path) -> Path:
    """Where the picture of ``scene`` was written; of a stereo frame's files the first view's."""
    suffix = suffixes(scene, scene.render.image_settings)[0]
    return folder / f"{PICTURE}{suffix}{scene.render.file_extension}"


def written_extras(extras: list[Extra], folder: Path, frame: int) -> tuple[RenderedExtra, ...]:
    """Those of ``extras`` that were written for ``frame``: a slot that nothing is linked to comes to no file.

    CannotServe (``bad_output``) if there are others: then something is amiss, and files would be lost without a word.
    """
    found = []
    for extra in extras:
        path = folder / (frame_file_name(extra.written, frame) if "#" in extra.written else extra.written)
        if path.is_file():
            found.append(RenderedExtra(name=frame_file_name(extra.name, frame), path=str(path)))
    expected = {Path(extra.path) for extra in found}
    for path in (folder / _EXTRAS).rglob("*"):
        if path.is_file() and path not in expected:
            name = path.relative_to(folder)
            raise worker_fault(FailureCode.BAD_OUTPUT, f"A File Output node wrote {name}, which was not expected.")
    return tuple(found)


def _folder_name(folder: str, home: str) -> list[str]:
    """By the paths as the scene has them: the .blend lies elsewhere on a worker, and names must be the same there."""
    parts, above = _plain_parts(_slashed(folder)), _plain_parts(home)
    alike = _slashed(folder).startswith("//") == f"{home}/".startswith("//")
    inside = alike and parts[: len(above)] == above
    return [_safe(part) for part in (parts[len(above) :] if inside else parts[-1:])]


def _slashed(path: str) -> str:
    return path.replace("\\", "/")


def _plain_parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".", "..")]


def _parts(name: str) -> list[str]:
    parts = [_safe(part) for part in re.split(r"[/\\]", name) if part not in ("", ".", "..")]
    # A name that ends in a separator leaves nothing but the number.
    return [*parts, ""] if not parts or name.endswith(("/", "\\")) else parts


def _template(parts: list[str], ending: str) -> str:
    """A path template of ``parts``; Blender appends four digits to a name without a run of ``#``."""
    *folders, stem = parts
    folders = [f"{part}_" if part.lower().endswith(_ENDINGS) else part for part in folders[-_MOST_FOLDERS:]]
    for extension in (ending, ending.rpartition(".")[1] + ending.rpartition(".")[2]):
        stem = stem.removesuffix(extension)
    if "#" not in stem:
        stem += "####"
    if stem.rstrip("#").lower() in ("com", "lpt"):
        stem = f"_{stem}"  # with a digit it would be a device on Windows
    return "/".join([*(part.replace("#", "_") for part in folders), f"{stem}{ending}"])


def _unlike(taken: set[str], name: str, node: str) -> str:
    """``name``, or one like it that no other file of the frame has: in a folder named after the node, or numbered."""
    folder, slash, last = name.rpartition("/")
    numbered = (f"{folder}{slash}{node} {i}/{last}" for i in itertools.count(2))
    candidates = itertools.chain([name, f"{folder}{slash}{node}/{last}"], numbered)
    return next(candidate for candidate in candidates if name_key(candidate) not in taken)


def _safe(part: str) -> str:
    """``part`` with what some platform refuses in a name replaced; may be empty."""
    cleaned = "".join("_" if c in '/\\:*?"<>|{}' or unicodedata.category(c) == "Cc" else c for c in part)
    cleaned = cleaned.encode(errors="replace")[:_LONGEST_PART].decode(errors="ignore").rstrip(" .")
    try:
        return checked_name(cleaned) if cleaned else ""
    except ValueError:
        return f"_{cleaned}"
