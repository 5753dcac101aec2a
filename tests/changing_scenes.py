"""Scenes in which one thing changes from frame to frame, to see whether a kept scene shows it as a fresh one does.

Each function of :data:`CHANGES` takes a scene of :func:`still_scene` and the folder of its .blend, where it may leave
files, and animates one thing from frame ``FIRST`` to ``LAST``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
from scenes import fresh_scene, save

FIRST, LAST = 1, 5

Change = Callable[[Any, Path], None]


class Unavailable(Exception):
    """This Blender has no such thing."""


def still_scene(width: int = 48, height: int = 36, samples: int = 2) -> Any:
    """A fresh scene in which nothing moves, and that is written as floats in all passes that are on."""
    scene = fresh_scene(width=width, height=height, samples=samples)
    bpy.data.objects["Cube"].animation_data_clear()
    bpy.data.objects["Cube"].location.x = 0.9
    scene.frame_start, scene.frame_end = FIRST, LAST
    image = scene.render.image_settings
    if hasattr(image, "media_type"):
        image.media_type = "MULTI_LAYER_IMAGE"
    image.file_format = "OPEN_EXR_MULTILAYER"
    image.color_depth, image.exr_codec = "32", "ZIP"
    return scene


def animate(owner: Any, path: str, first: Any, last: Any, index: int = -1) -> None:
    """Key ``path`` of ``owner``, or one item of it, from ``first`` to ``last``."""
    for frame, value in ((FIRST, first), (LAST, last)):
        if index >= 0:
            getattr(owner, path)[index] = value
        else:
            setattr(owner, path, value)
        if not owner.keyframe_insert(path, index=index, frame=frame):
            raise Unavailable(f"{path} can't be animated")


def drive(owner: Any, path: str, expression: str, index: int = -1) -> None:
    """Have ``path`` follow an expression that Blender evaluates without Python."""
    curve = owner.driver_add(path, index) if index >= 0 else owner.driver_add(path)
    curve.driver.type, curve.driver.expression = "SCRIPTED", expression


def material_tree(name: str) -> tuple[Any, Any, Any]:
    """(tree, output node, shader) of a material of the fresh scene: Floor, Gold, Blue."""
    tree = bpy.data.materials[name].node_tree
    nodes = {node.bl_idname: node for node in tree.nodes}
    return tree, nodes["ShaderNodeOutputMaterial"], nodes["ShaderNodeBsdfPrincipled"]


def geometry_nodes(thing: Any, name: str = "nodes") -> tuple[Any, Any, Any]:
    """(tree, input node, output node) of a new Geometry Nodes modifier of ``thing``, not linked yet."""
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    came, goes = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    thing.modifiers.new(name, "NODES").node_group = tree
    return tree, came, goes


def empty(scene: Any, name: str, at: tuple[float, float, float] = (0, 0, 0)) -> Any:
    """An object without data."""
    thing = bpy.data.objects.new(name, None)
    thing.location = at
    scene.collection.objects.link(thing)
    return thing


def every_change() -> dict[str, Change]:
    """All of them by name, in the order of the table."""
    from changing_looks import LOOKS
    from changing_shapes import SHAPES
    from changing_views import VIEWS

    return {change.__name__: change for change in (*SHAPES, *LOOKS, *VIEWS)}


def build(change: Change, blend: Path) -> None:
    """Save a scene with ``change`` as ``blend``. Raises Unavailable."""
    blend.parent.mkdir(parents=True, exist_ok=True)
    scene = still_scene()
    save(blend)
    change(scene, blend.parent)
    # A change may have opened other files meanwhile.
    bpy.context.scene.frame_set(FIRST)
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), relative_remap=False)
