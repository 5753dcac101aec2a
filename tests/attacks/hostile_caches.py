"""Scenes that show shapes and movements which were baked on the machine that renders them."""

from __future__ import annotations

from typing import Any

import bpy
from attacks.hostile_scenes import GREEN, Place, attack, plane_mesh, wall


def cached_wall(scene: Any, path: str, inside: str) -> None:
    thing, glow = wall(scene, plane_mesh(size=0.001))
    glow.inputs["Color"].default_value = GREEN
    bpy.ops.cachefile.open(filepath=path)
    modifier = thing.modifiers.new("Cache", "MESH_SEQUENCE_CACHE")
    modifier.cache_file, modifier.object_path = bpy.data.cache_files[0], inside


@attack
def alembic(scene: Any, place: Place) -> None:
    cached_wall(scene, str(place.outside / "secret.abc"), "/Prize/Prize")


@attack
def usd(scene: Any, place: Place) -> None:
    cached_wall(scene, str(place.outside / "secret.usda"), "/root/Prize/Prize")


@attack
def usd_layer(scene: Any, place: Place) -> None:
    layer = place.root / "innocent.usda"
    layer.write_text(f"#usda 1.0\n(\n    subLayers = [@{place.outside}/secret.usda@]\n)\n", encoding="utf-8")
    cached_wall(scene, str(layer), "/root/Prize/Prize")


@attack
def import_node(scene: Any, place: Place) -> None:
    group = bpy.data.node_groups.new("Import", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    node, out = group.nodes.new("GeometryNodeImportOBJ"), group.nodes.new("NodeGroupOutput")
    node.inputs[0].default_value = str(place.outside / "secret.obj")
    real = group.nodes.new("GeometryNodeRealizeInstances")
    paint = group.nodes.new("GeometryNodeSetMaterial")
    thing, glow = wall(scene, plane_mesh(size=0.001))
    glow.inputs["Color"].default_value = GREEN
    paint.inputs["Material"].default_value = thing.data.materials[0]
    for a, b in ((node, real), (real, paint), (paint, out)):
        group.links.new(a.outputs[0], b.inputs[0])
    thing.modifiers.new("Nodes", "NODES").node_group = group


@attack
def usd_layer_by_an_expression(scene: Any, place: Place) -> None:
    """What an expression comes to is known only to who opens the file."""
    layer = place.root / "innocent.usda"
    outside = f'string A = "{place.outside.as_posix()}/secret.usda"'
    layer.write_text(
        f'#usda 1.0\n(\n    expressionVariables = {{\n        {outside}\n    }}\n    subLayers = [@`"${{A}}"`@]\n)\n',
        encoding="utf-8",
    )
    cached_wall(scene, str(layer), "/root/Prize/Prize")
