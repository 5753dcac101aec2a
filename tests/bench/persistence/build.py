"""Saves the scenes of the persistence bench: ``build.py ORDERS.json``; ``built.json`` beside it tells of each."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

# The helpers of all tests, the project, and what the bench itself has: a Blender without numpy is told where one is.
sys.path.extend(str(Path(__file__).resolve().parents[level]) for level in (2, 3))
sys.path.extend(json.loads(Path(sys.argv[-1]).read_text())["path"])

from changing_scenes import Unavailable, build, every_change


def main() -> None:
    """Build what the file named on the command line lists; an empty text is success."""
    orders = Path(sys.argv[-1])
    changes, told = every_change(), {}
    for name, blend in json.loads(orders.read_text())["scenes"].items():
        try:
            build(changes[name], Path(blend))
            told[name] = ""
        except Unavailable as error:
            told[name] = f"unavailable: {error}"
        except Exception:
            told[name] = traceback.format_exc(limit=-2)
    orders.with_name("built.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Blender as a module can hang on the interpreter's own way out.
    os._exit(0)
