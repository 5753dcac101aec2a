"""Materials of the sample scene, and its one image: terrazzo, drawn with numpy and packed into the file."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

Colour = tuple[float, float, float]
"""Scene-linear red, green and blue."""


def metal(name: str, colour: Colour, roughness: float) -> Any:
    """Bare metal."""
    material, _, shader = _principled(name)
    _set(shader, base=colour, roughness=roughness)
    shader.inputs["Metallic"].default_value = 1.0
    return material


def ceramic(name: str, colour: Colour) -> Any:
    """Glazed clay."""
    material, _, shader = _principled(name)
    _set(shader, base=colour, roughness=0.09)
    return material


def dipped_ceramic(name: str, body: Colour, glaze: Colour, rim: Colour, height: float) -> Any:
    """Ceramic of the colour ``body``, dipped in a ``glaze`` that has run; ``height`` in metres is the vessel's."""
    material, tree, shader = _principled(name)
    _set(shader, base=body, roughness=0.09)
    place = tree.nodes.new("ShaderNodeTexCoord")
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = 3.2
    noise.inputs["Detail"].default_value = 4.0
    split = tree.nodes.new("ShaderNodeSeparateXYZ")
    level = tree.nodes.new("ShaderNodeMath")
    level.operation = "MULTIPLY_ADD"
    level.inputs[1].default_value = 1.0 / height
    wave = tree.nodes.new("ShaderNodeMath")
    wave.operation = "MULTIPLY_ADD"
    wave.inputs[1].default_value = 0.22
    wave.inputs[2].default_value = -0.11
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    stops = ramp.color_ramp
    stops.elements[0].position, stops.elements[0].color = 0.40, (*body, 1)
    stops.elements[1].position, stops.elements[1].color = 0.97, (*rim, 1)
    for position, colour in ((0.425, glaze), (0.88, glaze)):
        stops.elements.new(position).color = (*colour, 1)
    tree.links.new(place.outputs["Object"], noise.inputs["Vector"])
    tree.links.new(place.outputs["Object"], split.inputs["Vector"])
    tree.links.new(noise.outputs[0], wave.inputs[0])
    tree.links.new(split.outputs["Z"], level.inputs[0])
    tree.links.new(wave.outputs[0], level.inputs[2])
    tree.links.new(level.outputs[0], ramp.inputs["Fac"])
    tree.links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
    return material


def glass(name: str, tint: Colour) -> Any:
    """Glass that lets light through to the ground without caustics, which would need many samples."""
    material, tree, shader = _principled(name)
    _set(shader, base=tint, roughness=0.0)
    shader.inputs["Transmission Weight"].default_value = 1.0
    shader.inputs["IOR"].default_value = 1.47
    clear = tree.nodes.new("ShaderNodeBsdfTransparent")
    clear.inputs["Color"].default_value = (*(0.35 + 0.6 * part for part in tint), 1)
    ray = tree.nodes.new("ShaderNodeLightPath")
    mix = tree.nodes.new("ShaderNodeMixShader")
    surface = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeOutputMaterial").inputs["Surface"]
    tree.links.new(ray.outputs["Is Shadow Ray"], mix.inputs[0])
    tree.links.new(shader.outputs[0], mix.inputs[1])
    tree.links.new(clear.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], surface)
    return material


def matte(name: str, colour: Colour) -> Any:
    """A painted wall."""
    material, _, shader = _principled(name)
    _set(shader, base=colour, roughness=0.9)
    shader.inputs["Specular IOR Level"].default_value = 0.1
    return material


def terrazzo(name: str, image: Any, scale: float) -> Any:
    """Polished terrazzo, ``scale`` repetitions of ``image`` to the metre, laid on from above and around."""
    material, tree, shader = _principled(name)
    _set(shader, base=(0.8, 0.8, 0.8), roughness=0.5)
    shader.inputs["Coat Weight"].default_value = 0.2
    shader.inputs["Coat Roughness"].default_value = 0.12
    place = tree.nodes.new("ShaderNodeTexCoord")
    mapping = tree.nodes.new("ShaderNodeMapping")
    mapping.inputs["Scale"].default_value = (scale, scale, scale)
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    texture.projection = "BOX"
    texture.projection_blend = 0.2
    tree.links.new(place.outputs["Object"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], texture.inputs["Vector"])
    tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    return material


def terrazzo_image(name: str, side: int = 768, chips: int = 230, seed: int = 11) -> Any:
    """An sRGB image of stone chips in cement that repeats without a seam, packed into the open file."""
    rng = np.random.default_rng(seed)
    centres = rng.random((chips, 2)).astype(np.float32)
    palette = np.array(
        [(0.86, 0.42, 0.30), (0.17, 0.36, 0.40), (0.90, 0.72, 0.42), (0.55, 0.60, 0.62), (0.97, 0.93, 0.88)],
        np.float32,
    )
    colours = palette[rng.choice(len(palette), chips, p=(0.2, 0.22, 0.2, 0.23, 0.15))]
    colours = np.clip(colours * rng.uniform(0.85, 1.1, (chips, 1)).astype(np.float32), 0, 1)
    gap = rng.uniform(0.004, 0.030, chips).astype(np.float32)
    cement = np.array((0.78, 0.75, 0.70), np.float32)
    picture = np.ones((side, side, 4), np.float32)
    grid = (np.arange(side, dtype=np.float32) + 0.5) / side
    for row, y in enumerate(grid):
        dx = np.abs(grid[:, None] - centres[None, :, 0])
        dy = np.abs(y - centres[:, 1])[None, :]
        # The nearest centre across the image's edges, so that it tiles.
        far = np.hypot(np.minimum(dx, 1 - dx), np.minimum(dy, 1 - dy))
        order = np.argpartition(far, 1, axis=1)[:, :2]
        near = np.take_along_axis(far, order, axis=1)
        first = np.where(near[:, 0] <= near[:, 1], order[:, 0], order[:, 1])
        # A chip is a Voronoi cell shrunk by its own gap, with an edge two pixels soft.
        edge = np.abs(near[:, 1] - near[:, 0]) / 2
        share = np.clip((edge - gap[first]) * side / 2, 0, 1)[:, None]
        grain = rng.normal(0, 0.012, (side, 1)).astype(np.float32)
        picture[row, :, :3] = np.clip(cement * (1 - share) + colours[first] * share + grain, 0, 1)
    image = bpy.data.images.new(name, side, side)
    image.pixels.foreach_set(picture.ravel())
    image.pack()
    return image


def _principled(name: str) -> tuple[Any, Any, Any]:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        # Since 5.0 every material has nodes from the start, and the switch is on its way out.
        material.use_nodes = True
    tree = material.node_tree
    return material, tree, next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")


def _set(shader: Any, base: Colour, roughness: float) -> None:
    shader.inputs["Base Color"].default_value = (*base, 1.0)
    shader.inputs["Roughness"].default_value = roughness
