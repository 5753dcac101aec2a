"""Render a region of a frame into one file."""

from __future__ import annotations

import errno
import re
import shutil
import time
from pathlib import Path
from typing import Any

import bpy

from ..imaging.assembly import crop
from ..protocol.regions import Region
from ..protocol.renderer import RenderRequest
from ..protocol.states import FailureCode
from .configure import (
    apply_format,
    apply_linear,
    apply_output,
    apply_settings,
    pick_scene,
    refuse_scripts,
    require_camera,
    settings_kept,
)
from .devices import choose_device
from .failures import CannotServe, scene_fault, worker_fault
from .progress import ProgressBoard
from .regions import Canvas, canvas_of, set_border
from .versions import cycles_preferences, literal_path

_OUT_OF_MEMORY = re.compile(r"out of memory|bad_alloc|malloc|failed to allocate", re.IGNORECASE)
_DEVICE_LOST = re.compile(r"\b(CUDA|OptiX|HIP|oneAPI|Metal)\b", re.IGNORECASE)
_TOO_LITTLE_DISK = 16 << 20
"""Bytes. A frame that can't be written with less than this left free was most likely kept out by a full disk."""

ADAPTIVE_MARGIN = 8
"""Pixels. A pixel that is clean is still sampled on while a neighbour is noisy, so a neighbour beyond a crop's edge is
missed. Measured (120×90, 2×2 tiles, 64 to 512 samples): a few hundred pixels differ without a margin, some dozens with
one of 1 pixel, five with 2, none with 3 or more; each pixel of margin leaves about a tenth."""


def render(request: RenderRequest, board: ProgressBoard) -> tuple[Path, float, str]:
    """Render what ``request`` asks of the open file; return the image's path, seconds in Blender and the device.

    Raises CannotServe. The scene's settings are afterwards what they were, also then.
    """
    spec, out_dir = request.spec, Path(request.out_dir).resolve()
    scene = pick_scene(spec.scene)
    with settings_kept(scene):
        apply_settings(scene, spec.settings)
        canvas = canvas_of(scene.render)
        check_size(canvas, spec.width, spec.height)
        if not request.linear and (request.region.width, request.region.height) != (canvas.width, canvas.height):
            raise scene_fault(FailureCode.BAD_SETTING, "A part of a frame is rendered to linear pixels or not at all.")
        if request.region.x1 > canvas.width or request.region.y1 > canvas.height:
            raise scene_fault(
                FailureCode.SIZE_MISMATCH,
                f"The region {request.region} does not lie in a frame of {canvas.width}×{canvas.height} pixels.",
            )
        refuse_scripts(scene)
        device = str(scene.render.engine)
        if scene.render.engine == "CYCLES":
            device = choose_device(scene, spec.device, cycles_preferences())
        apply_format(scene, spec.format)
        if request.linear:
            apply_linear(scene)
        apply_output(scene)
        crop_after = _apply_region(scene, request.region, canvas)
        scene.frame_set(request.frame)
        require_camera(scene)
        scene.render.filepath = literal_path(str(out_dir / "frame"))
        started = time.perf_counter()
        with board.watching(request.id):
            call_blender(scene, out_dir)
        seconds = time.perf_counter() - started
        path = only_file(out_dir)
    if crop_after is not None:
        whole = path.rename(path.with_name(f"whole{path.suffix}"))
        try:
            crop(whole, crop_after, path)
        except OSError as error:
            raise _writing_failed(str(error), error.errno, out_dir) from error
        whole.unlink()
    return path, seconds, device


def check_size(canvas: Canvas, width: int, height: int) -> None:
    """CannotServe (``size_mismatch``) unless the output frame is ``width`` by ``height`` pixels."""
    if (canvas.width, canvas.height) != (width, height):
        raise scene_fault(
            FailureCode.SIZE_MISMATCH,
            f"The job says that a frame has {width}×{height} pixels, but the scene renders "
            f"{canvas.width}×{canvas.height}: submit it anew.",
        )


def only_file(folder: Path) -> Path:
    """The one file that was written into ``folder``; CannotServe if there is none."""
    files = [path for path in folder.iterdir() if path.is_file()]
    if len(files) != 1 or files[0].stat().st_size == 0:
        raise _writing_failed("Blender finished without writing the frame.", None, folder)
    return files[0]


def _apply_region(scene: Any, region: Region, canvas: Canvas) -> Region | None:
    """Set the border for ``region``; return what must be cut from the written file, or None if it fits."""
    output = canvas.output
    if (region.width, region.height) == (output.width, output.height):
        return None  # a whole frame: the scene's own border stays as it is
    wanted = region.shifted(output.x0, output.y0)
    limits = canvas.border or output
    # A tile wholly outside of the scene's border still needs a border to render: one pixel of the scene's will do.
    corner = Region(x0=limits.x0, y0=limits.y0, x1=limits.x0 + 1, y1=limits.y0 + 1)
    rendered = _grown(wanted.intersection(limits) or corner, adaptive_margin(scene), limits)
    if canvas.border is None or canvas.cropped:
        set_border(scene.render, rendered, canvas, crop=True)
        return wanted.shifted(-rendered.x0, -rendered.y0) if rendered != wanted else None
    # Outside of the border Blender fills the frame with values that depend on the pass. Let it fill, and cut after.
    set_border(scene.render, rendered, canvas, crop=False)
    return region


def adaptive_margin(scene: Any) -> int:
    """Pixels to render around a region so that those in it come out as they do in the whole frame."""
    if scene.render.engine == "CYCLES" and scene.cycles.use_adaptive_sampling:
        return ADAPTIVE_MARGIN
    return 0


def _grown(region: Region, margin: int, limits: Region) -> Region:
    return Region(
        x0=max(region.x0 - margin, limits.x0),
        y0=max(region.y0 - margin, limits.y0),
        x1=min(region.x1 + margin, limits.x1),
        y1=min(region.y1 + margin, limits.y1),
    )


def call_blender(scene: Any, out_dir: Path) -> None:
    """Have Blender render ``scene`` and write it below ``out_dir``, where its path points; CannotServe if it can't."""
    try:
        result = bpy.ops.render.render(write_still=True, scene=scene.name)
    except RuntimeError as error:
        message = str(error).strip().removeprefix("Error: ")
        if _OUT_OF_MEMORY.search(message):
            raise worker_fault(FailureCode.OUT_OF_MEMORY, f"Rendering ran out of memory: {message}") from error
        if _DEVICE_LOST.search(message):
            raise worker_fault(FailureCode.NO_DEVICE, f"The GPU failed while rendering: {message}") from error
        if re.search(r"(could not|cannot|unable to) (write|save|open)|error writing", message, re.IGNORECASE):
            raise _writing_failed(message, None, out_dir) from error
        raise scene_fault(FailureCode.RENDER_ERROR, f"Blender could not render the frame: {message}") from error
    if "FINISHED" not in result:
        raise scene_fault(FailureCode.RENDER_ERROR, f"Blender did not finish the frame: {', '.join(result)}.")


def _writing_failed(message: str, number: int | None, folder: Path) -> CannotServe:
    if number == errno.ENOSPC or shutil.disk_usage(folder).free < _TOO_LITTLE_DISK:
        return worker_fault(FailureCode.DISK_FULL, f"The disk of {folder} is full: {message}")
    return scene_fault(FailureCode.RENDER_ERROR, message)
