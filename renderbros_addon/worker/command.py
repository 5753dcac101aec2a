"""The command lines of the worker's children."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

START = Path(__file__).resolve().parents[2] / "bootstrap" / "start.py"
"""The one entry, at the same place in a clone and in the installed extension."""

_PACKAGE = __name__.rpartition(".worker")[0]


def chosen_blender(blender: Path | None) -> Path | None:
    """The Blender to render with: ``blender``, or the one that the bootstrap found itself in; None for the wheel."""
    found = os.environ.get("RENDERBROS_BLENDER")
    return blender or (Path(found) if found else None)


def renderer_command(blender: Path | None) -> list[str]:
    """How to start a renderer: in the Blender at ``blender``, or for None in the one we came from, if any, else on the
    ``bpy`` wheel of this Python."""
    binary = chosen_blender(blender)
    if binary is None:
        return _in_this_python("renderer", "blender.renderer", "main")
    # --offline-mode came with 4.2; an older Blender would take it for a file to open.
    offline = ["--offline-mode"] if blender_version(binary) >= (4, 2) else []
    return [
        str(binary), "--background", "--disable-autoexec", *offline,
        # Only an option that stands before --python makes an uncaught exception a failure.
        "--python-exit-code", "1", "--python", str(START), "--", "renderer",
    ]  # fmt: skip


def checker_command() -> list[str]:
    """How to start the child that decodes images that are not trusted."""
    if told := os.environ.get("RENDERBROS_SELF"):
        # Set by the bootstrap inside a Blender whose Python does not run by itself.
        return [*json.loads(told), "check-images"]
    return _in_this_python("check-images", "imaging.checker", "run_checker")


def _in_this_python(word: str, module: str, function: str) -> list[str]:
    if START.is_file():
        return [sys.executable, str(START), word]
    # Installed by pip: there is no bootstrap, and nothing for it to do. The word is for people who look at processes.
    code = f"import sys; from {_PACKAGE}.{module} import {function} as run; sys.exit(run())"
    return [sys.executable, "-c", code, word]


@cache
def blender_version(blender: Path) -> tuple[int, int]:
    """Major and minor version of a Blender binary; (0, 0) if it will not tell."""
    try:
        said = subprocess.run([str(blender), "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(r"^Blender (\d+)\.(\d+)", said.stdout, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else (0, 0)
