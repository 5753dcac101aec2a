"""The rule that imports between the rooms run one way, as a check of source text: nothing is imported to check it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LOW = {"protocol", "imaging", "client"}
_MIDDLE = _LOW | {"blender", "worker", "dispatcher"}
_HIGH = _MIDDLE | {"dashboard", "desktop"}

MAY_IMPORT: dict[str, set[str]] = {
    "protocol": set(),
    "imaging": {"protocol"},
    "client": {"protocol"},
    "blender": _LOW,
    "worker": _LOW,
    "dispatcher": {"protocol", "imaging"},
    "dashboard": _MIDDLE,
    "desktop": _MIDDLE,
    "cli": _HIGH,
    # The package's own __init__ hands over to the desktop; nothing else lies beside the rooms.
    "": {"desktop"},
}
"""For each room, the others it may import."""

BLENDER_ROOMS = {"blender", "desktop"}
BLENDER_MODULES = {"bpy", "bpy_extras", "bmesh", "mathutils", "addon_utils", "gpu", "blf", "aud", "bl_ext", "_cycles"}


@dataclass(frozen=True)
class Imported:
    """A module that a line of source imports."""

    module: str
    """Absolute dotted name; for ``from A import b``, both ``A`` and ``A.b`` since either may be a module."""
    line: int
    relative: bool


def imports(source: str, package: str) -> Iterator[Imported]:
    """Every import in ``source``, a module that lies directly in ``package``, wherever in the file it stands.

    ``import``, ``from``, relative ones of any depth, ``__import__`` and ``import_module`` of a literal. ValueError for
    a relative import that leaves the outermost package, or a call with a name that only running it would tell.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Imported(alias.name, node.lineno, False)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(package, node.level, node.module or "", node.lineno)
            yield Imported(base, node.lineno, node.level > 0)
            for alias in node.names:
                yield Imported(f"{base}.{alias.name}", node.lineno, node.level > 0)
        elif isinstance(node, ast.Call) and _called(node.func) in ("__import__", "import_module"):
            name = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "name"), None)
            if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
                raise ValueError(f"line {node.lineno}: imports what only running it would tell")
            level = len(name.value) - len(name.value.lstrip("."))
            rest = name.value[level:]
            yield Imported(_absolute(package, level, rest, node.lineno), node.lineno, level > 0)


def _called(function: ast.expr) -> str | None:
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else None


def _absolute(package: str, level: int, module: str, line: int) -> str:
    if level == 0:
        return module
    parts = package.split(".")
    if level > len(parts):
        raise ValueError(f"line {line}: a relative import beyond the package")
    return ".".join([*parts[: len(parts) - level + 1], *([module] if module else [])])


def violations(root: Path) -> list[str]:
    """What breaks the rule in the package at ``root``, as ``path:line: why``, in order."""
    found: list[str] = []
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        room = relative.parts[0] if len(relative.parts) > 1 else ""
        package = ".".join([root.name, *relative.parent.parts])
        where = relative.as_posix()
        if room not in MAY_IMPORT:
            found.append(f"{where}:1: {room!r} is no room")
            continue
        try:
            listed = list(imports(path.read_text(encoding="utf-8"), package))
        except ValueError as error:
            found.append(f"{where}: {error}")
            continue
        reasons = {(item.line, why) for item in listed if (why := _why_not(item, root.name, room))}
        found += [f"{where}:{line}: {why}" for line, why in sorted(reasons)]
    return found


def _why_not(item: Imported, top: str, room: str) -> str | None:
    parts = item.module.split(".")
    if parts[0] in BLENDER_MODULES and room not in BLENDER_ROOMS:
        return f"{parts[0]} is for the rooms {', '.join(sorted(BLENDER_ROOMS))} alone"
    if parts[0] == "bootstrap":
        return "bootstrap is on top; nothing imports it"
    if parts[0] != top:
        return None
    if not item.relative:
        return "inside the package, imports are relative"
    target = parts[1] if len(parts) > 1 else None
    if target in MAY_IMPORT and target != room and target not in MAY_IMPORT[room]:
        return f"{room or 'the package'} must not import {target}"
    return None
