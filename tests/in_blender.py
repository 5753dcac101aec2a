"""Running a script that imports bpy, by the same kind of Blender that the tests run in."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def script_command(script: Path, *words: str | Path) -> list[str]:
    """The command line that runs ``script`` with ``words`` at the end of its ``sys.argv``.

    A Blender binary that runs the tests has left its path in the environment; otherwise this Python has the wheel.
    """
    blender = os.environ.get("RENDERBROS_BLENDER")
    if blender:
        start = [blender, "-b", "--factory-startup", "--python-exit-code", "1", "--python"]
        return [*start, str(script), "--", *map(str, words)]
    return [sys.executable, str(script), *map(str, words)]
