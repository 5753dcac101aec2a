"""A renderer that always keeps what Blender has of a scene, to see what goes wrong then; see ``persistent_matrix.py``.

It stands where ``bootstrap/start.py`` stands in the command line of a renderer.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from bootstrap import start

_own_run = start._run


def _run(args: list[str]) -> int:
    # Only now are the packages there that the renderer imports.
    from renderbros_addon.blender import render

    def keep(scene: Any) -> None:
        scene.render.use_persistent_data = True

    render.keep_what_stays_fresh = keep
    return int(_own_run(args))


start._run = _run

if __name__ == "__main__":
    start._leave(start.main())
