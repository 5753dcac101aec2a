"""The command lines of the worker's children."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

START = Path(__file__).resolve().parents[2] / "bootstrap" / "start.py"
"""The one entry, at the same place in a clone and in the installed extension."""


def renderer_command(blender: Path | None) -> list[str]:
    """How to start a renderer: in the Blender at ``blender``, or on the ``bpy`` wheel of this Python for None."""
    if blender is None:
        return [sys.executable, str(START), "renderer"]
    # --offline-mode came with 4.2; an older Blender would take it for a file to open.
    offline = ["--offline-mode"] if blender_version(blender) >= (4, 2) else []
    return [
        str(blender), "--background", "--disable-autoexec", *offline,
        # Only an option that stands before --python makes an uncaught exception a failure.
        "--python-exit-code", "1", "--python", str(START), "--", "renderer",
    ]  # fmt: skip


def checker_command() -> list[str]:
    """How to start the child that decodes images that are not trusted."""
    return [sys.executable, str(START), "check-images"]


@cache
def blender_version(blender: Path) -> tuple[int, int]:
    """Major and minor version of a Blender binary; (0, 0) if it will not tell."""
    try:
        said = subprocess.run([str(blender), "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(r"^Blender (\d+)\.(\d+)", said.stdout, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else (0, 0)
