"""What can be switched on in a scene of ``scenes.fresh_scene``, one function a feature, to see whether it tiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy


def _tree(material: str) -> tuple[Any, Any, Any]:
    tree = bpy.data.materials[material].node_tree
    output = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeOutputMaterial")
    return tree, output, next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")


def plain(scene: Any) -> None:
    """As it is."""


def percentage(scene: Any) -> None:
    scene.render.resolution_percentage = 67


def all_passes(scene: Any) -> None:
    """Every pass there is: depth, normal, Cryptomatte, lights, an AOV, what the denoiser needs."""
    layer = scene.view_layers[0]
    for owner in (layer, layer.cycles):
        for prop in owner.bl_rna.properties:
            if prop.identifier.startswith("use_pass_") and not prop.is_readonly:
                setattr(owner, prop.identifier, True)
    layer.cycles.denoising_store_passes = True
    aov = layer.aovs.add()
    aov.name, aov.type = "mask", "VALUE"
    tree, _, _ = _tree("Gold")
    node = tree.nodes.new("ShaderNodeOutputAOV")
    node.aov_name = "mask"
    node.inputs["Value"].default_value = 0.5


def adaptive(scene: Any) -> None:
    scene.cycles.use_adaptive_sampling = True
    scene.cycles.adaptive_threshold, scene.cycles.adaptive_min_samples, scene.cycles.samples = 0.1, 4, 64


def motion_blur(scene: Any) -> None:
    scene.render.use_motion_blur, scene.render.motion_blur_shutter = True, 1.0


def depth_of_field(scene: Any) -> None:
    focus = scene.camera.data.dof
    focus.use_dof, focus.aperture_fstop, focus.focus_distance = True, 0.3, 5


def film_offset(scene: Any) -> None:
    scene.camera.data.shift_x, scene.camera.data.shift_y = 0.2, -0.13


def wide_filter(scene: Any) -> None:
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "GAUSSIAN", 3.0


def panorama(scene: Any) -> None:
    scene.camera.data.type = "PANO"


def set_border(scene: Any, crop: bool) -> None:
    render = scene.render
    render.use_border, render.use_crop_to_border = True, crop
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.17, 0.83, 0.21, 0.9


def border_with_crop(scene: Any) -> None:
    set_border(scene, crop=True)


def border_without_crop(scene: Any) -> None:
    set_border(scene, crop=False)


def passes_in_border_without_crop(scene: Any) -> None:
    all_passes(scene)
    set_border(scene, crop=False)


def adaptive_in_border(scene: Any) -> None:
    adaptive(scene)
    set_border(scene, crop=True)


def displacement(scene: Any) -> None:
    """A subdivided and displaced ball."""
    ball = bpy.data.objects["Ball"]
    ball.modifiers.new("Subdivision", "SUBSURF")
    bpy.data.materials["Gold"].displacement_method = "DISPLACEMENT"
    tree, output, _ = _tree("Gold")
    noise, node = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeDisplacement")
    tree.links.new(noise.outputs[0], node.inputs["Height"])
    tree.links.new(node.outputs[0], output.inputs["Displacement"])


def window_texture(scene: Any) -> None:
    """A colour that depends on where in the frame a pixel is."""
    tree, _, shader = _tree("Floor")
    place = tree.nodes.new("ShaderNodeTexCoord")
    tree.links.new(place.outputs["Window"], shader.inputs["Base Color"])


def shadow_catcher(scene: Any) -> None:
    bpy.data.objects["Floor"].is_shadow_catcher = True
    scene.render.film_transparent = True


def biased_volume(scene: Any) -> None:
    tree, output, _ = _tree("Blue")
    for link in list(output.inputs["Surface"].links):
        tree.links.remove(link)
    volume = tree.nodes.new("ShaderNodeVolumePrincipled")
    tree.links.new(volume.outputs[0], output.inputs["Volume"])
    if hasattr(scene.cycles, "volume_biased"):
        scene.cycles.volume_biased = True


def compositing(scene: Any) -> Any:
    """A compositor that passes Render Layers on; returns its tree."""
    scene.render.use_compositing = True
    if hasattr(scene, "compositing_node_group"):
        tree = bpy.data.node_groups.new("Comp", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        output = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        output = tree.nodes.new("CompositorNodeComposite")
    layers = tree.nodes.new("CompositorNodeRLayers")
    tree.links.new(layers.outputs["Image"], output.inputs[0])
    return tree


def ends(tree: Any) -> tuple[Any, Any]:
    """The nodes that a compositor starts from and ends in."""
    found = {node.bl_idname: node for node in tree.nodes}
    return found["CompositorNodeRLayers"], found.get("CompositorNodeComposite") or found["NodeGroupOutput"]


def through(tree: Any, kind: str, socket: Any) -> Any:
    """What comes out of a new node of ``kind`` that ``socket`` goes into."""
    node = tree.nodes.new(kind)
    tree.links.new(socket, node.inputs["Image"])
    return node.outputs["Image"]


def size_blur(node: Any, pixels: int) -> None:
    """A blur of ``pixels``: a property of the node in 4.x, a socket since 5.0."""
    if hasattr(node, "size_x"):
        node.size_x = node.size_y = pixels
    else:
        node.inputs["Size"].default_value = (pixels, pixels)


def denoised(scene: Any) -> None:
    scene.cycles.use_denoising = True
    scene.cycles.denoiser = "OPENIMAGEDENOISE"


def file_output(scene: Any, folder: Path | None = None) -> None:
    """A compositor that also writes the frame into ``folder``, as any scene may."""
    tree = compositing(scene)
    node = tree.nodes.new("CompositorNodeOutputFile")
    layers = next(node for node in tree.nodes if node.bl_idname == "CompositorNodeRLayers")
    if hasattr(node, "file_output_items"):
        node.directory = str(folder or "//elsewhere")
        node.file_output_items.new("RGBA", "Image")
    else:
        node.base_path = str(folder or "//elsewhere")
    tree.links.new(layers.outputs["Image"], node.inputs[0])


TILEABLE: tuple[Callable[[Any], None], ...] = (
    plain,
    percentage,
    all_passes,
    adaptive,
    motion_blur,
    depth_of_field,
    film_offset,
    wide_filter,
    panorama,
    border_with_crop,
    border_without_crop,
    passes_in_border_without_crop,
    adaptive_in_border,
    displacement,
    window_texture,
    shadow_catcher,
    biased_volume,
)
"""Features with which a frame made of tiles must equal the whole one exactly."""
