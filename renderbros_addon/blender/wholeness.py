"""Why a frame must be rendered whole: what makes tiles of it differ from the whole frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from .compositing import active_tree, other_scenes, uses_render_layers
from .denoise import DENOISING_PASSES, denoised_layers
from .outputs import views_of
from .versions import cycles_passes, denoise_node_has_quality, sequencer_strips, volumes_need_whole_frame

LONGEST_CHANNEL = 63
"""Bytes of a channel's whole name in a multilayer file that Blender writes (``EXR_TOT_MAXNAME`` in its sources)."""


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
