"""Turn an assembled frame into the file that the job asked for."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import bpy

from ..imaging.assembly import extract_combined
from ..imaging.errors import ImageError
from ..protocol.renderer import FinishRequest
from ..protocol.states import FailureCode
from .configure import apply_format, apply_output, apply_settings, pick_scene, settings_kept
from .failures import worker_fault
from .regions import canvas_of
from .render import check_size, only_file
from .versions import literal_path


def finish(request: FinishRequest) -> tuple[Path, float]:
    """Write ``request.assembled`` in the job's format; return the file's path and the seconds it took.

    The scene's view transform, look, exposure, gamma, curves and dither are applied as Blender does on saving a
    render. Raises CannotServe. The scene's settings are afterwards what they were.
    """
    spec, out_dir = request.spec, Path(request.out_dir).resolve()
    started = time.perf_counter()
    scene = pick_scene(spec.scene)
    with settings_kept(scene):
        apply_settings(scene, spec.settings)
        check_size(canvas_of(scene.render), spec.width, spec.height)
        apply_format(scene, spec.format)
        apply_output(scene)
        if spec.format == "OPEN_EXR_MULTILAYER":
            shutil.copyfile(request.assembled, out_dir / "frame.exr")
        else:
            _save_combined(scene, request, out_dir)
    return only_file(out_dir), time.perf_counter() - started


def _save_combined(scene: bpy.types.Scene, request: FinishRequest, out_dir: Path) -> None:
    combined = out_dir / "combined.exr"
    try:
        extract_combined(Path(request.assembled), combined)
    except ImageError as error:
        raise worker_fault(FailureCode.BAD_OUTPUT, f"The assembled frame can't be read: {error}") from error
    image = bpy.data.images.load(str(combined), check_existing=False)
    try:
        # What view transforms depend on: the frame of an animated exposure or curve.
        scene.frame_set(request.frame)
        image.save_render(literal_path(str(out_dir / f"frame{scene.render.file_extension}")), scene=scene)
    finally:
        bpy.data.images.remove(image)
        combined.unlink(missing_ok=True)
