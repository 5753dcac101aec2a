"""The folder on the submitter's machine that a job's files were taken from, and where a path lies below it.

Submitter and worker may be different platforms, so paths are compared as text.
"""

from __future__ import annotations

import re
from pathlib import PureWindowsPath

SEVERAL_DRIVES = "*:"
"""The ``source_root`` of files that lie on several drives of Windows: each drive has a folder of its own then."""


def below(path: str, source_root: str) -> list[str] | None:
    """The parts of ``path`` below ``source_root``, with ``..`` resolved by name; None if it is not below it."""
    if source_root == SEVERAL_DRIVES:
        return _below_drives(path)
    parts, root = _parts(path), _parts(source_root)
    start = parts[: len(root)]
    # Windows takes no notice of case; elsewhere two names that differ in it are two files.
    alike = _folded(start) == _folded(root) if PureWindowsPath(source_root).drive else start == root
    return parts[len(root) :] if alike else None


def _below_drives(path: str) -> list[str] | None:
    drive = PureWindowsPath(path).drive
    if not drive:
        return None
    # C: becomes C, and \\server\share becomes SERVER-SHARE.
    folder = "-".join(part for part in re.split(r"[\\/:]", drive.upper()) if part)
    return [folder, *_parts(path)[len(_parts(drive)) :]]


def _parts(path: str) -> list[str]:
    """Parts of a POSIX or Windows path with ``.`` and ``..`` resolved by name alone."""
    windows = PureWindowsPath(path).drive != ""
    parts: list[str] = []
    for part in (path.replace("\\", "/") if windows else path).split("/"):
        if part == "..":
            parts[1:] = parts[1:-1]
        elif part not in ("", ".") or not parts:
            parts.append(part)
    return parts


def _folded(parts: list[str]) -> list[str]:
    return [part.casefold() for part in parts]
