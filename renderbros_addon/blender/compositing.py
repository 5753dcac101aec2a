"""What a scene's compositor is made of: its trees, the nodes in use, what they draw on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from .versions import compositor_tree


def active_tree(scene: Any) -> Any | None:
    """The compositor that ``scene``'s render goes through, or None."""
    return compositor_tree(scene) if scene.render.use_compositing else None


def nodes_in_use(scene: Any) -> Iterator[Any]:
    """Every node of the scene's compositor that is not muted, those in node groups too, each once."""
    tree = active_tree(scene)
    waiting, seen = [tree] if tree is not None else [], set()
    while waiting:
        tree = waiting.pop()
        if tree.as_pointer() in seen:
            continue
        seen.add(tree.as_pointer())
        for node in tree.nodes:
            if node.mute:
                continue
            yield node
            if node.bl_idname == "CompositorNodeGroup" and node.node_tree is not None:
                waiting.append(node.node_tree)


def uses_render_layers(scene: Any) -> bool:
    return any(node.bl_idname == "CompositorNodeRLayers" for node in nodes_in_use(scene))


def other_scenes(scene: Any) -> list[str]:
    """Names of the scenes besides ``scene`` whose renders its compositor asks for."""
    asked = {
        node.scene.name
        for node in nodes_in_use(scene)
        if node.bl_idname == "CompositorNodeRLayers" and node.scene is not None and node.scene != scene
    }
    return sorted(asked)


def every_file_output() -> Iterator[Any]:
    """Every File Output node of the file, in use or not: each may write wherever it pleases."""
    trees = list(bpy.data.node_groups)
    trees += [tree for scene in bpy.data.scenes if (tree := compositor_tree(scene)) is not None]
    seen = set()
    for tree in trees:
        if tree.bl_idname == "CompositorNodeTree" and tree.as_pointer() not in seen:
            seen.add(tree.as_pointer())
            yield from (node for node in tree.nodes if node.bl_idname == "CompositorNodeOutputFile")
