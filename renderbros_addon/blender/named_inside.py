"""Files that other files name: the layers of a USD file, what an OSL script includes."""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

import bpy

log = logging.getLogger("renderbros.blender")

USD_EXTENSIONS = frozenset({".usd", ".usda", ".usdc", ".usdz"})

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.MULTILINE)
_MAX_SCRIPT = 1 << 20
"""Bytes of a script that are looked through; none is that long."""


def usd_layers(path: Path) -> list[Path]:
    """Layers, references and payloads of the USD file ``path``, in any depth, without itself.

    Textures are not among them: Blender reads shapes and movements from a USD file that is a cache.
    """
    # A .usdz is an archive, which holds all of its own.
    usd = _usd() if path.suffix.lower() in USD_EXTENSIONS - {".usdz"} else None
    if usd is None:
        return []
    sdf, utils = usd
    try:
        layers, _, unresolved = utils.ComputeAllDependencies(sdf.AssetPath(str(path)))
    except Exception as error:  # of Boost's or Tf's own kinds, which have no common base
        log.warning("can't look for the layers of %s: %s", path, error)
        return []
    found = [Path(layer.realPath) for layer in layers if layer.realPath]
    found += [path.parent / name for name in unresolved if Path(name).suffix.lower() in USD_EXTENSIONS]
    return [layer for layer in dict.fromkeys(found) if layer != path]


def every_layer(path: Path) -> list[Path] | None:
    """All files that Blender reads with the USD file ``path``, archives too; None if that can't be known here."""
    if not bpy.app.build_options.usd:
        return []
    usd = _usd()
    if usd is None:
        return None
    sdf, utils = usd
    try:
        layers, assets, unresolved = utils.ComputeAllDependencies(sdf.AssetPath(str(path)))
    except Exception as error:  # of Boost's or Tf's own kinds, which have no common base
        log.warning("can't look for the layers of %s: %s", path, error)
        return None
    if any("`" in name for layer in layers for name in layer.GetCompositionAssetDependencies()):
        return None  # An expression, which USD works out only when it opens the file.
    named = [layer.realPath for layer in layers if layer.realPath] + [str(asset) for asset in assets]
    named += [str(name) for name in unresolved if Path(name).suffix.lower() in USD_EXTENSIONS]
    # What lies in an archive is named archive.usdz[file].
    read = [name for name in named if Path(name).suffix.lower().rstrip("]") in USD_EXTENSIONS]
    return [path.parent / name.partition("[")[0] for name in read]


def _usd() -> tuple[Any, Any] | None:
    """USD's own modules, which come with Blender; as a Python module Blender doesn't put them on the path."""
    home = Path(bpy.utils.resource_path("LOCAL"), "python", "lib")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders = [home / version / "site-packages", home / "site-packages"]
    added = [str(folder) for folder in folders if (folder / "pxr").is_dir() and str(folder) not in sys.path]
    sys.path += added
    try:
        return importlib.import_module("pxr.Sdf"), importlib.import_module("pxr.UsdUtils")
    except ImportError:
        return None
    finally:
        for folder in added:
            sys.path.remove(folder)


def osl_includes(path: Path) -> list[Path]:
    """Files that the OSL script ``path`` includes in quotes, in any depth."""
    found: dict[Path, None] = {}
    waiting = [path]
    while waiting:
        script = waiting.pop()
        try:
            with script.open("rb") as stream:
                text = stream.read(_MAX_SCRIPT).decode("utf-8", "replace")
        except (OSError, ValueError):  # ValueError: a NUL in its name
            continue
        for name in _INCLUDE.findall(text):
            # By one way of writing it alone: files that include each other by detours would never come to an end.
            included = Path(os.path.normpath(script.parent / name))
            if included not in found and included != path:
                found[included] = None
                waiting.append(included)
    return list(found)
