"""The shots that ``expected_frames.py`` measures: moving, still, noisy, furry, foggy, flat, fading, with a cut.

Each function leaves its shot open: frames 1 to :data:`LENGTH`, delivered as 8-bit PNG.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.extend([str(Path(__file__).parent / "equality"), str(Path(__file__).parents[1])])

import bpy
from bench_scenes import interior, meadow, product, titles
from effects import composite
from parts import FIRST, LAST, add, area_lamp, camera, moves, new_scene, sky

from renderbros_addon.blender.sample_materials import matte, terrazzo, terrazzo_image
from renderbros_addon.blender.sample_shapes import backdrop, ball

LENGTH = 12


def stretched(scene: Any) -> Any:
    """The equality bench's motion, spread over the shot."""
    for action in bpy.data.actions:
        for curve in action.fcurves:
            for key in curve.keyframe_points:
                key.co.x = FIRST + (key.co.x - FIRST) * (LENGTH - FIRST) / (LAST - FIRST)
                key.interpolation = "LINEAR"
    scene.frame_start, scene.frame_end = FIRST, LENGTH
    scene.render.use_compositing = False
    return scene


def moving(width: int, height: int) -> Any:
    """Rings turn about a bottle, the camera travels."""
    return stretched(product(width, height))


def noisy(width: int, height: int) -> Any:
    """A room lit through a window with 12 samples."""
    return stretched(interior(width, height))


def denoised(width: int, height: int) -> Any:
    """The same, denoised."""
    scene = stretched(interior(width, height))
    scene.cycles.use_denoising = True
    return scene


def furry(width: int, height: int) -> Any:
    """Hair over a transparent film."""
    return stretched(meadow(width, height))


def flat(width: int, height: int) -> Any:
    """Letters and a bar that sweeps past them."""
    return stretched(titles(width, height))


def workbench(width: int, height: int) -> Any:
    """Without noise: how a shot is shown before it has materials."""
    scene = stretched(interior(width, height))
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.display.shading.light, scene.display.shading.show_cavity = "STUDIO", True
    scene.display.shading.show_shadows = True
    bpy.data.objects["Front"].hide_render = True
    return scene


def fading(width: int, height: int) -> Any:
    """Down to black, and so for the last two frames."""
    scene = stretched(product(width, height))
    for frame, exposure in ((FIRST, 0.0), (LENGTH - 1, -24.0)):
        scene.view_settings.exposure = exposure
        scene.view_settings.keyframe_insert("exposure", frame=frame)
    return scene


def cut(width: int, height: int) -> Any:
    """Two cameras, the second from the middle on."""
    scene = stretched(interior(width, height))
    other = camera(scene, (1.5, -2.0, 2.2), (1.2, -2.0, 2.2), (-0.5, 2, 1.0), 35)
    first = next(thing for thing in scene.objects if thing.type == "CAMERA" and thing != other)
    scene.camera = first
    for frame, eye in ((FIRST, first), (LENGTH // 2 + 1, other)):
        scene.timeline_markers.new(eye.name, frame=frame).camera = eye
    return scene


def static(width: int, height: int) -> Any:
    """Nothing moves but the noise."""
    scene = stretched(product(width, height))
    for thing in scene.objects:
        thing.animation_data_clear()
    scene.cycles.use_animated_seed = True
    return scene


def foggy(width: int, height: int) -> Any:
    """Textured balls in a fog; the camera travels."""
    scene = new_scene(width, height, samples=32)
    stones = terrazzo("Stones", terrazzo_image("stones", side=192, chips=90), 1.0)
    add(scene, backdrop("Backdrop", 30, 5, 9, 3), matte("Paper", (0.3, 0.3, 0.35)))
    for i, place in enumerate(((-1.6, 0, 0.8), (0.2, 1.0, 0.8), (1.8, -0.4, 0.8))):
        add(scene, ball(f"Ball {i}", 0.8), stones, place)
    moves(scene.objects["Ball 1"], "location", (0.2, 1.0, 0.8), (0.2, 1.0, 2.0))
    fog = bpy.data.materials.new("Fog")
    fog.use_nodes = True
    fog.node_tree.nodes.clear()
    volume = fog.node_tree.nodes.new("ShaderNodeVolumePrincipled")
    volume.inputs["Density"].default_value = 0.12
    output = fog.node_tree.nodes.new("ShaderNodeOutputMaterial")
    fog.node_tree.links.new(volume.outputs[0], output.inputs["Volume"])
    bpy.ops.mesh.primitive_cube_add(size=12, location=(0, 2, 3))
    bpy.context.object.data.materials.append(fog)
    area_lamp(scene, (-3, -2, 4), (0, 0, 0.8), 1.0, 600)
    sky(scene, (0.3, 0.4, 0.6), 0.3)
    camera(scene, (-1.0, -5.5, 1.7), (0.8, -5.5, 2.0), (0, 0, 0.9), 40)
    return stretched(scene)


def glowing(width: int, height: int) -> Any:
    """Denoised, with a compositor that blurs and lets things glow."""
    scene = stretched(product(width, height))
    scene.cycles.use_denoising = True
    scene.render.use_compositing = True
    composite(scene, "glow")
    return scene


SHOTS: dict[str, Callable[[int, int], Any]] = {
    one.__name__: one for one in (moving, noisy, denoised, furry, flat, workbench, fading, cut, static, foggy, glowing)
}

BIG_THINGS = {
    "moving": "Bottle", "noisy": "Table", "denoised": "Table", "furry": "Pet", "flat": "Cog", "workbench": "Table",
    "foggy": "Ball 0", "glowing": "Bottle", "static": "Bottle", "cut": "Table",
}  # fmt: skip
"""What is left out of a shot to see whether that is seen."""

TEXTURED = ("noisy", "denoised", "foggy", "cut")
"""Shots whose image textures can be lost."""
