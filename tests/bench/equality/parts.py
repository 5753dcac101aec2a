"""What the scenes of the equality bench are put together from: settings, things, motion, light and a camera."""

from __future__ import annotations

from typing import Any

import bpy
from mathutils import Vector

Place = tuple[float, float, float]
"""Metres."""

FIRST, LAST = 1, 5


def new_scene(width: int, height: int, samples: int) -> Any:
    """An empty Cycles scene that has every pass which a compositor of the bench uses; whatever was open is gone."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = FIRST, LAST
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y = width, height
    render.use_sequencer = False
    render.filepath = "//frame_####"
    image = render.image_settings
    image.file_format, image.color_mode, image.color_depth = "PNG", "RGBA", "8"
    cycles.device, cycles.samples, cycles.seed = "CPU", samples, 11
    cycles.use_adaptive_sampling = cycles.use_denoising = False
    cycles.max_bounces = 6
    for layer in scene.view_layers:
        add_passes(layer)
    return scene


def add_passes(layer: Any) -> None:
    """Depth, mist, normal, vector, object Cryptomatte and the AOV ``Mask``."""
    layer.use_pass_z = layer.use_pass_mist = layer.use_pass_normal = layer.use_pass_cryptomatte_object = True
    layer.use_pass_vector = True
    aov = layer.aovs.add()
    aov.name, aov.type = "Mask", "VALUE"


def masked(material: Any, value: float = 1.0) -> Any:
    """``material``, which from now on writes ``value`` to the AOV ``Mask``."""
    node = material.node_tree.nodes.new("ShaderNodeOutputAOV")
    node.aov_name = "Mask"
    node.inputs["Value"].default_value = value
    return material


def glowing(name: str, colour: tuple[float, float, float], strength: float) -> Any:
    """A material that is a lamp; ``strength`` in watts per square metre."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    lamp, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    lamp.inputs["Color"].default_value, lamp.inputs["Strength"].default_value = (*colour, 1), strength
    tree.links.new(lamp.outputs[0], output.inputs["Surface"])
    return material


def add(scene: Any, data: Any, material: Any = None, at: Place = (0, 0, 0), turn: Place = (0, 0, 0)) -> Any:
    """An object with ``data`` at ``at``, turned by the Euler angles ``turn`` in radians."""
    if material is not None:
        data.materials.append(material)
    thing = bpy.data.objects.new(data.name, data)
    thing.location, thing.rotation_euler = at, turn
    scene.collection.objects.link(thing)
    return thing


def moves(thing: Any, attribute: str, start: Place, end: Place) -> None:
    """Animate a vector of ``thing`` from ``start`` in the first frame to ``end`` in the last."""
    for frame, value in ((FIRST, start), (LAST, end)):
        setattr(thing, attribute, value)
        thing.keyframe_insert(attribute, frame=frame)


def towards(place: Place, target: Place) -> Any:
    """Euler angles that turn a camera or lamp at ``place`` to ``target``."""
    return (Vector(target) - Vector(place)).to_track_quat("-Z", "Y").to_euler()


def area_lamp(scene: Any, at: Place, target: Place, size: float, watts: float, colour: Place = (1, 1, 1)) -> Any:
    """A square lamp, ``size`` metres wide."""
    lamp = bpy.data.lights.new("Lamp", "AREA")
    lamp.size, lamp.energy, lamp.color = size, watts, colour
    return add(scene, lamp, at=at, turn=towards(at, target))


def sky(scene: Any, colour: Place, strength: float) -> None:
    """An even sky; mist begins three metres from the camera and is thick ten metres on."""
    world = bpy.data.worlds.new("World")
    if world.node_tree is None:
        world.use_nodes = True
    shader = next(node for node in world.node_tree.nodes if node.bl_idname == "ShaderNodeBackground")
    shader.inputs["Color"].default_value, shader.inputs["Strength"].default_value = (*colour, 1), strength
    world.mist_settings.start, world.mist_settings.depth = 3, 10
    scene.world = world


def camera(scene: Any, start: Place, end: Place, target: Place, lens: float) -> Any:
    """The scene's camera, which travels from ``start`` to ``end`` and looks at ``target``; ``lens`` in millimetres."""
    data = bpy.data.cameras.new("Camera")
    data.lens = lens
    thing = add(scene, data)
    moves(thing, "location", start, end)
    for frame, place in ((FIRST, start), (LAST, end)):
        thing.rotation_euler = towards(place, target)
        thing.keyframe_insert("rotation_euler", frame=frame)
    scene.camera = thing
    return thing
