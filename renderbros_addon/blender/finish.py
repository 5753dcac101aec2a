"""Turn an assembled frame into the file that the job asked for."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy

from ..imaging.assembly import extract_combined
from ..imaging.errors import ImageError
from ..protocol.renderer import FinishRequest
from ..protocol.states import FailureCode
from .configure import apply_format, apply_output, apply_settings, pick_scene, settings_kept
from .failures import worker_fault
from .regions import canvas_of
from .render import call_blender, check_size, only_file
from .versions import literal_path, show_by_compositor


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


def _save_combined(scene: Any, request: FinishRequest, out_dir: Path) -> None:
    combined = out_dir / "combined.exr"
    try:
        extract_combined(Path(request.assembled), combined)
    except ImageError as error:
        raise worker_fault(FailureCode.BAD_OUTPUT, f"The assembled frame can't be read: {error}") from error
    if scene.animation_data is not None:
        # Exposure may be animated, and only the active scene takes on its animated values: so before it is copied.
        scene.frame_set(request.frame)
    image = bpy.data.images.load(str(combined), check_existing=False)
    try:
        with _scene_showing(image, scene) as stand_in:
            stand_in.render.filepath = literal_path(str(out_dir / "frame"))
            call_blender(stand_in, out_dir)
    finally:
        bpy.data.images.remove(image)
        combined.unlink(missing_ok=True)


@contextmanager
def _scene_showing(image: Any, scene: Any) -> Iterator[Any]:
    """A copy of ``scene`` whose render is ``image``, unchanged, by way of the compositor; nothing is rendered anew.

    ``Image.save_render`` would be simpler, but it leaves out the dithering that a render gets when it is saved.
    """
    stand_in = scene.copy()
    # The things in the scene show nowhere, so they need not be evaluated.
    contents = stand_in.collection
    for part in list(contents.children):
        contents.children.unlink(part)
    for thing in list(contents.objects):
        contents.objects.unlink(thing)
    tree = show_by_compositor(stand_in, image)
    try:
        render = stand_in.render
        render.resolution_x, render.resolution_y = image.size
        render.resolution_percentage = 100
        render.use_border = render.use_sequencer = render.use_multiview = False
        render.use_compositing = True
        render.compositor_device, render.compositor_precision = "CPU", "FULL"
        yield stand_in
    finally:
        bpy.data.scenes.remove(stand_in)
        if tree is not None:
            bpy.data.node_groups.remove(tree)
