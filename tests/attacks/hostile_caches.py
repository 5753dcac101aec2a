"""Scenes that show shapes and movements which were baked on the machine that renders them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from attacks.hostile_scenes import GREEN, NotHere, Place, attack, plane_mesh, wall


def cached_wall(scene: Any, path: str, inside: str) -> None:
    thing, glow = wall(scene, plane_mesh(size=0.001))
    glow.inputs["Color"].default_value = GREEN
    bpy.ops.cachefile.open(filepath=path)
    modifier = thing.modifiers.new("Cache", "MESH_SEQUENCE_CACHE")
    modifier.cache_file, modifier.object_path = bpy.data.cache_files[0], inside


@attack
def alembic(scene: Any, place: Place) -> None:
    cached_wall(scene, place.stolen("secret.abc"), "/Prize/Prize")


@attack
def usd(scene: Any, place: Place) -> None:
    cached_wall(scene, place.stolen("secret.usda"), "/root/Prize/Prize")


@attack
def usd_layer(scene: Any, place: Place) -> None:
    layer = place.root / "innocent.usda"
    layer.write_text(f"#usda 1.0\n(\n    subLayers = [@{place.stolen('secret.usda')}@]\n)\n", encoding="utf-8")
    cached_wall(scene, str(layer), "/root/Prize/Prize")


@attack
def alembic_layer(scene: Any, place: Place) -> None:
    (place.root / "harmless.abc").write_bytes(Path(place.stolen("other.abc")).read_bytes())
    cached_wall(scene, str(place.root / "harmless.abc"), "/Prize/Prize")
    bpy.data.cache_files[0].layers.new(place.stolen("secret.abc"))


@attack
def mesh_cache(scene: Any, place: Place) -> None:
    thing, glow = wall(scene, plane_mesh(size=0.001))
    glow.inputs["Color"].default_value = GREEN
    modifier = thing.modifiers.new("Cache", "MESH_CACHE")
    modifier.cache_format, modifier.filepath = "PC2", str(place.outside / "secret.pc2")
    modifier.frame_start = 1


def smoke(scene: Any, volume: Any) -> None:
    material = bpy.data.materials.new("Smoke")
    if material.node_tree is None:
        material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    glow, out = nodes.new("ShaderNodeVolumePrincipled"), nodes.new("ShaderNodeOutputMaterial")
    glow.inputs["Emission Color"].default_value, glow.inputs["Emission Strength"].default_value = GREEN, 5
    material.node_tree.links.new(glow.outputs[0], out.inputs["Volume"])
    volume.materials.append(material)
    thing = bpy.data.objects.new("Smoke", volume)
    scene.collection.objects.link(thing)


@attack
def volume(scene: Any, place: Place) -> None:
    block = bpy.data.volumes.new("Smoke")
    block.filepath = place.stolen("secret.vdb")
    smoke(scene, block)


@attack
def volume_sequence(scene: Any, place: Place) -> None:
    block = bpy.data.volumes.new("Smoke")
    block.filepath = place.stolen("secret_0001.vdb")
    block.is_sequence, block.frame_duration, block.frame_start = True, 1, 1
    smoke(scene, block)


def import_group(kind: str) -> tuple[Any, Any, Any]:
    """A group of geometry nodes, its Import node, its output."""
    if not hasattr(bpy.types, kind):
        raise NotHere(f"there is no {kind}")
    group = bpy.data.node_groups.new("Import", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    return group, group.nodes.new(kind), group.nodes.new("NodeGroupOutput")


def painted(scene: Any, group: Any, found: Any, out: Any) -> None:
    """Shows what ``found``, a socket, gives on a wall that is hardly there, in green."""
    real, paint = group.nodes.new("GeometryNodeRealizeInstances"), group.nodes.new("GeometryNodeSetMaterial")
    thing, glow = wall(scene, plane_mesh(size=0.001))
    glow.inputs["Color"].default_value = GREEN
    paint.inputs["Material"].default_value = thing.data.materials[0]
    for a, b in ((found, real), (real.outputs[0], paint), (paint.outputs[0], out)):
        group.links.new(a, b.inputs[0])
    thing.modifiers.new("Nodes", "NODES").node_group = group


@attack
def import_node(scene: Any, place: Place) -> None:
    group, node, out = import_group("GeometryNodeImportOBJ")
    node.inputs[0].default_value = str(place.outside / "secret.obj")
    painted(scene, group, node.outputs[0], out)


@attack
def import_of_a_text(scene: Any, place: Place) -> None:
    """Any file can be written out in letters."""
    group, node, out = import_group("GeometryNodeImportText")
    node.inputs[0].default_value = str(place.outside / "secret.txt")
    letters, fill = group.nodes.new("GeometryNodeStringToCurves"), group.nodes.new("GeometryNodeFillCurve")
    letters.inputs["Size"].default_value = 6
    group.links.new(node.outputs[0], letters.inputs["String"])
    group.links.new(letters.outputs[0], fill.inputs[0])
    painted(scene, group, fill.outputs[0], out)


@attack
def import_by_a_path_of_parts(scene: Any, place: Place) -> None:
    group, node, out = import_group("GeometryNodeImportOBJ")
    join = group.nodes.new("GeometryNodeStringJoin")
    # What is linked last is joined first.
    for part in ("secret.obj", f"{place.outside}/"):
        text = group.nodes.new("FunctionNodeInputString")
        text.string = part
        group.links.new(text.outputs[0], join.inputs["Strings"])
    group.links.new(join.outputs[0], node.inputs[0])
    painted(scene, group, node.outputs[0], out)


@attack
def usd_layer_by_an_expression(scene: Any, place: Place) -> None:
    """What an expression comes to is known only to who opens the file."""
    layer, stolen = place.root / "innocent.usda", place.stolen("secret.usda")
    outside = f'string A = "{stolen}"'
    layer.write_text(
        f'#usda 1.0\n(\n    expressionVariables = {{\n        {outside}\n    }}\n    subLayers = [@`"${{A}}"`@]\n)\n',
        encoding="utf-8",
    )
    cached_wall(scene, str(layer), "/root/Prize/Prize")
