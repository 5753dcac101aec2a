"""The sample scene: a gyroscope among ceramics and glass on a terrazzo plinth. Built by code, nothing downloaded."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import bpy

from .sample_materials import ceramic, dipped_ceramic, glass, matte, metal, terrazzo, terrazzo_image
from .sample_shapes import backdrop, ball, curve_profile, ring, rod, rounded_profile, turned

WIDTH, HEIGHT, SAMPLES, SEED = 640, 360, 128, 2024
FIRST, LAST = 1, 4

_TOP = 0.36
"""Height of the plinth in metres: what stands on it starts here."""
_GYRO = (0.0, 0.0, _TOP + 1.32)
"""Where the rings turn."""


def build_sample(path: Path) -> None:
    """Save the sample scene as ``path``; whatever was open is gone.

    Cycles, 640 by 360 pixels, four frames, seed pinned, no denoiser and no compositor: it tiles exactly.
    """
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.name = "Still life"
    _configure(scene)
    _build_stage(scene)
    _build_gyroscope(scene)
    _build_company(scene)
    _light(scene)
    _build_camera(scene)
    scene.frame_set(FIRST)
    path.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True)


def _configure(scene: Any) -> None:
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = WIDTH, HEIGHT, 100
    render.use_compositing = render.use_sequencer = False
    render.filepath = "//frame_####"
    render.image_settings.file_format = "PNG"
    render.image_settings.color_mode = "RGB"
    scene.frame_start, scene.frame_end = FIRST, LAST
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    cycles.device = "CPU"
    cycles.samples, cycles.seed, cycles.use_animated_seed = SAMPLES, SEED, False
    # Half of the picture is a plain wall, which is clean after a few samples.
    cycles.use_adaptive_sampling, cycles.adaptive_threshold, cycles.adaptive_min_samples = True, 0.035, 12
    cycles.use_denoising = cycles.use_light_tree = False
    with suppress(TypeError):  # the oldest Blenders don't have it; it only makes the noise look finer
        cycles.sampling_pattern = "BLUE_NOISE"
    # What makes it clean at few samples: no caustics, few bounces of soft light, no outliers.
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces, cycles.transmission_bounces = 6, 1, 2, 6
    cycles.sample_clamp_indirect, cycles.blur_glossy = 1.0, 3.0


def _build_stage(scene: Any) -> None:
    wall = _add(scene, backdrop("Backdrop", 40, 8, 14, 4), matte("Wall", (0.10, 0.20, 0.24)))
    wall.location = (0, 0, 0)
    stone = terrazzo("Terrazzo", terrazzo_image("terrazzo"), 0.42)
    _add(scene, turned("Plinth", rounded_profile(2.75, _TOP, 0.06), 192), stone)


def _build_gyroscope(scene: Any) -> None:
    brass = metal("Brass", (0.91, 0.62, 0.26), 0.16)
    steel = metal("Steel", (0.80, 0.82, 0.85), 0.12)
    foot = curve_profile(
        [(0.0, 0.0), (0.42, 0.0), (0.44, 0.04), (0.40, 0.09), (0.14, 0.16), (0.07, 0.30), (0.06, 0.36)]
    )
    _add(scene, turned("Foot", [*foot, (0.0, 0.36)]), brass, (0, 0, _TOP))
    outer = _add(scene, ring("Outer ring", 0.94, 0.07, 0.13), brass, _GYRO)
    outer.rotation_euler = (math.radians(90), 0, math.radians(-28))
    middle = _add(scene, ring("Middle ring", 0.76, 0.06, 0.11), steel, _GYRO)
    inner = _add(scene, ring("Inner ring", 0.59, 0.05, 0.10), brass, _GYRO)
    heart = _add(scene, ball("Heart", 0.34), ceramic("Coral", (0.80, 0.13, 0.07)), _GYRO)
    axle = _add(scene, rod("Axle", 0.022, 1.16), steel, _GYRO)
    _turn(middle, (62, 24, 20), (14, 4, 9))
    _turn(inner, (18, -38, 60), (-6, 17, 12))
    _turn(axle, (18 + 90, -38, 60), (-6, 17, 12))
    heart.rotation_euler = (0, 0, 0)


def _build_company(scene: Any) -> None:
    vase_height = 1.55
    outside = curve_profile(
        [
            (0.0, 0.0),
            (0.30, 0.0),
            (0.36, 0.05),
            (0.56, 0.45),
            (0.55, 0.78),
            (0.28, 1.15),
            (0.19, 1.34),
            (0.27, vase_height),
        ]
    )
    inside = curve_profile([(0.235, vase_height), (0.155, 1.34), (0.24, 1.14), (0.50, 0.78), (0.30, 0.10), (0.0, 0.10)])
    vase = dipped_ceramic("Vase glaze", (0.46, 0.17, 0.09), (0.02, 0.19, 0.21), (0.40, 0.62, 0.58), vase_height)
    _add(scene, turned("Vase", [*outside, *inside]), vase, (-1.62, 0.55, _TOP))

    bowl_out = curve_profile([(0.0, 0.0), (0.2, 0.0), (0.24, 0.06), (0.46, 0.24), (0.56, 0.46)])
    bowl_in = curve_profile([(0.52, 0.47), (0.42, 0.27), (0.22, 0.11), (0.0, 0.08)])
    bowl = dipped_ceramic("Bowl glaze", (0.46, 0.17, 0.09), (0.03, 0.09, 0.20), (0.30, 0.42, 0.55), 0.47)
    _add(scene, turned("Bowl", [*bowl_out, *bowl_in]), bowl, (1.62, 0.62, _TOP))

    _stand(scene, ball("Glass ball", 0.40), 0.40, glass("Clear glass", (0.93, 0.99, 0.97)), (1.02, -1.02))
    _stand(scene, ball("Amber ball", 0.20), 0.20, glass("Amber glass", (1.0, 0.62, 0.20)), (-0.62, -1.42))
    _stand(scene, ball("Steel ball", 0.26), 0.26, metal("Mirror", (0.9, 0.9, 0.92), 0.05), (-1.28, -0.82))
    _stand(scene, ball("Yellow ball", 0.17), 0.17, ceramic("Yellow", (0.86, 0.52, 0.08)), (0.28, -1.55))
    _stand(scene, ball("Teal ball", 0.13), 0.13, ceramic("Teal", (0.03, 0.32, 0.33)), (1.72, -0.72))
    _stand(scene, ball("Coral ball", 0.12), 0.12, ceramic("Coral glaze", (0.80, 0.16, 0.09)), (-1.86, -0.42))


def _light(scene: Any) -> None:
    _area(scene, "Key", (-4.4, -2.6, 5.4), (0, 0, 1.0), 2.6, 520, (1.0, 0.90, 0.78))
    _area(scene, "Rim", (3.6, 3.8, 4.6), (0, 0, 1.0), 2.2, 260, (1.0, 0.94, 0.86))
    world = bpy.data.worlds.new("Studio")
    scene.world = world
    if world.node_tree is None:
        world.use_nodes = True
    sky = next(node for node in world.node_tree.nodes if node.bl_idname == "ShaderNodeBackground")
    sky.inputs["Color"].default_value = (0.62, 0.80, 1.0, 1)
    # An even sky is found by every ray that leaves; aiming at it would only take samples from the lamps.
    world.cycles.sampling_method = "NONE"
    sky.inputs["Strength"].default_value = 0.32


def _build_camera(scene: Any) -> None:
    target = bpy.data.objects.new("Focus", None)
    target.location = (0, -0.2, _TOP + 0.92)
    scene.collection.objects.link(target)
    data = bpy.data.cameras.new("Camera")
    data.lens, data.sensor_width = 58, 36
    data.dof.use_dof, data.dof.focus_object, data.dof.aperture_fstop = True, target, 1.1
    camera = bpy.data.objects.new("Camera", data)
    scene.collection.objects.link(camera)
    scene.camera = camera
    look = camera.constraints.new("TRACK_TO")
    look.target, look.track_axis, look.up_axis = target, "TRACK_NEGATIVE_Z", "UP_Y"
    for frame in (FIRST, LAST):
        angle = math.radians(-9 + 5.0 * (frame - FIRST))
        camera.location = (8.3 * math.sin(angle), -8.3 * math.cos(angle), 3.0 + 0.06 * (frame - FIRST))
        camera.keyframe_insert("location", frame=frame)


def _add(scene: Any, mesh: Any, material: Any, location: tuple[float, float, float] = (0, 0, 0)) -> Any:
    mesh.materials.append(material)
    thing = bpy.data.objects.new(mesh.name, mesh)
    thing.location = location
    scene.collection.objects.link(thing)
    return thing


def _stand(scene: Any, mesh: Any, radius: float, material: Any, place: tuple[float, float]) -> None:
    _add(scene, mesh, material, (*place, _TOP + radius))


def _turn(thing: Any, start: tuple[float, float, float], per_frame: tuple[float, float, float]) -> None:
    """Turn ``thing`` from the Euler angles ``start`` by ``per_frame``, both in degrees."""
    for frame in (FIRST, LAST):
        angles = (a + b * (frame - FIRST) for a, b in zip(start, per_frame, strict=True))
        thing.rotation_euler = tuple(math.radians(angle) for angle in angles)
        thing.keyframe_insert("rotation_euler", frame=frame)


def _area(
    scene: Any,
    name: str,
    place: tuple[float, float, float],
    towards: tuple[float, float, float],
    side: float,
    watts: float,
    colour: tuple[float, float, float],
) -> None:
    from mathutils import Vector

    light = bpy.data.lights.new(name, "AREA")
    light.shape, light.size, light.energy, light.color = "SQUARE", side, watts, colour
    thing = bpy.data.objects.new(name, light)
    thing.location = place
    thing.rotation_euler = (Vector(towards) - Vector(place)).to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(thing)
