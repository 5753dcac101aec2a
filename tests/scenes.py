"""Scenes for tests, built with bpy: ``python tests/scenes.py NAME OUT.blend [--option value ...]``, or imported."""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy


def fresh_scene(width: int = 64, height: int = 48, samples: int = 4, percentage: int = 100) -> Any:
    """An empty Cycles scene with a camera, a lamp and three things to see; denoising and compositing are off."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.use_denoising = False
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.seed = 7
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = percentage
    scene.render.use_compositing = False
    scene.render.use_sequencer = False
    scene.render.filepath = "//frame_####"
    scene.render.image_settings.file_format = "PNG"
    scene.frame_start, scene.frame_end = 1, 4
    _furnish(scene)
    return scene


def _material(name: str, colour: tuple[float, float, float], roughness: float, metallic: float = 0.0) -> Any:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Metallic"].default_value = metallic
    return material


def _add(scene: Any, name: str, data: Any, location: tuple[float, float, float]) -> Any:
    thing = bpy.data.objects.new(name, data)
    thing.location = location
    scene.collection.objects.link(thing)
    return thing


def _mesh(name: str, shape: Callable[[Any], Any], material: Any) -> Any:
    import bmesh

    mesh = bpy.data.meshes.new(name)
    form = bmesh.new()
    shape(form)
    form.to_mesh(mesh)
    form.free()
    mesh.materials.append(material)
    return mesh


def _furnish(scene: Any) -> None:
    import bmesh

    floor = _mesh("Floor", lambda b: bmesh.ops.create_grid(b, size=6), _material("Floor", (0.5, 0.45, 0.4), 0.6))
    _add(scene, "Floor", floor, (0, 0, 0))
    ball = _mesh(
        "Ball",
        lambda b: bmesh.ops.create_icosphere(b, subdivisions=2, radius=0.8),
        _material("Gold", (1, 0.7, 0.3), 0.2, 1),
    )
    _add(scene, "Ball", ball, (-0.9, 0, 0.8))
    cube = _mesh("Cube", lambda b: bmesh.ops.create_cube(b, size=1.2), _material("Blue", (0.1, 0.2, 0.8), 0.4))
    moving = _add(scene, "Cube", cube, (0.9, 0.2, 0.6))
    for frame, x in ((1, 0.7), (4, 1.3)):
        moving.location.x = x
        moving.keyframe_insert("location", index=0, frame=frame)
    lamp = bpy.data.lights.new("Lamp", "AREA")
    lamp.energy, lamp.size = 300, 3
    _add(scene, "Lamp", lamp, (1, -1, 4))
    camera = _add(scene, "Camera", bpy.data.cameras.new("Camera"), (0, -6, 2.6))
    camera.rotation_euler = (1.22, 0, 0)
    scene.camera = camera
    world = bpy.data.worlds.new("World")
    scene.world = world
    if world.node_tree is None:
        world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.2, 0.25, 0.35, 1)


def hard_corner(**options: Any) -> Any:
    """A scene that is open: glass balls in the top right corner, and nothing but sky elsewhere."""
    import bmesh

    scene = fresh_scene(**options)
    for thing in [thing for thing in scene.objects if thing.type == "MESH"]:
        bpy.data.objects.remove(thing)
    camera = scene.camera
    camera.location, camera.rotation_euler = (0, 0, 10), (0, 0, 0)
    camera.data.type, camera.data.ortho_scale = "ORTHO", 8
    glass = _material("Glass", (0.9, 0.97, 1), 0.05)
    shader = next(node for node in glass.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Transmission Weight"].default_value = 1
    ball = _mesh("Glass", lambda b: bmesh.ops.create_icosphere(b, subdivisions=3, radius=0.35), glass)
    place = random.Random(1)
    for number in range(60):
        where = (place.uniform(2.2, 4.0), place.uniform(1.0, 2.2), place.uniform(-1.5, 1.5))
        _add(scene, f"Ball {number}", ball, where)
    scene.cycles.max_bounces = scene.cycles.transmission_bounces = scene.cycles.glossy_bounces = 32
    return scene


def crowd(**options: Any) -> Any:
    """A scene whose set-up takes longer than its samples: a moving ball and camera before a crowd that stands still.

    90 instances of six meshes of 81,920 triangles each, and six image textures of 2048×2048 pixels.
    """
    import bmesh
    import numpy as np

    scene = fresh_scene(**options)
    place = np.random.default_rng(5)
    meshes = []
    for number in range(6):
        image = bpy.data.images.new(f"Noise {number}", 2048, 2048)
        spots = place.random((128, 128, 4), dtype=np.float32)
        spots[..., 3] = 1
        image.pixels.foreach_set(np.repeat(np.repeat(spots, 16, axis=0), 16, axis=1).ravel())
        image.pack()
        material = _material(f"Figure {number}", (1, 1, 1), 0.6)
        nodes = material.node_tree.nodes
        texture = nodes.new("ShaderNodeTexImage")
        texture.image = image
        shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
        material.node_tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
        mesh = _mesh(
            f"Figure {number}",
            lambda b: bmesh.ops.create_icosphere(b, subdivisions=7, radius=0.3, calc_uvs=True),
            material,
        )
        meshes.append(mesh)
    for number in range(90):
        where = (-4.5 + 0.9 * (number % 10), 1.5 + 0.8 * (number // 10), 0.3)
        _add(scene, f"Figure {number}", meshes[number % 6], where)
    last = scene.frame_end = 40
    ball, camera = bpy.data.objects["Ball"], scene.camera
    for thing, x in ((ball, 2.5), (camera, 0.8)):
        for frame, to in ((1, -x), (last, x)):
            thing.location.x = to
            thing.keyframe_insert("location", index=0, frame=frame)
    return scene


def save(path: Path, *, compress: bool = False) -> Path:
    """Save the open scene as ``path``."""
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=compress)
    return path


def simple(out: Path, **options: Any) -> None:
    """A ball and a moving cube."""
    fresh_scene(**options)
    save(out)


def corner(out: Path, **options: Any) -> None:
    """What takes long to render lies in one corner."""
    hard_corner(**options)
    save(out)


def crowded(out: Path, **options: Any) -> None:
    """What stands still takes longer to set up than the samples of a small frame take."""
    crowd(**options)
    save(out)


def finished(out: Path, **options: Any) -> None:
    """The same, denoised, with glare, and with File Output writing what was denoised to ``elsewhere/``."""
    sys.path.append(str(Path(__file__).parent))
    from scene_features import denoised, ends, file_output, through

    scene = fresh_scene(**options)
    denoised(scene)
    file_output(scene)
    tree = scene.compositing_node_group if hasattr(scene, "compositing_node_group") else scene.node_tree
    layers, output = ends(tree)
    tree.links.new(through(tree, "CompositorNodeGlare", layers.outputs["Image"]), output.inputs[0])
    save(out)


SCENES: dict[str, Callable[..., None]] = {"simple": simple, "corner": corner, "crowded": crowded, "finished": finished}


def main() -> None:
    """Build the scene that the command line names."""
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(SCENES))
    parser.add_argument("out", type=Path)
    for option, default in (("width", 64), ("height", 48), ("samples", 4), ("percentage", 100)):
        parser.add_argument(f"--{option}", type=int, default=default)
    given = vars(parser.parse_args(words))
    out = given.pop("out").resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    SCENES[given.pop("name")](out, **given)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Blender as a module can hang on the interpreter's own way out.
    os._exit(0)
