"""Turn an assembled frame into the files that the job asked for, as if Blender had just rendered it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import bpy

from ..protocol.regions import Region
from ..protocol.renderer import FinishRequest
from .compositing import nodes_in_use
from .configure import apply_format, apply_output, apply_settings, check_size, pick_scene, settings_kept
from .denoise import denoise, require_denoiser
from .frame_names import frame_name
from .outputs import extras_of, views_of
from .regions import Canvas, canvas_of
from .render_call import Written, write_frame
from .replay import AssembledFrame, replaying
from .same_frame import forget

_ASIDE = "renderbros: being finished"


def finish(request: FinishRequest) -> Written:
    """Denoise ``request.assembled``, run the scene's compositor on it and write it in the job's format.

    All of that is done as Blender does it after rendering the frame whole. Raises CannotServe. The scene is afterwards
    what it was, and Cycles still holds what it had of it.
    """
    spec, out_dir = request.spec, Path(request.out_dir).resolve()
    started = time.perf_counter()
    forget()
    scene = pick_scene(spec.scene)
    with settings_kept(scene):
        apply_settings(scene, spec.settings)
        canvas = canvas_of(scene.render)
        check_size(canvas, spec.width, spec.height)
        apply_format(scene, spec.format)
        apply_output(scene)
        require_denoiser(scene)
        extras = extras_of(scene, frame_name(scene)[0])
        frame = AssembledFrame(Path(request.assembled), _window(canvas))
        denoise(scene, frame, [view.name for view in views_of(scene)] or [""], out_dir)
        with _stand_in(scene, request.frame) as stand_in, replaying(frame):
            path, others = write_frame(stand_in, extras, request.frame, out_dir)
    return Written(path, others, time.perf_counter() - started, "CPU")


def _window(canvas: Canvas) -> Region:
    """The part of the output frame that Blender renders: with a border that does not crop it is the border."""
    if canvas.border is not None and not canvas.cropped:
        return canvas.border
    return Region.full(canvas.width, canvas.height)


@contextmanager
def _stand_in(scene: Any, frame: int) -> Iterator[Any]:
    """A copy of ``scene`` at ``frame``, of the same name, with nothing in it to be evaluated.

    Rendering ``scene`` itself would make Cycles believe that it has seen this frame, and leave out of the next one
    what did not change since.
    """
    if scene.animation_data is not None:
        # Exposure may be animated, and only the active scene takes on its animated values: so before it is copied.
        scene.frame_set(frame)
    with ExitStack() as undo:
        stand_in = scene.copy()
        undo.callback(bpy.data.scenes.remove, stand_in)
        # Metadata and path templates tell the scene's name.
        name = scene.name
        undo.callback(setattr, scene, "name", name)
        scene.name = _ASIDE
        stand_in.name = name
        undo.callback(setattr, stand_in, "name", _ASIDE + " over")
        for part in list(stand_in.collection.children):
            stand_in.collection.children.unlink(part)
        for thing in list(stand_in.collection.objects):
            stand_in.collection.objects.unlink(thing)
        # Blender's render operator takes the frame from the active scene, whichever scene it is told to render.
        undo.callback(setattr, scene, "frame_float", scene.frame_float)
        scene.frame_float = stand_in.frame_float = frame
        stand_in.render.use_persistent_data = False
        # Since 5.0 the compositor is shared by both, and its nodes name the scene whose passes they show.
        for node in list(nodes_in_use(stand_in)):
            if getattr(node, "scene", None) == scene:
                undo.callback(setattr, node, "scene", scene)
                node.scene = stand_in
        yield stand_in
