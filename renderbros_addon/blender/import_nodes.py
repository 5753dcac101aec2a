"""Files that geometry nodes import: the Import nodes take a path as a string, which other nodes may give them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import bpy

from .references import Need, Reference, used
from .scene_paths import absolute
from .versions import modifier_input

COMPUTED = "(put together by nodes)"
"""Stands for a path that is known only when the nodes run."""


@dataclass(frozen=True)
class Computed:
    """An Import node whose path can't be read off."""

    user: str
    cut: Callable[[], None]
    """Takes the nodes that give the path away from it."""


def import_references() -> Iterator[Reference]:
    """Paths that Import nodes are given, by whatever chain of sockets, groups and switches."""
    for user, tree, socket in _importers():
        for source in _Trace().sources(tree, socket):
            if source is not None and source.text:
                # Relative is to the .blend that the node is from, not to the one that the text is from.
                path = absolute(source.text, tree)
                yield Reference(user, path, "imported geometry", source.point, need=used(tree))


def computed_imports() -> Iterator[Computed]:
    """Import nodes whose path is joined, formatted or otherwise computed."""
    for user, tree, socket in _importers():
        if used(tree) is Need.MUST and None in list(_Trace().sources(tree, socket)):
            yield Computed(user, lambda socket=socket: _cut(socket))  # type: ignore[misc]


def _importers() -> Iterator[tuple[str, Any, Any]]:
    for tree in bpy.data.node_groups:
        for node in tree.nodes:
            if node.bl_idname.startswith("GeometryNodeImport") and not node.mute:
                for socket in node.inputs:
                    if socket.bl_idname == "NodeSocketStringFilePath":
                        yield f'Node "{node.name}" of Node group "{tree.name}"', tree, socket


def _cut(socket: Any) -> None:
    tree = socket.id_data
    for link in list(socket.links):
        tree.links.remove(link)
    socket.default_value = ""


@dataclass(frozen=True)
class _Source:
    text: str
    point: Callable[[str], None]


class _Trace:
    """Follows a string back to where it is written, through each socket of each tree once."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()

    def sources(self, tree: Any, socket: Any) -> Iterator[_Source | None]:
        """Where the text of ``socket`` is written; None for a way that can't be followed."""
        key = (tree.as_pointer(), socket.as_pointer())
        if key in self._seen:
            return
        self._seen.add(key)
        link = next((link for link in socket.links if link.is_valid and not link.is_muted), None)
        if link is None:
            yield _attribute(socket, "default_value")
        else:
            yield from self._from_node(tree, link.from_node, link.from_socket)

    def _from_node(self, tree: Any, node: Any, output: Any) -> Iterator[_Source | None]:
        if node.mute:
            yield None
        elif node.bl_idname == "NodeReroute":
            yield from self.sources(tree, node.inputs[0])
        elif node.bl_idname == "FunctionNodeInputString":
            yield _attribute(node, "string")
        elif node.bl_idname in ("GeometryNodeSwitch", "GeometryNodeMenuSwitch", "GeometryNodeIndexSwitch"):
            for socket in node.inputs:
                if socket.type == "STRING":
                    yield from self.sources(tree, socket)
        elif node.bl_idname == "NodeGroupInput":
            yield from self._from_users(tree, output.identifier)
        elif node.bl_idname == "GeometryNodeGroup" and node.node_tree is not None:
            for inner in node.node_tree.nodes:
                if inner.bl_idname == "NodeGroupOutput" and inner.is_active_output:
                    for socket in inner.inputs:
                        if socket.identifier == output.identifier:
                            yield from self.sources(node.node_tree, socket)
        else:
            yield None

    def _from_users(self, tree: Any, identifier: str) -> Iterator[_Source | None]:
        """What those who use the group give its input."""
        for outer in bpy.data.node_groups:
            for node in outer.nodes:
                if node.bl_idname == "GeometryNodeGroup" and node.node_tree == tree:
                    for socket in node.inputs:
                        if socket.identifier == identifier:
                            yield from self.sources(outer, socket)
        for thing in bpy.data.objects:
            for modifier in thing.modifiers:
                if modifier.type == "NODES" and modifier.node_group == tree:
                    found = modifier_input(modifier, identifier)
                    if found is not None:
                        yield _of_modifier(thing, *found)


def _attribute(owner: Any, name: str) -> _Source:
    return _Source(getattr(owner, name), lambda path: setattr(owner, name, path))


def _of_modifier(thing: Any, owner: Any, key: str) -> _Source | None:
    if isinstance(owner, bpy.types.Modifier):
        text = owner[key]

        def point(path: str) -> None:
            owner[key] = path
            thing.update_tag()  # a custom property tells nobody that it has changed
    else:
        text = getattr(owner, key)

        def point(path: str) -> None:
            setattr(owner, key, path)

    return _Source(text, point) if isinstance(text, str) else None
