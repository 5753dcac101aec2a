"""Builds the scenes that are cheated with: ``subjects.py ORDERS.json``, run by a Python or a Blender with bpy.

They are those of the equality bench, each with an image texture that can go missing, in a file beside the .blend. The
fur has fog around it and motion blur: builds differ in nothing as much. The product is sampled adaptively.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

# The equality bench's modules and the project.
sys.path.extend(str(path) for path in (Path(__file__).resolve().parents[1] / "equality", Path(__file__).parents[3]))

import bpy
from bench_scenes import BENCH_SCENES
from parts import add, glowing

from renderbros_addon.blender.sample_materials import terrazzo, terrazzo_image

BUILT_FROM = {"product": "product", "interior": "interior", "fur": "meadow", "titles": "titles"}

HANDLES: dict[str, dict[str, str]] = {
    "product": {"hidden": "Hoop 0.95", "texture": "label", "lamp": "Lamp", "moved": "Stopper"},
    "interior": {"hidden": "Bowl", "texture": "poster", "lamp": "Lamp.001", "moved": "Table"},
    "fur": {"hidden": "Flower", "texture": "soil", "lamp": "Sun", "moved": "Pet"},
    "titles": {"hidden": "Cog", "texture": "plate", "lamp": "Lamp", "moved": "Letters"},
}
"""What the cheats take hold of: an object to leave out, an image, a lamp, an object that once stood elsewhere."""


def build(name: str, size: tuple[int, int], samples: int, blend: Path) -> None:
    """Save the scene ``name`` as ``blend``, its texture beside it."""
    scene = BENCH_SCENES[BUILT_FROM[name]](*size)
    scene.cycles.samples, scene.cycles.max_bounces = samples, 4
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_mist = layer.use_pass_normal = layer.use_pass_vector = False
    layer.use_pass_cryptomatte_object = False
    layer.aovs.remove(layer.aovs[0])
    # Dither is added to renders only: without it, forged floats are developed to what the render itself would be.
    scene.render.dither_intensity = 0
    # As a tile of a frame that is denoised afterwards has them.
    layer.cycles.denoising_store_passes = True
    image = _textured(scene, name)
    path = blend.with_name(f"{name}.png")
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    stored = bpy.data.images.load(str(path))
    image.user_remap(stored)
    bpy.data.images.remove(image)
    stored.name = HANDLES[name]["texture"]
    for handle in ("hidden", "moved", "lamp"):
        scene.objects[HANDLES[name][handle]]
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), compress=True)
    bpy.ops.file.make_paths_relative()
    bpy.ops.wm.save_mainfile(compress=True)


def _textured(scene: Any, name: str) -> Any:
    """Give something in the scene an image, which is returned."""
    image = terrazzo_image("chips", side=192, chips=90)
    if name == "product":
        scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold = True, 0.01
        _replace(scene.objects["Stand"], terrazzo("Stone", image, 1.2))
    elif name == "interior":
        _replace(scene.objects["Picture"], terrazzo("Poster", image, 1.8))
    elif name == "fur":
        scene.render.use_motion_blur, scene.render.motion_blur_shutter = True, 0.8
        _replace(scene.objects["Hill"], terrazzo("Ground", image, 0.8))
        _fog(scene)
    else:
        _plate(scene, image)
    return image


def _replace(thing: Any, material: Any) -> None:
    thing.data.materials[0] = material


def _fog(scene: Any) -> None:
    material = bpy.data.materials.new("Fog")
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    fog, output = tree.nodes.new("ShaderNodeVolumeScatter"), tree.nodes.new("ShaderNodeOutputMaterial")
    fog.inputs["Density"].default_value = 0.05
    tree.links.new(fog.outputs[0], output.inputs["Volume"])
    bpy.ops.mesh.primitive_cube_add(size=10, location=(0, 0, 3.5))
    cube = bpy.context.object
    cube.name = "Fog"
    cube.data.materials.append(material)


def _plate(scene: Any, image: Any) -> None:
    """A square that shines as ``image`` says."""
    material = glowing("Plate", (1, 1, 1), 1.0)
    tree = material.node_tree
    lamp = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeEmission")
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    tree.links.new(texture.outputs["Color"], lamp.inputs["Color"])
    mesh = bpy.data.meshes.new("Plate")
    mesh.from_pydata([(-0.8, -0.8, 0), (0.8, -0.8, 0), (0.8, 0.8, 0), (-0.8, 0.8, 0)], [], [(0, 1, 2, 3)])
    corners = mesh.uv_layers.new().data
    for corner, place in zip(corners, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
        corner.uv = place
    add(scene, mesh, material, at=(2.4, -1.4, 0.2))


def main() -> None:
    """Build what the file named on the command line lists."""
    wanted = json.loads(Path(sys.argv[-1]).read_text())
    for name, path in wanted["scenes"].items():
        build(name, tuple(wanted["size"]), wanted["samples"], Path(path))
    Path(wanted["handles"]).write_text(json.dumps(HANDLES))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Blender as a module can hang on the interpreter's own way out.
    os._exit(0)
