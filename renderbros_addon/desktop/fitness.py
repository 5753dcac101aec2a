"""Whether this Blender can run the extension: its Python must be one that the libraries it brings are built for."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

NEEDED = (
    "pydantic", "pydantic_core", "pydantic_settings", "requests", "websockets", "numpy", "OpenImageIO", "PIL",
    "imagehash", "typer", "rich", "psutil", "filelock",
)  # fmt: skip
"""What the children of the extension import."""


@cache
def problem() -> str | None:
    """Why the extension can't run here, in words for its user; None if it can. Imports none of what it looks for."""
    lacking = [name for name in NEEDED if not _is_there(name)]
    if not lacking:
        return None
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return (
        f"this Blender runs Python {python}, for which this zip of the extension brings no libraries "
        f"({', '.join(lacking)}). It is made for the Blenders of blender.org, 4.2 to 5.2. For another one, make a zip "
        f"with: python3 bootstrap/start.py build --for-distributions --python {python}"
    )


def _is_there(name: str) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    if name != "pydantic_core":
        return True
    # Its compiled part is for one Python alone: the file may be there and be of no use.
    return any(_compiled(Path(folder)) for folder in spec.submodule_search_locations or ())


def _compiled(folder: Path) -> bool:
    suffixes: Iterable[str] = importlib.machinery.EXTENSION_SUFFIXES
    return any((folder / f"_pydantic_core{suffix}").is_file() for suffix in suffixes)
