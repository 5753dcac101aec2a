"""Settings of one task: applied before it, put back after it, whatever happens in between."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy

from ..protocol.jobs import RenderSettings
from ..protocol.states import FailureCode
from .denoise import store_what_denoising_needs
from .failures import scene_fault
from .regions import Canvas
from .settings import settable, value_of
from .versions import MOVIE_FORMATS, compositor_tree, engine_name, engines, formats, sequencer_strips, set_format

log = logging.getLogger("renderbros.blender")

# These decide which values others may have, so they go back first.
_FIRST = {"engine": 0, "media_type": 1, "file_format": 2, "color_mode": 3}

_LEFT = frozenset({"name", "use_persistent_data"})
"""What a task leaves as it is. Blender frees all that it keeps for the next frame when persistent data goes off."""

# Workbench has no number of samples but steps of antialiasing.
_WORKBENCH_SAMPLES = {"5": 5, "8": 8, "11": 11, "16": 16, "32": 32}


class NotRestored(Exception):
    """A setting could not be put back: the open scene must not be used again."""


@contextmanager
def settings_kept(scene: Any) -> Iterator[None]:
    """Put back every setting of ``scene`` that its block changed, also those that Blender changes by itself.

    Setting an engine or a format changes other settings on its own, so all of them are noted, not only those set on
    purpose. Raises NotRestored if one can't be put back.
    """
    before = dump(scene)
    try:
        yield
    finally:
        _restore(before)


def dump(scene: Any) -> list[tuple[Any, str, Any]]:
    """Every setting that a task may change, as (owner, attribute, value)."""
    settings: list[tuple[Any, str, Any]] = []
    for owner in _owners(scene):
        settings += [(owner, name, value_of(owner, name)) for name in settable(owner) if name not in _LEFT]
    settings.append((scene, "camera", scene.camera))
    settings += [(marker, "camera", marker.camera) for marker in scene.timeline_markers]
    return sorted(settings, key=lambda setting: _FIRST.get(setting[1], len(_FIRST)))


def _owners(scene: Any) -> Iterator[Any]:
    image_settings = scene.render.image_settings
    yield scene.render
    yield image_settings
    for name in ("view_settings", "display_settings", "linear_colorspace_settings", "stereo_3d_format"):
        if getattr(image_settings, name, None) is not None:
            yield getattr(image_settings, name)
    yield scene.view_settings
    yield scene.display_settings
    yield scene.display
    for engine_settings in ("cycles", "eevee"):
        for owner in (scene, *scene.view_layers):
            if getattr(owner, engine_settings, None) is not None:
                yield getattr(owner, engine_settings)
    yield from scene.view_layers


def _restore(before: list[tuple[Any, str, Any]]) -> None:
    # Putting one back can change another, so go over them until nothing differs; three rounds were never needed.
    wrong: list[str] = []
    for _ in range(4):
        wrong = []
        for owner, attribute, value in before:
            now = getattr(owner, attribute) if attribute == "camera" else value_of(owner, attribute)
            if now == value or (now != now and value != value):
                continue
            wrong.append(f"{type(owner).__name__}.{attribute}")
            try:
                setattr(owner, attribute, value)
            except (TypeError, ValueError, AttributeError) as error:
                log.debug("not put back yet: %s: %s", wrong[-1], error)
        if not wrong:
            return
    raise NotRestored(f"settings that could not be put back: {', '.join(wrong)}")


def show_scene(scene: Any) -> None:
    """Make ``scene`` the active one, as Blender's own ``--scene`` does.

    Only of the active scene does Blender write animated settings, such as exposure, back to where saving reads them.
    """
    for window in bpy.context.window_manager.windows:
        window.scene = scene


def pick_scene(name: str | None) -> Any:
    """The scene called ``name``, made active; without a name, the one that was active when the file was saved.

    CannotServe if there is none of that name.
    """
    if name is None:
        return bpy.context.scene
    scene = bpy.data.scenes.get(name)
    if scene is None:
        raise scene_fault(
            FailureCode.UNKNOWN_SCENE, f'The file has no scene "{name}", only {_listed(bpy.data.scenes)}.'
        )
    show_scene(scene)
    return scene


def apply_settings(scene: Any, settings: RenderSettings) -> None:
    """Apply what the submitter overrides, but for device and format; CannotServe names what doesn't fit."""
    render = scene.render
    apply_engine(scene, settings.engine)
    if settings.resolution_x is not None:
        render.resolution_x = settings.resolution_x
    if settings.resolution_y is not None:
        render.resolution_y = settings.resolution_y
    if settings.percentage is not None:
        render.resolution_percentage = settings.percentage
    if settings.view_layers is not None:
        _apply_view_layers(scene, settings.view_layers)
    if settings.camera is not None:
        _apply_camera(scene, settings.camera)
    if settings.samples is not None:
        _apply_samples(scene, settings.samples)
    if settings.seed is not None and render.engine == "CYCLES":
        scene.cycles.seed = settings.seed


def check_size(canvas: Canvas, width: int, height: int) -> None:
    """CannotServe (``size_mismatch``) unless the output frame is ``width`` by ``height`` pixels."""
    if (canvas.width, canvas.height) != (width, height):
        raise scene_fault(
            FailureCode.SIZE_MISMATCH,
            f"The job says that a frame has {width}×{height} pixels, but the scene renders "
            f"{canvas.width}×{canvas.height}: submit it anew.",
        )


def job_format(scene: Any, asked: str | None) -> str:
    """The format of finished frames: ``asked``, or the scene's own, or PNG where that is a film's."""
    own: str = scene.render.image_settings.file_format
    return asked or ("PNG" if own in MOVIE_FORMATS else own)


def apply_format(scene: Any, file_format: str) -> None:
    """Write ``file_format``, with the scene's own options for it; CannotServe if this Blender can't."""
    image_settings = scene.render.image_settings
    if file_format not in formats(image_settings):
        raise scene_fault(
            FailureCode.UNKNOWN_FORMAT,
            f"This Blender can't write {file_format} frames, only {', '.join(formats(image_settings))}.",
        )
    if image_settings.file_format != file_format:
        set_format(image_settings, file_format)


def apply_linear(scene: Any) -> None:
    """Write every pass as scene-linear floats, before denoiser, compositor and sequencer."""
    render, image_settings = scene.render, scene.render.image_settings
    set_format(image_settings, "OPEN_EXR_MULTILAYER")
    image_settings.color_mode = "RGBA"
    image_settings.color_depth = "32"
    image_settings.exr_codec = "ZIP"
    # An override of the colour management would convert the pixels to another space.
    image_settings.color_management = "FOLLOW_SCENE"
    render.use_compositing = False
    render.use_sequencer = False
    render.use_stamp = False
    # All views of a stereo frame in one file.
    image_settings.views_format = "MULTIVIEW"
    if render.engine == "CYCLES":
        store_what_denoising_needs(scene)


def apply_output(scene: Any) -> None:
    """Keep Blender from anything but writing the one frame it is told to write."""
    render = scene.render
    render.use_persistent_data = True
    render.use_overwrite = True
    render.use_placeholder = False
    render.use_file_extension = True
    render.use_render_cache = False
    # For people at a window. Blender renders all layers here all the same, but with persistent data on, Cycles then
    # keeps the border of the render before for every layer but the first (seen in 4.5).
    render.use_single_layer = False
    threads = os.environ.get("RENDERBROS_THREADS", "")
    if threads.isdecimal() and int(threads) > 0:
        render.threads_mode = "FIXED"
        render.threads = min(int(threads), 1024)
    if hasattr(render, "save_output"):
        render.save_output = True
    render.image_settings.use_preview = False
    # Where a worker keeps the scene, and what its machine is called, is nobody's business: neither in the picture nor
    # among what is told beside it.
    render.use_stamp_filename = render.use_stamp_hostname = render.use_stamp_sequencer_strip = False


def require_camera(scene: Any) -> None:
    """CannotServe if the scene is rendered by a camera and has none."""
    if scene.camera is not None:
        return
    if scene.render.use_sequencer and sequencer_strips(scene):
        return
    tree = compositor_tree(scene) if scene.render.use_compositing else None
    if tree is not None and not any(node.bl_idname == "CompositorNodeRLayers" for node in tree.nodes):
        return
    cameras = [thing for thing in scene.objects if thing.type == "CAMERA"]
    hint = f"choose one of {_listed(cameras)}" if cameras else "add one"
    raise scene_fault(FailureCode.NO_CAMERA, f'Scene "{scene.name}" has no active camera: {hint}.')


def refuse_scripts(scene: Any) -> None:
    """CannotServe if rendering would run Python from the file: Freestyle does in its scripting mode."""
    for layer in scene.view_layers:
        if scene.render.use_freestyle and layer.use_freestyle and layer.freestyle_settings.mode == "SCRIPT":
            raise scene_fault(
                FailureCode.SCRIPTS_BLOCKED,
                f'View layer "{layer.name}" draws Freestyle lines by Python scripts, which the farm does not run: '
                "set Freestyle's Control Mode to Parameter Editor, or turn Freestyle off.",
            )


def apply_engine(scene: Any, asked: str | None) -> None:
    """Have ``scene`` rendered by the engine that is asked for, or else its own; CannotServe if there is no such."""
    render = scene.render
    if asked is not None and render.engine != engine_name(asked):
        try:
            render.engine = engine_name(asked)
        except TypeError:
            raise scene_fault(
                FailureCode.UNKNOWN_ENGINE, f"This Blender has no engine {asked}, only {', '.join(engines())}."
            ) from None
    if not render.engine:
        raise scene_fault(
            FailureCode.UNKNOWN_ENGINE,
            f'Scene "{scene.name}" uses an engine that this Blender does not have; it has {", ".join(engines())}.',
        )


def _apply_view_layers(scene: Any, names: tuple[str, ...]) -> None:
    for name in names:
        if name not in scene.view_layers:
            raise scene_fault(
                FailureCode.UNKNOWN_VIEW_LAYER,
                f'Scene "{scene.name}" has no view layer "{name}", only {_listed(scene.view_layers)}.',
            )
    for layer in scene.view_layers:
        layer.use = layer.name in names
    scene.render.use_single_layer = False


def _apply_camera(scene: Any, name: str) -> None:
    camera = scene.objects.get(name)
    if camera is None or camera.type != "CAMERA":
        cameras = [thing for thing in scene.objects if thing.type == "CAMERA"]
        raise scene_fault(
            FailureCode.UNKNOWN_CAMERA,
            f'Scene "{scene.name}" has no camera "{name}", ' + (f"only {_listed(cameras)}." if cameras else "nor any."),
        )
    scene.camera = camera
    # A marker bound to a camera would switch to it as soon as the frame is set.
    for marker in scene.timeline_markers:
        marker.camera = None


def _apply_samples(scene: Any, samples: int) -> None:
    engine = scene.render.engine
    if engine == "CYCLES":
        scene.cycles.samples = samples
        scene.cycles.use_layer_samples = "IGNORE"
    elif engine == engine_name("BLENDER_EEVEE"):
        scene.eevee.taa_render_samples = samples
    elif engine == "BLENDER_WORKBENCH":
        enough = [step for step, count in _WORKBENCH_SAMPLES.items() if count >= samples]
        scene.display.render_aa = "OFF" if samples == 1 else (enough or ["32"])[0]
    else:
        raise scene_fault(
            FailureCode.BAD_SETTING, f"How to set samples in the engine {engine} is not known: leave them to the scene."
        )


def _listed(blocks: Any) -> str:
    names = [f'"{block.name}"' for block in blocks]
    return ", ".join(names[:20]) + (" and others" if len(names) > 20 else "")
