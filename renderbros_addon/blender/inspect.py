"""What a .blend is and needs, for its submission."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import bpy

from ..protocol.base import checked_name
from ..protocol.jobs import DeviceKind, RenderSettings
from ..protocol.renderer import Inspection, InspectRequest
from .bundle import missing_files, needed_files, outside_note
from .caches import unbaked
from .configure import (
    apply_format,
    apply_settings,
    file_outputs,
    job_format,
    pick_scene,
    refuse_scripts,
    require_camera,
    settings_kept,
)
from .open import blocked_script, open_blend
from .regions import canvas_of
from .versions import (
    MOVIE_FORMATS,
    compositor_tree,
    file_version,
    running_series,
    sequencer_strips,
    volumes_need_whole_frame,
)


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
        template, changed = frame_name(scene.render)
        if changed:
            warnings.append(f"Frames are named {template}: the scene's own file name can't be used on every platform.")
        warnings += _warnings(scene, request.settings)
        files = needed_files()
        if note := outside_note(files, Path(request.blend).parent):
            warnings.append(note)
        return Inspection(
            id=request.id,
            saved_by=file_version(),
            series=running_series(),
            scene=scene.name,
            frames=(scene.frame_start, max(scene.frame_start, scene.frame_end), max(1, scene.frame_step)),
            width=canvas.width,
            height=canvas.height,
            engine=scene.render.engine,
            device=device_kind(scene, request.settings),
            format=asked,
            frame_name=template,
            cameras=tuple(thing.name for thing in scene.objects if thing.type == "CAMERA"),
            whole_because=tuple(whole_because(scene)),
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
    if render.use_compositing and (tree := compositor_tree(scene)) is not None and _composites(tree):
        yield "The scene uses the compositor (Render > Post Processing > Compositing), which needs the whole frame."
    if render.use_sequencer and sequencer_strips(scene):
        yield "The scene uses the sequencer (Render > Post Processing > Sequencer), which needs the whole frame."
    if render.use_multiview:
        yield "Stereoscopy is on: each frame is several images."
    layers = [layer.name for layer in scene.view_layers if layer.use]
    if len(layers) > 1 and not render.use_single_layer:
        yield f"{len(layers)} view layers are rendered ({', '.join(layers[:5])}): tiles are made of one only."
    if not layers:
        yield "No view layer is set to render (View Layer > Use for Rendering)."
    if render.use_stamp:
        yield "Metadata is burned into the image (Output > Metadata > Burn Into Image), placed by the frame's edges."
    if render.use_freestyle and any(layer.use_freestyle for layer in scene.view_layers if layer.use):
        yield "Freestyle draws lines over the whole frame."


def _cycles_reasons(scene: Any) -> Iterator[str]:
    cycles = scene.cycles
    denoised = [layer for layer in scene.view_layers if layer.use and getattr(layer.cycles, "use_denoising", True)]
    if cycles.use_denoising and denoised:
        yield "Denoising is on (Render > Sampling > Denoise), which needs the whole frame."
    if cycles.time_limit > 0:
        yield "Sampling has a time limit, so how many samples a part of the frame gets depends on the machine."
    if cycles.use_adaptive_sampling and any(layer.cycles.pass_debug_sample_count for layer in scene.view_layers):
        yield "The Sample Count pass is on with a noise threshold: it counts in shares of the whole frame's samples."
    if volumes_need_whole_frame(scene) and _has_volumes(scene):
        yield "The scene has volumes, which Cycles samples by their neighbourhood unless Volumes > Biased is on."
    if cycles.use_guiding:
        yield "Path guiding is on: it learns from the pixels it renders, so a part of the frame comes out differently."


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


def _composites(tree: Any) -> bool:
    """The tree does more than pass Render Layers' image on."""
    harmless = {
        "CompositorNodeRLayers",
        "CompositorNodeComposite",
        "CompositorNodeViewer",
        "NodeGroupOutput",
        "NodeReroute",
        "NodeFrame",
    }
    if any(node.bl_idname not in harmless and not node.mute for node in tree.nodes):
        return True
    for node in tree.nodes:
        if node.bl_idname in ("CompositorNodeComposite", "NodeGroupOutput") and not _shows_combined(node):
            return True
    return not any(node.bl_idname in ("CompositorNodeComposite", "NodeGroupOutput") for node in tree.nodes)


def _shows_combined(output: Any) -> bool:
    links = output.inputs[0].links if output.inputs else ()
    while links:
        source = links[0].from_node
        if source.bl_idname == "NodeReroute":
            links = source.inputs[0].links
            continue
        return bool(source.bl_idname == "CompositorNodeRLayers" and links[0].from_socket.name == "Image")
    return False


def frame_name(render: Any) -> tuple[str, bool]:
    """What Blender would name a frame, as a template with ``#`` for digits, and whether the name had to be changed.

    Frame 1 and frame -1 differ by the minus sign that Blender puts before the digits; frames 1 and 2 by the last
    digit: so the digits are found whatever the name looks like.
    """
    one, two, minus = (_base_name(render.frame_path(frame=frame)) for frame in (1, 2, -1))
    start = next((i for i, (a, b) in enumerate(zip(one, minus, strict=False)) if a != b), len(one))
    end = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
    if end is None or start > end or len(minus) != len(one) + 1:
        stem, dot, suffix = one.rpartition(".")
        name = f"{stem}####{dot}{suffix}" if dot else f"{one}####"
    else:
        name = one[:start] + "#" * (end + 1 - start) + one[end + 1 :]
    try:
        return checked_name(name), False
    except ValueError:
        return _safe_name(name), True


def _base_name(path: str) -> str:
    # A name that was written on Windows keeps its backslashes.
    return re.split(r"[/\\]", path)[-1] if os.sep == "\\" else path.rsplit("/", 1)[-1]


def _safe_name(name: str) -> str:
    """``name`` with what some platform refuses replaced, or a plain one where that isn't enough."""
    cleaned = "".join("_" if c in '/\\:*?"<>|' or unicodedata.category(c) == "Cc" else c for c in name).rstrip(" .")
    try:
        return checked_name(cleaned) if "#" in cleaned else "####"
    except ValueError:
        return "frame_####" + Path(cleaned).suffix[:10]


def _warnings(scene: Any, settings: RenderSettings) -> Iterator[str]:
    blocked = blocked_script()
    if blocked:
        yield blocked_warning(blocked)
    if settings.seed is not None and scene.render.engine != "CYCLES":
        yield f"The seed has no meaning for the engine {scene.render.engine}."
    loose = list(unbaked())
    if loose:
        yield (
            f"Not baked, and so perhaps different in each frame that is rendered alone: {', '.join(loose[:5])}"
            + (f" and {len(loose) - 5} more." if len(loose) > 5 else ".")
        )
    if any(not node.mute for node in file_outputs()):
        yield "The compositor's File Output nodes are off on the farm: only the frame itself comes back."


def blocked_warning(blocked: str) -> str:
    """What to say of a script that Blender did not run."""
    return (
        f"Blender blocked a script of the file ({blocked}), so the picture may be wrong: "
        "bake the driver, or replace it by an expression that needs no scripting."
    )
