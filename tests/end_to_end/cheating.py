"""A worker that cheats, for a farm of real processes: it is told to render with a Blender that is not what it seems."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from farm_processes import ROOT

_SCRIPT = """#!/bin/sh
if [ "$1" = --version ]; then exec {version}; fi
export CHEAT_ROOT={root} CHEAT_SAMPLES={share}
exec {renderer}
"""


def cheating_blender(folder: Path, share: float) -> Path:
    """Write a program into ``folder`` that a worker takes for Blender (``--blender``); POSIX only.

    As a renderer it uses ``share`` of the samples it is told to; else it is the Blender that runs the tests.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A sandboxed renderer sees the folder of its Blender, and of ours only the code that renders.
    script = shutil.copy(ROOT / "tests" / "cheating_renderer.py", folder)
    real = os.environ.get("RENDERBROS_BLENDER")
    if real:
        words = [real, "--background", "--disable-autoexec", "--python-exit-code", "1", "--python", script, "--"]
        version = [real, "--version"]
    else:
        words, version = [sys.executable, script], ["echo", "Blender 4.5.0 (the bpy wheel, which has no such program)"]
    program = folder / "blender"
    program.write_text(
        _SCRIPT.format(
            version=shlex.join(version),
            root=shlex.quote(str(ROOT)),
            share=share,
            renderer=shlex.join([*words, "renderer"]),
        )
    )
    program.chmod(0o755)
    return program
