"""What a .blend is and needs, for its submission."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..protocol.jobs import DeviceKind, RenderSettings
from ..protocol.renderer import Inspection, InspectRequest
from .bundle import missing_files, needed_files, outside_note
from .caches import unbaked
from .configure import (
    apply_format,
    apply_settings,
    job_format,
    pick_scene,
    refuse_scripts,
    require_camera,
    settings_kept,
)
from .denoise import denoised_layers
from .frame_names import frame_name
from .locality import not_local_because
from .movie import playback
from .open import blocked_script, open_blend
from .outputs import extras_of
from .regions import canvas_of
from .versions import (
    MOVIE_FORMATS,
    can_denoise,
    file_version,
    running_series,
)
from .wholeness import whole_because


def inspect(request: InspectRequest) -> Inspection:
    """Open ``request.blend`` and tell what it is with the overrides applied; CannotServe says what doesn't fit."""
    return look(request, open_blend(Path(request.blend)))


def look(request: InspectRequest, told: Iterable[str] = ()) -> Inspection:
    """What the scene is that is open in this Blender; ``told`` is what Blender warned of when it opened it."""
    warnings = list(told)
    scene = pick_scene(request.scene)
    own_format = scene.render.image_settings.file_format
    with settings_kept(scene):
        apply_settings(scene, request.settings)
        asked = job_format(scene, request.settings.format)
        if asked != own_format and own_format in MOVIE_FORMATS:
            warnings.append(
                f"The scene is set to write a film ({own_format}): the farm renders {asked} frames instead."
            )
        apply_format(scene, asked)
        refuse_scripts(scene)
        # Markers may switch the camera, and drivers run (or are found blocked) once a frame is set.
        scene.frame_set(scene.frame_start)
        require_camera(scene)
        canvas = canvas_of(scene.render)
        device = device_kind(scene, request.settings)
        if scene.render.engine == "CYCLES":
            scene.cycles.device = device
        template, changed = frame_name(scene)
        if changed:
            warnings.append(f"Frames are named {template}: the scene's own file name can't be used on every platform.")
        warnings += _warnings(scene, request.settings)
        unrepeatable = tuple(not_repeatable_because(scene))
        warnings += unrepeatable
        files = needed_files()
        if note := outside_note(files, Path(request.blend).parent):
            warnings.append(note)
        return Inspection(
            id=request.id,
            saved_by=file_version(),
            series=running_series(),
            scene=scene.name,
            frames=(scene.frame_start, max(scene.frame_start, scene.frame_end), max(1, scene.frame_step)),
            playback=playback(scene),
            width=canvas.width,
            height=canvas.height,
            engine=scene.render.engine,
            device=device,
            format=asked,
            frame_name=template,
            extras=tuple(extra.name for extra in extras_of(scene, template)),
            cameras=tuple(thing.name for thing in scene.objects if thing.type == "CAMERA"),
            whole_because=tuple(whole_because(scene)),
            local=not any(not_local_because(scene)),
            repeatable=not unrepeatable,
            files=tuple(str(path) for path in files),
            missing=tuple(missing_files()),
            warnings=tuple(warnings),
        )


def device_kind(scene: Any, settings: RenderSettings) -> DeviceKind:
    """The kind of device to render on: what is asked for, or what the scene says; other engines take what there is."""
    if scene.render.engine != "CYCLES":
        return "CPU"
    return settings.device or ("GPU" if scene.cycles.device == "GPU" else "CPU")


def not_repeatable_because(scene: Any) -> Iterator[str]:
    """Each thing that makes a frame come out differently a second time on the same kind of machine, in a sentence."""
    loose = list(unbaked())
    if loose:
        yield (
            f"Not baked, and so perhaps different in each frame that is rendered alone: {', '.join(loose[:5])}"
            + (f" and {len(loose) - 5} more." if len(loose) > 5 else ".")
        )
    if scene.render.engine != "CYCLES":
        return
    if scene.cycles.time_limit > 0:
        yield f"Sampling stops after {scene.cycles.time_limit:g} s, with more or fewer samples each time."
    if scene.cycles.use_guiding and not scene.cycles.use_deterministic_guiding:
        yield "Path guiding learns differently each time unless it is deterministic (Sampling > Path Guiding)."


def _warnings(scene: Any, settings: RenderSettings) -> Iterator[str]:
    blocked = blocked_script()
    if blocked:
        yield blocked_warning(blocked)
    if settings.seed is not None and scene.render.engine != "CYCLES":
        yield f"The seed has no meaning for the engine {scene.render.engine}."
    if denoised_layers(scene) and not can_denoise():
        yield "The scene is denoised, and this Blender is built without OpenImageDenoise: only others can render it."


def blocked_warning(blocked: str) -> str:
    """What to say of a script that Blender did not run."""
    return (
        f"Blender blocked a script of the file ({blocked}), so the picture may be wrong: "
        "bake the driver, or replace it by an expression that needs no scripting."
    )
