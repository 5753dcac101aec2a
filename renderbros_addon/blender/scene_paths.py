"""Paths as scenes hold them: relative to a .blend, from another platform, of Blender's own installation."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import bpy

from ..protocol.source_roots import below


def absolute(path: str, block: Any = None) -> str:
    """``path`` of the data-block ``block``, made absolute: ``//`` is where the .blend lies that ``block`` is from.

    The notation stays that of the machine that saved it. An empty path stays empty.
    """
    return native(bpy.path.abspath(native(path), library=getattr(block, "library", None)))


def native(path: str) -> str:
    """A relative path written on Windows keeps its backslashes in the file."""
    return path.replace("\\", "/") if os.sep == "/" and path.startswith("//") else path


def inside_root(path: str, root: Path, source_root: str | None) -> str | None:
    """``path`` if it is below ``root``; its like below ``root`` if it is below ``source_root``; else None."""
    if below(path, str(root)) is not None:
        return path
    if source_root is not None:
        rest = below(path, source_root)
        if rest is not None:
            return str(root.joinpath(*rest))
    return None


def as_spelled(path: Path, root: Path) -> Path:
    """``path`` below ``root``, in the case that its files are named in: Windows and macOS find them in any."""
    found = root
    for part in Path(os.path.normpath(path)).relative_to(root).parts:
        inside = found / part
        if not inside.exists() and found.is_dir():
            inside = next((file for file in found.iterdir() if file.name.casefold() == part.casefold()), inside)
        found = inside
    return found


_BUNDLED_ASSET = re.compile(r".*[/\\]datafiles[/\\]assets[/\\](?P<rest>.+)", re.DOTALL)


def blenders_own(path: str) -> str | None:
    """The file of this Blender's installation that ``path`` means, such as one of its bundled assets; None if none.

    Another machine's Blender lies elsewhere, and brings the same files.
    """
    homes = [Path(home) for home in map(bpy.utils.resource_path, ("LOCAL", "SYSTEM")) if home and Path(home).is_dir()]
    if any(below(path, str(home)) is not None for home in homes):
        return path
    match = _BUNDLED_ASSET.fullmatch(path)
    rest = match["rest"].replace("\\", "/").split("/") if match else []
    if not rest or ".." in rest:
        return None
    own = (home.joinpath("datafiles", "assets", *rest) for home in homes)
    return next((str(file) for file in own if file.is_file()), None)
