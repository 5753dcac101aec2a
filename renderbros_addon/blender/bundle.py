"""Which files a scene needs, and which of them are missing.

Blender's lists of the paths in a file (``blend_paths``, since 4.4 ``file_path_map``) name no data-block or not in every
version, expand neither sequences nor tiles, and know nothing of physics caches, bakes or nodes: so the data-blocks are
gone through here, and Blender's own list is the cross-check.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import bpy

from ..protocol.renderer import MissingFile
from .caches import cache_references
from .file_kinds import is_any_kind, is_kind
from .import_nodes import COMPUTED, computed_imports, import_references
from .references import Need, Reference, block_references, library_references, lost_blocks
from .scene_paths import blenders_own, native


def all_references() -> Iterator[Reference]:
    """Every path that the open scene holds, used or not, but for those into Blender's own installation."""
    for _, reference in library_references():
        yield reference
    yield from block_references()
    yield from cache_references()
    yield from import_references()


def needed_files() -> list[Path]:
    """Absolute paths of the files that are there, the open .blend first, each once."""
    found: dict[str, Path] = {}
    known: set[str] = set()
    candidates = [Path(bpy.data.filepath)]
    for reference in all_references():
        known.add(os.path.normcase(os.path.normpath(reference.path)))
        files = reference.files() if reference.path and blenders_own(reference.path) is None else []
        known.update(os.path.normcase(os.path.normpath(file)) for file in files)
        if reference.need is not Need.UNUSED:
            candidates += [file for file in files if is_kind(file, reference.kind)]
    candidates += _others_that_blender_knows(known)
    for path in candidates:
        absolute = Path(os.path.normpath(path))
        if absolute.is_file():
            found.setdefault(os.path.normcase(absolute), absolute)
    return list(found.values())


def _others_that_blender_knows(known: set[str]) -> Iterator[Path]:
    """Files that a data-block of a kind to come may refer to: what is unused, packed or a text is not among them."""
    texts = {os.path.normcase(os.path.normpath(bpy.path.abspath(text.filepath))) for text in bpy.data.texts}
    for path in bpy.utils.blend_paths(absolute=True, packed=True, local=False):
        file = Path(native(path))
        unknown = os.path.normcase(os.path.normpath(file)) not in known | texts
        if unknown and blenders_own(path) is None and file.is_file() and is_any_kind(file):
            yield file


def missing_files() -> list[MissingFile]:
    """What the scene needs and is not there, or is not to be sent for what it is, by data-block."""
    missing: dict[MissingFile, None] = {}
    for reference in all_references():
        if not reference.path or reference.need is Need.UNUSED or blenders_own(reference.path) is not None:
            continue
        for path in reference.missing():
            missing[MissingFile(path=os.path.normpath(path), user=reference.user)] = None
        for file in reference.files():
            if not is_kind(file, reference.kind):
                why = f"this is no {reference.kind}, so it is not sent"
                missing[MissingFile(path=os.path.normpath(file), user=reference.user, why=why)] = None
    for user, path in lost_blocks():
        missing[MissingFile(path=path, user=user, why="the library has no such data-block")] = None
    for node in computed_imports():
        why = "which file that is, only the nodes know: give the path as plain text"
        missing[MissingFile(path=COMPUTED, user=node.user, why=why)] = None
    return list(missing)


def outside_note(files: Iterable[Path], folder: Path) -> str | None:
    """Where files come from that don't lie in the scene's ``folder``, so that nothing is sent unawares."""
    everything = list(files)
    outside = Counter(str(file.parent) for file in everything if not file.is_relative_to(folder))
    if not outside:
        return None
    places = ", ".join(f"{place} ({count})" for place, count in outside.most_common(8))
    more = f" and {len(outside) - 8} other folders" if len(outside) > 8 else ""
    return f"{outside.total()} of {len(everything)} files lie outside of the scene's folder, in {places}{more}."
