"""What a .blend is and needs, for its submission."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import bpy

from ..protocol.jobs import DeviceKind, RenderSettings
from ..protocol.renderer import Inspection, InspectRequest
from .bundle import missing_files, needed_files, outside_note
from .caches import unbaked
from .compositing import active_tree, other_scenes, uses_render_layers
from .configure import (
    apply_format,
    apply_settings,
    job_format,
    pick_scene,
    refuse_scripts,
    require_camera,
    settings_kept,
)
from .denoise import DENOISING_PASSES, denoised_layers
from .frame_names import frame_name
from .movie import playback
from .open import blocked_script, open_blend
from .outputs import extras_of, views_of
from .regions import canvas_of
from .versions import (
    MOVIE_FORMATS,
    can_denoise,
    cycles_passes,
    denoise_node_has_quality,
    file_version,
    running_series,
    sequencer_strips,
    volumes_need_whole_frame,
)

LONGEST_CHANNEL = 63
"""Bytes of a channel's whole name in a multilayer file that Blender writes (``EXR_TOT_MAXNAME`` in its sources)."""


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
            local=is_local(scene),
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


def whole_because(scene: Any) -> Iterator[str]:
    """Each setting that makes tiles differ from the whole frame, in a sentence."""
    render = scene.render
    engine = render.engine
    if engine != "CYCLES":
        yield f"The engine is {engine}: only Cycles renders a part of a frame exactly as it renders the whole."
    else:
        yield from _cycles_reasons(scene)
    if active_tree(scene) is not None and not uses_render_layers(scene):
        yield "The compositor uses no Render Layers: there is nothing to render but the whole."
    if others := other_scenes(scene):
        yield f"The compositor uses renders of other scenes ({', '.join(others[:5])}), which are made whole."
    if render.use_sequencer and sequencer_strips(scene):
        yield "The scene uses the sequencer (Render > Post Processing > Sequencer), which needs the whole frame."
    layers = [layer for layer in scene.view_layers if layer.use]
    if not layers:
        yield "No view layer is set to render (View Layer > Use for Rendering)."
    if render.use_stamp:
        yield "Metadata is burned into the image (Output > Metadata > Burn Into Image), placed by the frame's edges."
    if render.use_freestyle and any(layer.use_freestyle for layer in scene.view_layers if layer.use):
        yield "Freestyle draws lines over the whole frame."
    if any(thing.type in ("GPENCIL", "GREASEPENCIL") and not thing.hide_render for thing in scene.objects):
        yield "Grease Pencil objects are drawn over the whole frame."


def is_local(scene: Any) -> bool:
    """Whether each pixel of a finished frame depends on its own samples alone, in the format that is set."""
    image = scene.render.image_settings
    lossless = image.file_format in ("PNG", "TIFF") or (
        image.file_format in ("OPEN_EXR", "OPEN_EXR_MULTILAYER") and image.exr_codec in _EXACT_CODECS
    )
    through_whole = active_tree(scene) is not None or denoised_layers(scene)
    return lossless and not through_whole and not any(whole_because(scene))


_EXACT_CODECS = ("NONE", "ZIP", "ZIPS", "PIZ", "RLE")


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


def _cycles_reasons(scene: Any) -> Iterator[str]:
    cycles = scene.cycles
    if denoised_layers(scene):
        yield from _denoising_reasons(scene)
    if longest := _name_too_long(scene):
        yield f"The names of view layer, pass and view are too long together for tiles to keep them apart: {longest}."
    if cycles.time_limit > 0:
        yield "Sampling has a time limit, so how many samples a part of the frame gets depends on the machine."
    if cycles.use_adaptive_sampling and any(layer.cycles.pass_debug_sample_count for layer in scene.view_layers):
        yield "The Sample Count pass is on with a noise threshold: it counts in shares of the whole frame's samples."
    if volumes_need_whole_frame(scene) and _has_volumes(scene):
        yield "The scene has volumes, which Cycles samples by their neighbourhood unless Volumes > Biased is on."
    if cycles.use_guiding:
        yield "Path guiding is on: it learns from the pixels it renders, so a part of the frame comes out differently."


def _name_too_long(scene: Any) -> str | None:
    """A channel that Blender would cut short in a multilayer file, if there is one."""
    views = [f".{view.name}" for view in views_of(scene)] or [""]
    denoised = [layer.name for layer in denoised_layers(scene)]
    for layer in scene.view_layers:
        passes = cycles_passes(scene, layer) if layer.use else []
        passes += DENOISING_PASSES if layer.name in denoised else []
        for name, letters in passes:
            channel = f"{layer.name}.{name}{max(views, key=len)}.{letters[:1]}"
            if len(channel.encode()) > LONGEST_CHANNEL:
                return channel
    return None


def _denoising_reasons(scene: Any) -> Iterator[str]:
    cycles = scene.cycles
    # Lights carry the mark too, to no effect.
    caught = any(thing.is_shadow_catcher and thing.type not in ("LIGHT", "LIGHT_PROBE") for thing in scene.objects)
    if caught or any(layer.cycles.use_pass_shadow_catcher for layer in denoised_layers(scene)):
        yield "Shadow catchers are denoised on their own by Cycles, which needs the whole frame."
    if cycles.device == "GPU" and cycles.denoiser == "OPTIX":
        yield "The denoiser is OptiX: tiles are denoised by OpenImageDenoise, whose pictures differ."
    if cycles.denoising_quality != "HIGH" and not denoise_node_has_quality():
        yield "This Blender denoises assembled frames in High quality only (Render > Sampling > Denoise > Quality)."


def _has_volumes(scene: Any) -> bool:
    materials = [m for m in bpy.data.materials if m.users and not m.is_grease_pencil]
    trees = [block.node_tree for block in (*materials, scene.world) if block is not None and block.node_tree]
    for tree in trees:
        for node in tree.nodes:
            if node.bl_idname in ("ShaderNodeOutputMaterial", "ShaderNodeOutputWorld"):
                volume = node.inputs.get("Volume")
                if volume is not None and volume.is_linked:
                    return True
    return any(thing.type == "VOLUME" for thing in scene.objects)


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
