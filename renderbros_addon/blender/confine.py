"""Keeping an open scene to the files that its job brought."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy

from ..protocol.renderer import MissingFile
from .caches import cache_references
from .file_sets import OneFile, WithOthers, is_plain_suffix
from .import_nodes import COMPUTED, computed_imports, import_references
from .named_inside import USD_EXTENSIONS, every_layer
from .open_shading import refuse_open_shading
from .references import Need, Reference, block_references, library_references, lost_blocks
from .scene_paths import as_spelled, blenders_own, inside_root
from .stilling import write_no_new_caches

_OUTSIDE = "renderbros-outside"
"""A folder that no job has: a path outside of the job's files is pointed there and is missing."""

_COPIED = f"renderbros-bake-{os.getpid()}-"
"""How the names of folders with copies of bakes begin; there are none but for the file that is open."""


def confine(root: Path, source_root: str | None) -> list[MissingFile]:
    """Point every path below ``source_root`` to its like below ``root``, and every other outside ``root`` nowhere.

    So a hostile scene can't show this machine's files in its picture. Returns what is missing then, by the path that
    the scene had.
    """
    refuse_open_shading()
    _drop_copies()
    _keep_views_inside()
    missing = _confine_libraries(root, source_root)
    for reference in [*block_references(), *cache_references(), *import_references()]:
        if not reference.path:
            continue
        place = _place(reference, root, source_root)
        missing += _missing_at(reference, place)
        if reference.kind == "simulation bake":
            place = _writable(reference, place)
        if isinstance(reference.stands_for, WithOthers) and _leads_out(Path(place), root):
            missing.append(MissingFile(path=reference.path, user=reference.user))
            place = str(root / _OUTSIDE / "missing")
        # Setting a path has Blender load the file again, so what is in place is left alone.
        if reference.point is not None and place != os.path.normpath(reference.path):
            reference.point(place)
    write_no_new_caches(_folder)
    for node in computed_imports():
        node.cut()
        missing.append(MissingFile(path=COMPUTED, user=node.user))
    missing += [MissingFile(path=path, user=user) for user, path in lost_blocks()]
    return missing


def _leads_out(path: Path, root: Path) -> bool:
    """Whether a file of the job has Blender read others that are not the job's."""
    if not path.is_file() or path.suffix.lower() not in USD_EXTENSIONS:
        return False
    layers = every_layer(path)
    return layers is None or any(not layer.resolve().is_relative_to(root.resolve()) for layer in layers)


def _keep_views_inside() -> None:
    """Blender makes the paths of a stereo image's files with these, whatever is in them."""
    for scene in bpy.data.scenes:
        for view in scene.render.views:
            if not is_plain_suffix(view.file_suffix):
                view.file_suffix = re.sub(r"[/\\]", "_", view.file_suffix)


def _confine_libraries(root: Path, source_root: str | None) -> list[MissingFile]:
    missing: list[MissingFile] = []
    done: set[str] = set()
    # A library that is loaded again may bring others: they are looked at until there is no new one.
    while new := [one for one in library_references() if one[1].path not in done]:
        library, reference = new[0]
        place = _place(reference, root, source_root)
        done |= {reference.path, place}
        missing += _missing_at(reference, place)
        if place != os.path.normpath(reference.path):
            _move_library(library, reference, place)
    return missing


def _move_library(library: Any, reference: Reference, place: str) -> None:
    if Path(place).is_file():
        library.filepath = place
        library.reload()
    elif reference.files():
        # It is there, but not the job's: what Blender has loaded from it must go.
        bpy.data.libraries.remove(library)
    else:
        library.filepath = place


def _place(reference: Reference, root: Path, source_root: str | None) -> str:
    """The absolute path that ``reference`` may have."""
    own = blenders_own(reference.path)
    if own is not None:
        return own
    inside = inside_root(reference.path, root, source_root)
    if inside is None:
        return str(root / _OUTSIDE / "missing")
    inside = os.path.normpath(inside)
    whole_name = isinstance(reference.stands_for, OneFile | WithOthers)
    return inside if Path(inside).exists() else _spelled(Path(inside), root, whole_name=whole_name)


def _writable(reference: Reference, place: str) -> str:
    """``place``, or a copy of the bake there if it is read-only: Blender opens a bake for writing even to read it."""
    files = replace(reference, path=place).files()
    if all(os.access(file, os.W_OK) for file in files):
        return place
    copy = _folder()
    for file in files:
        to = copy / file.relative_to(place)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)
    return str(copy)


def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix=_COPIED))


def _drop_copies() -> None:
    """Remove the copies that were made for the file that was open before."""
    for copy in Path(tempfile.gettempdir()).glob(f"{_COPIED}*"):
        shutil.rmtree(copy, ignore_errors=True)


def _spelled(path: Path, root: Path, *, whole_name: bool) -> str:
    """``path`` as the job's files are spelled; the last name may be a pattern, which is left as it is."""
    if whole_name or path == root:
        return str(as_spelled(path, root))
    return str(as_spelled(path.parent, root) / path.name)


def _missing_at(reference: Reference, place: str) -> list[MissingFile]:
    if reference.need is not Need.MUST:
        return []
    missing = replace(reference, path=place).missing()
    if place == os.path.normpath(reference.path):
        return [MissingFile(path=path, user=reference.user) for path in missing]
    # The paths of this machine mean nothing to the submitter.
    return [MissingFile(path=reference.path, user=reference.user)] if missing else []
