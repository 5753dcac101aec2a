"""A renderer that saves itself work: the real one, which renders with a share of the samples that it is told to.

It stands where ``bootstrap/start.py`` stands in the command line of a renderer. ``CHEAT_SAMPLES`` is the share, such as
0.5; ``CHEAT_ROOT`` is the folder of the code, since this file may run as a copy elsewhere.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

ROOT = os.environ.get("CHEAT_ROOT") or str(Path(__file__).resolve().parents[1])
sys.path.insert(0, ROOT)

from bootstrap import start  # noqa: E402


def _cheat() -> None:
    from renderbros_addon.blender import render

    honest, share = render.apply_settings, float(os.environ["CHEAT_SAMPLES"])

    def lowered(scene: Any, settings: Any) -> None:
        honest(scene, settings)
        scene.cycles.samples = max(1, round(scene.cycles.samples * share))

    render.apply_settings = lowered


def _run(args: list[str]) -> int:
    # Only now are the packages there that the renderer imports.
    _cheat()
    return int(_honest_run(args))


_honest_run = start._run
start._run = _run

if __name__ == "__main__":
    start._leave(start.main())
