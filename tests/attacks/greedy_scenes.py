"""Scenes that want more memory, time or threads than they may have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bpy
from attacks.hostile_scenes import compositor, other_scene, plane_mesh, shown, strips, wall

from renderbros_addon.protocol.states import FailureCode

ENDLESS = frozenset({FailureCode.TIMED_OUT})
HUGE = frozenset({FailureCode.OUT_OF_MEMORY})


@dataclass(frozen=True)
class Greed:
    build: Callable[[Any], None]
    codes: frozenset[FailureCode]
    """How its task may end; without any it may also be rendered, within what it may use."""

    @property
    def name(self) -> str:
        return self.build.__name__


def many_walls(scene: Any) -> None:
    thing, _ = wall(scene)
    for name in ("Much", "More"):
        modifier = thing.modifiers.new(name, "ARRAY")
        modifier.count, modifier.show_viewport = 4_000, False


def endless_samples(scene: Any) -> None:
    _, glow = wall(scene)
    glow.inputs["Strength"].default_value = 1
    scene.cycles.samples = 1 << 24


def geometry(scene: Any) -> tuple[Any, Any]:
    """Nodes that give a wall another shape: their group and its output."""
    group = bpy.data.node_groups.new("Nodes", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    modifier = wall(scene)[0].modifiers.new("Nodes", "NODES")
    modifier.node_group, modifier.show_viewport = group, False
    return group, group.nodes.new("NodeGroupOutput")


def endless_nodes(scene: Any) -> None:
    """A loop that goes round two milliard times."""
    group, out = geometry(scene)
    begin, end = group.nodes.new("GeometryNodeRepeatInput"), group.nodes.new("GeometryNodeRepeatOutput")
    begin.pair_with_output(end)
    begin.inputs["Iterations"].default_value = 0x7FFFFFFF
    grid, move = group.nodes.new("GeometryNodeMeshGrid"), group.nodes.new("GeometryNodeTransform")
    move.inputs["Translation"].default_value = (0.001, 0, 0)
    group.links.new(grid.outputs[0], begin.inputs["Geometry"])
    group.links.new(begin.outputs["Geometry"], move.inputs[0])
    group.links.new(move.outputs[0], end.inputs["Geometry"])
    group.links.new(end.outputs["Geometry"], out.inputs[0])


def endless_compositor(scene: Any) -> None:
    """One blur after another, each as wide as can be."""
    wall(scene)
    tree = compositor(scene)
    out = next(n for n in tree.nodes if n.bl_idname in ("CompositorNodeComposite", "NodeGroupOutput"))
    socket = next(n for n in tree.nodes if n.bl_idname == "CompositorNodeRLayers").outputs[0]
    scale = tree.nodes.new("CompositorNodeScale")
    for name in ("X", "Y"):
        scale.inputs[name].default_value = 400
    tree.links.new(socket, scale.inputs[0])
    socket = scale.outputs[0]
    for _ in range(60):
        node = tree.nodes.new("CompositorNodeBokehBlur")
        tree.links.new(socket, node.inputs[0])
        socket = node.outputs[0]
    tree.links.new(socket, out.inputs[0])


def huge_volume(scene: Any) -> None:
    group, out = geometry(scene)
    cube = group.nodes.new("GeometryNodeVolumeCube")
    for side in "XYZ":
        cube.inputs[f"Resolution {side}"].default_value = 4000
    group.links.new(cube.outputs[0], out.inputs[0])


def huge_image(scene: Any) -> None:
    image = bpy.data.images.new("Huge", 4, 4, float_buffer=True)
    image.generated_width = image.generated_height = 60_000
    shown(scene, image)


def huge_mesh(scene: Any) -> None:
    thing, _ = wall(scene, plane_mesh())
    modifier = thing.modifiers.new("Fine", "SUBSURF")
    modifier.subdivision_type, modifier.render_levels, modifier.levels = "SIMPLE", 11, 0
    scene.render.use_simplify = False
    again = thing.modifiers.new("Finer", "SUBSURF")
    again.subdivision_type, again.render_levels, again.levels = "SIMPLE", 11, 0


def threads_of_another_scene(scene: Any) -> None:
    """What a strip shows is rendered with its own scene's settings."""
    other = other_scene()
    other.render.threads_mode, other.render.threads = "FIXED", 1024
    wall(other)
    strips(scene).new_scene("strip", other, 1, 1)


GREEDY = (
    Greed(many_walls, HUGE),
    Greed(endless_samples, ENDLESS),
    Greed(endless_nodes, ENDLESS | HUGE),
)
"""Fast enough for the tests."""

GREEDIER = (
    Greed(endless_compositor, ENDLESS | HUGE),
    Greed(huge_volume, ENDLESS | HUGE),
    Greed(huge_image, HUGE),
    Greed(huge_mesh, HUGE),
    Greed(threads_of_another_scene, frozenset()),
)
"""``bench attacks`` has them too."""
