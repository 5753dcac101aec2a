"""Scenes that write on the machine that renders them."""

from __future__ import annotations

from typing import Any

import bpy
from attacks.hostile_scenes import Place, attack, compositor, other_scene, strips


def file_output(tree: Any, folder: str, name: str) -> Any:
    node = tree.nodes.new("CompositorNodeOutputFile")
    if hasattr(node, "file_output_items"):
        node.directory, node.file_name = folder, ""
        node.format.media_type = "IMAGE"
        node.format.file_format = "PNG"
        node.file_output_items.new("RGBA", name)
    else:
        node.base_path = folder
        node.file_slots.clear()
        node.file_slots.new(name)
    came = next(n for n in tree.nodes if n.bl_idname in ("CompositorNodeRLayers", "NodeGroupInput"))
    tree.links.new(came.outputs[0], node.inputs[0])
    return node


@attack
def file_output_anywhere(scene: Any, place: Place) -> None:
    file_output(compositor(scene), str(place.outside), "written")


@attack
def file_output_by_its_slot(scene: Any, place: Place) -> None:
    file_output(compositor(scene), "//", f"../{place.outside.name}/written")


@attack
def file_output_of_a_strip(scene: Any, place: Place) -> None:
    other = other_scene()
    file_output(compositor(other), str(place.outside), "written")
    strips(scene).new_scene("strip", other, 1, 1)


@attack
def file_output_in_a_group(scene: Any, place: Place) -> None:
    tree = compositor(scene)
    group = bpy.data.node_groups.new("Group", "CompositorNodeTree")
    for way in ("INPUT", "OUTPUT"):
        group.interface.new_socket("Image", in_out=way, socket_type="NodeSocketColor")
    came, goes = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    group.links.new(came.outputs[0], goes.inputs[0])
    file_output(group, str(place.outside), "written")
    node = tree.nodes.new("CompositorNodeGroup")
    node.node_tree = group
    layers = next(n for n in tree.nodes if n.bl_idname == "CompositorNodeRLayers")
    end = next(n for n in tree.nodes if n.bl_idname in ("CompositorNodeComposite", "NodeGroupOutput"))
    tree.links.new(layers.outputs[0], node.inputs[0])
    tree.links.new(node.outputs[0], end.inputs[0])


@attack
def render_path(scene: Any, place: Place) -> None:
    scene.render.filepath = str(place.outside / "written_####")


@attack
def suffix_of_a_view(scene: Any, place: Place) -> None:
    scene.render.use_multiview, scene.render.views_format = True, "MULTIVIEW"
    scene.render.filepath = "//frame_####"
    for view in scene.render.views:
        view.use = True
        view.file_suffix = f"/../../{place.outside.name}/written_{view.name}"
    (place.root / "frame_0001").mkdir()


@attack
def notes_beside_the_picture(scene: Any, place: Place) -> None:
    """The name of the machine and the folder of the scene, as a picture's own notes."""
    scene.render.use_stamp_filename = scene.render.use_stamp_hostname = True


@attack
def strip_in_the_notes(scene: Any, place: Place) -> None:
    picture = place.root / "harmless.png"
    harmless = bpy.data.images.new("harmless", 8, 8)
    harmless.filepath_raw, harmless.file_format = str(picture), "PNG"
    harmless.save()
    strips(scene).new_image("strip", str(picture), 1, 1)
    scene.render.use_stamp_sequencer_strip = True
