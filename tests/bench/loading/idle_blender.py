"""Stands where a Blender stands on the command line, speaks the renderer's protocol, and renders at once.

The standard library alone, so that what is measured around it is the farm's own time.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from tiny_png import tiny_png

MARK = "@renderbros "
_lock = threading.Lock()


def say(**message: Any) -> None:
    with _lock, contextlib.suppress(BrokenPipeError):
        sys.stdout.write(MARK + json.dumps(message) + "\n")
        sys.stdout.flush()


def beat() -> None:
    while True:
        time.sleep(1)
        say(type="heartbeat")


def main() -> None:
    if "--version" in sys.argv:
        print("Blender 4.5.15 LTS")
        return
    capabilities = {
        "blender": "4.5.15",
        "series": "4.5",
        "build": "0123456789ab",
        "engines": ["CYCLES"],
        "devices": [{"kind": "CPU", "backend": "CPU", "name": "none"}],
        "platform": "test",
        "instruction_set": "AVX2",
        "threads": 1,
        "memory": 1 << 30,
    }
    say(type="hello", pid=os.getpid(), capabilities=capabilities)
    threading.Thread(target=beat, daemon=True).start()
    for line in sys.stdin:
        request = json.loads(line)
        if request["type"] == "quit":
            break
        region = request["region"]
        path = Path(request["out_dir"], "frame.png")
        path.write_bytes(tiny_png(request["frame"], region["x1"] - region["x0"], region["y1"] - region["y0"]))
        say(type="rendered", id=request["id"], path=str(path), render_seconds=0.0, device="none")
    os._exit(0)


main()
