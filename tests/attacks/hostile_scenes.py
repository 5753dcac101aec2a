"""Scenes that try to do harm, each in one way: built with bpy into the folder of a job.

A scene is black but for what it steals: everything in ``outside`` that can be shown is green. What it writes, it
writes into ``outside``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

GREEN = (0.0, 1.0, 0.0, 1.0)
WIDTH, HEIGHT = 24, 16


class NotHere(Exception):
    """This Blender has nothing that the attack could be made with."""


@dataclass(frozen=True)
class Place:
    """``root`` is the job's folder, ``outside`` the owner's, which the job doesn't bring."""

    root: Path
    outside: Path

    @property
    def proof(self) -> str:
        """What a script of the scene writes."""
        return f"{self.outside.as_posix()}/proof.txt"

    def stolen(self, name: str) -> str:
        """The path of what there is to steal. NotHere if this Blender could not make it."""
        path = self.outside / name
        if not path.is_file():
            raise NotHere(f"no {name} could be made")
        return str(path)


@dataclass(frozen=True)
class Attack:
    name: str
    build: Callable[[Any, Place], None]
    by_system: bool = False
    """Only the system's guards hold it: Blender itself can't be kept from it."""


ATTACKS: list[Attack] = []

_Build = Callable[[Any, Place], None]


def attack(build: _Build) -> _Build:
    ATTACKS.append(Attack(build.__name__, build))
    return build


def only_system(build: _Build) -> _Build:
    ATTACKS.append(Attack(build.__name__, build, by_system=True))
    return build


def build(one: Attack, place: Place) -> Path:
    """Save the scene of ``one``; its path. NotHere if this Blender can't."""
    blend = place.root / "scene.blend"
    scene = black_scene()
    one.build(scene, place)
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), compress=False)
    return blend


def black_scene() -> Any:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    dress(scene)
    return scene


def dress(scene: Any) -> None:
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 1, False, False
    scene.cycles.max_bounces = 0
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
    scene.render.use_compositing = scene.render.use_sequencer = False
    scene.render.filepath = "//frame_####"
    scene.render.image_settings.file_format = "PNG"
    scene.view_settings.view_transform = "Standard"
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = (0, 0, 2)
    scene.collection.objects.link(camera)
    scene.camera = camera


def plane_mesh(name: str = "Plane", size: float = 4.0) -> Any:
    mesh = bpy.data.meshes.new(name)
    corners = [(-size, -size, 0), (size, -size, 0), (size, size, 0), (-size, size, 0)]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    mesh.uv_layers.new()
    return mesh


def wall(scene: Any, mesh: Any = None) -> tuple[Any, Any]:
    """A plane before the camera, black as yet: itself and its emission node."""
    thing = bpy.data.objects.new("Wall", mesh or plane_mesh())
    scene.collection.objects.link(thing)
    return thing, emission(thing.data)


def emission(mesh: Any, colour: tuple[float, ...] = (0, 0, 0, 1)) -> Any:
    material = bpy.data.materials.new("Glow")
    if material.node_tree is None:
        material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    glow, out = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    glow.inputs["Color"].default_value = colour
    material.node_tree.links.new(glow.outputs[0], out.inputs[0])
    mesh.materials.append(material)
    return glow


def shown(scene: Any, image: Any) -> Any:
    """Shows an image on a wall; its node."""
    _, glow = wall(scene)
    tree = glow.id_data
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    tree.links.new(node.outputs[0], glow.inputs["Color"])
    return node


def load_lazily(path: str, source: str = "FILE") -> Any:
    """An image with that path, however it is written."""
    image = bpy.data.images.new("Stolen", 8, 8)
    image.source = source
    image.filepath = path
    return image


def compositor(scene: Any) -> Any:
    """A compositor whose nodes are to be made; with its output wired to the render."""
    scene.render.use_compositing = True
    if hasattr(scene, "compositing_node_group"):
        tree = bpy.data.node_groups.new("Comp", "CompositorNodeTree")
        scene.compositing_node_group = tree
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        out = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        out = tree.nodes.new("CompositorNodeComposite")
    layers = tree.nodes.new("CompositorNodeRLayers")
    layers.scene = scene
    tree.links.new(layers.outputs[0], out.inputs[0])
    return tree


def strips(scene: Any) -> Any:
    scene.render.use_sequencer = True
    editor = scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def other_scene() -> Any:
    scene = bpy.data.scenes.new("Other")
    dress(scene)
    return scene


def link_object(scene: Any, path: Path, name: str) -> None:
    with bpy.data.libraries.load(str(path), link=True) as (_, wanted):
        wanted.objects = [name]
    scene.collection.objects.link(wanted.objects[0])
