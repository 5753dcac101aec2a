"""Four scenes unlike one another: glass and glare, noise and textures, fur and motion, hard edges and layers.

Each function leaves its scene open, without denoiser, compositor, adaptive sampling and motion blur.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import bmesh
import bpy
from parts import FIRST, LAST, add, add_passes, area_lamp, camera, glowing, masked, moves, new_scene, sky

from renderbros_addon.blender.sample_materials import ceramic, glass, matte, metal, terrazzo, terrazzo_image
from renderbros_addon.blender.sample_shapes import backdrop, ball, curve_profile, ring, rod, rounded_profile, turned


def product(width: int, height: int) -> Any:
    """A scent bottle with brass rings turning round it, small bright lamps behind, a shallow depth of field."""
    scene = new_scene(width, height, samples=24)
    add(scene, backdrop("Backdrop", 30, 5, 9, 3), matte("Paper", (0.05, 0.06, 0.09)))
    stand = metal("Lacquer", (0.30, 0.28, 0.32), 0.18)
    add(scene, turned("Stand", rounded_profile(1.5, 0.2, 0.05), 64), stand)
    outline = curve_profile([(0.0, 0.0), (0.55, 0.0), (0.62, 0.08), (0.60, 0.75), (0.45, 1.02), (0.17, 1.14)])
    bottle = turned("Bottle", [*outline, (0.17, 1.3), (0.0, 1.3)], 64)
    add(scene, bottle, masked(glass("Amber", (1.0, 0.55, 0.18))), (0, 0, 0.2))
    brass = metal("Brass", (0.92, 0.66, 0.28), 0.12)
    add(scene, rod("Stopper", 0.2, 0.5), brass, (0, 0, 1.75))
    for radius, start, end in ((0.95, (70, 15, 0), (95, 60, 30)), (1.2, (50, -40, 20), (20, -70, 60))):
        hoop = add(scene, ring(f"Hoop {radius}", radius, 0.04, 0.06), brass, (0, 0, 1.0))
        moves(hoop, "rotation_euler", _degrees(start), _degrees(end))
    for i in range(7):
        angle = math.radians(30 + 20 * i)
        place = (2.6 * math.cos(angle), 0.7 + 1.4 * math.sin(angle), 0.6 + 0.25 * (i % 3))
        colour = ((1.0, 0.55, 0.25), (0.35, 0.65, 1.0), (1.0, 0.9, 0.7))[i % 3]
        add(scene, ball(f"Bulb {i}", 0.07), glowing(f"Bulb {i}", colour, 60), place)
    area_lamp(scene, (-3, -2, 4), (0, 0, 0.8), 1.5, 220, (1.0, 0.93, 0.85))
    area_lamp(scene, (3, 1, 3), (0, 0, 0.8), 1.0, 120, (0.8, 0.9, 1.0))
    sky(scene, (0.3, 0.4, 0.6), 0.12)
    lens = camera(scene, (-0.6, -5.2, 1.7), (0.5, -5.2, 1.9), (0, 0, 0.95), 60).data.dof
    lens.use_dof, lens.focus_distance, lens.aperture_fstop = True, 5.2, 0.4
    return scene


def interior(width: int, height: int) -> Any:
    """A room with terrazzo and a picture, lit through one window: few samples, so the noise is heavy."""
    scene = new_scene(width, height, samples=12)
    wall = matte("Plaster", (0.72, 0.66, 0.58))
    for name, size, place in (
        ("Ceiling", (6, 6, 0.1), (0, 0, 3.0)),
        ("Back", (6, 0.1, 3), (0, 3, 1.5)),
        ("Right", (0.1, 6, 3), (3, 0, 1.5)),
        ("Front", (6, 0.1, 3), (0, -3, 1.5)),
        ("Left below", (0.1, 6, 0.8), (-3, 0, 0.4)),
        ("Left above", (0.1, 6, 0.5), (-3, 0, 2.75)),
        ("Left behind", (0.1, 1.6, 1.8), (-3, 2.2, 1.6)),
        ("Left before", (0.1, 2.4, 1.8), (-3, -1.8, 1.6)),
    ):
        add(scene, _box(name, size), wall, place)
    stones = terrazzo_image("terrazzo", side=192, chips=90)
    add(scene, _box("Floor", (6, 6, 0.1)), terrazzo("Terrazzo", stones, 0.6), (0, 0, -0.05))
    add(scene, _box("Picture", (1.3, 0.06, 0.9)), masked(terrazzo("Picture", stones, 1.8)), (0.9, 2.92, 1.7))
    wood = metal("Wood", (0.35, 0.17, 0.08), 0.4)
    add(scene, turned("Table", rounded_profile(0.9, 0.08, 0.03), 48), wood, (0.2, 1.1, 0.75))
    add(scene, rod("Leg", 0.08, 0.75), wood, (0.2, 1.1, 0.375))
    add(scene, ball("Bowl", 0.24), ceramic("Teal", (0.02, 0.28, 0.32)), (-0.15, 0.9, 1.07))
    add(scene, ball("Lens", 0.18), glass("Clear", (0.95, 1.0, 0.98)), (0.6, 0.85, 1.01))
    lamp = add(scene, ball("Lamp", 0.16), glowing("Lamp", (1.0, 0.62, 0.3), 18))
    moves(lamp, "location", (-1.0, 1.8, 2.2), (1.2, 1.8, 2.2))
    area_lamp(scene, (-3.6, 0.6, 2.2), (1, 0.5, 0.2), 1.6, 220, (1.0, 0.95, 0.86))
    sky(scene, (0.6, 0.75, 1.0), 0.5)
    camera(scene, (-0.3, -2.6, 1.5), (0.2, -2.6, 1.6), (0.1, 1.6, 1.15), 28)
    return scene


def meadow(width: int, height: int) -> Any:
    """A furry ball that hops over a field of flowers, one instance each; the film is transparent."""
    scene = new_scene(width, height, samples=16)
    scene.render.film_transparent = True
    hill = _grid("Hill", 14, 9.0, lambda x, y: 0.25 * math.sin(x) + 0.2 * math.cos(0.8 * y))
    soil = add(scene, hill, matte("Soil", (0.20, 0.26, 0.08)))
    _hair(soil, "Grass", 700, 0.35)
    pet = add(scene, ball("Pet", 0.75), masked(matte("Fur", (0.75, 0.32, 0.10))))
    _hair(pet, "Fur", 1500, 0.28)
    moves(pet, "location", (-1.3, -0.6, 1.0), (0.9, -0.4, 1.7))
    eye = ceramic("Eye", (0.01, 0.01, 0.02))
    for side in (-0.26, 0.26):
        add(scene, ball("Eye", 0.13), eye, (side, -0.9, 0.22)).parent = pet
    field = add(scene, _grid("Field", 9, 6.5, lambda x, y: 0.7 + 0.25 * math.sin(x)))
    field.instance_type, field.show_instancer_for_render = "VERTS", False
    flower = add(scene, ring("Flower", 0.16, 0.10, 0.05), masked(ceramic("Petal", (0.85, 0.12, 0.35)), 0.5))
    flower.parent = field
    moves(field, "rotation_euler", (0, 0, 0.2), (0, 0, 0.45))
    sun = bpy.data.lights.new("Sun", "SUN")
    sun.energy, sun.angle = 4.0, 0.05
    add(scene, sun, turn=(0.7, 0.3, 0.4))
    sky(scene, (0.45, 0.65, 1.0), 0.6)
    camera(scene, (-0.8, -6.5, 2.2), (0.4, -6.3, 2.4), (0, 0, 0.9), 40)
    return scene


def titles(width: int, height: int) -> Any:
    """Flat shapes and letters with hard edges under an orthographic camera; a bar sweeps across, a cog turns."""
    scene = new_scene(width, height, samples=8)
    scene.view_settings.view_transform = "Standard"
    for i in range(9):
        colour = ((0.02, 0.05, 0.12), (0.03, 0.09, 0.20))[i % 2]
        add(scene, _box(f"Stripe {i}", (1.2, 9, 0.1)), glowing(f"Stripe {i}", colour, 1.0), (1.2 * (i - 4), 0, -1))
    letters = bpy.data.curves.new("Letters", "FONT")
    letters.body, letters.size, letters.align_x, letters.extrude = "Tile 24", 1.6, "CENTER", 0.05
    add(scene, letters, masked(glowing("Letters", (1.0, 0.85, 0.2), 2.5)), (0, 0.1, 0))
    cog = add(scene, _cog("Cog", 12, 1.15), ceramic("Enamel", (0.75, 0.12, 0.08)), (-2.3, -1.0, 0.2))
    moves(cog, "rotation_euler", (0, 0, 0), (0, 0, 1.3))
    bar = add(scene, _box("Bar", (0.25, 3.0, 0.1)), glowing("Bar", (0.2, 1.0, 0.75), 8.0))
    moves(bar, "location", (-3.0, -0.9, 0.4), (3.4, -0.9, 0.4))
    bar.rotation_euler.z = 0.35
    area_lamp(scene, (-2, -2, 5), (0, 0, 0), 3, 120)
    sky(scene, (0.5, 0.6, 0.8), 0.4)
    eye = camera(scene, (0, -0.4, 6), (0, -0.2, 6), (0, 0, 0), 50).data
    eye.type, eye.ortho_scale = "ORTHO", 7.5
    return scene


def layered(width: int, height: int) -> Any:
    """The titles in two view layers: cog and bar in front, everything else at the back."""
    scene = titles(width, height)
    front = bpy.data.collections.new("Front")
    scene.collection.children.link(front)
    for name in ("Cog", "Bar"):
        scene.collection.objects.unlink(bpy.data.objects[name])
        front.objects.link(bpy.data.objects[name])
    scene.view_layers[0].name = "Back"
    scene.view_layers["Back"].layer_collection.children["Front"].exclude = True
    ahead = scene.view_layers.new("Front")
    add_passes(ahead)
    back = bpy.data.collections.new("Backdrop")
    scene.collection.children.link(back)
    for thing in [thing for thing in scene.collection.objects if thing.type in ("MESH", "FONT")]:
        scene.collection.objects.unlink(thing)
        back.objects.link(thing)
    ahead.layer_collection.children["Backdrop"].exclude = True
    scene.render.film_transparent = True
    return scene


BENCH_SCENES: dict[str, Callable[[int, int], Any]] = {
    "product": product,
    "interior": interior,
    "meadow": meadow,
    "titles": titles,
    "layered": layered,
}
"""By name; each takes the width and height in pixels and returns the open scene."""

MIDDLE = (FIRST + LAST) // 2
"""The frame that is compared: everything is on its way."""


def _degrees(angles: tuple[float, float, float]) -> tuple[float, float, float]:
    x, y, z = angles
    return math.radians(x), math.radians(y), math.radians(z)


def _mesh(name: str, form: Any) -> Any:
    mesh = bpy.data.meshes.new(name)
    form.to_mesh(mesh)
    form.free()
    return mesh


def _box(name: str, size: tuple[float, float, float]) -> Any:
    form = bmesh.new()
    bmesh.ops.create_cube(form, size=1)
    bmesh.ops.scale(form, vec=size, verts=form.verts)
    return _mesh(name, form)


def _grid(name: str, parts: int, width: float, height: Callable[[float, float], float]) -> Any:
    form = bmesh.new()
    bmesh.ops.create_grid(form, x_segments=parts, y_segments=parts, size=width / 2)
    for vertex in form.verts:
        vertex.co.z = height(vertex.co.x, vertex.co.y)
    return _mesh(name, form)


def _cog(name: str, teeth: int, radius: float) -> Any:
    form = bmesh.new()
    around = 4 * teeth
    for z in (0.0, 0.2):
        corners = []
        for i in range(around):
            reach = radius if i % 4 < 2 else 0.8 * radius
            corners.append((reach * math.cos(math.tau * i / around), reach * math.sin(math.tau * i / around), z))
        form.faces.new([form.verts.new(corner) for corner in corners])
    return _mesh(name, form)


def _hair(thing: Any, name: str, count: int, length: float) -> None:
    """``count`` hairs on ``thing``, ``length`` metres long."""
    hair = thing.modifiers.new(name, "PARTICLE_SYSTEM").particle_system
    hair.seed = 3
    settings = hair.settings
    settings.type, settings.count, settings.hair_length, settings.hair_step = "HAIR", count, length, 3
    settings.brownian_factor = 0.04
    settings.root_radius, settings.radius_scale = 1.0, 0.02
