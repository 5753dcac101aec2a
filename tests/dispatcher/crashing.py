"""Run as a program: a dispatcher that kills itself at a step of the intake, once a file arms it.

    crashing.py DATA PORT STEP

Prints its URL. SIGKILL is what it gets: no handler, no flush, no farewell.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from dispatcher.running import config

from renderbros_addon.dispatcher import frames, jobs, results, store
from renderbros_addon.dispatcher.blobs import BlobStore
from renderbros_addon.dispatcher.intake import Intake
from renderbros_addon.dispatcher.judging import Judge
from renderbros_addon.dispatcher.server import serve

STEPS: dict[str, tuple[Any, str, str]] = {
    "the job's row is written, not committed": (jobs, "queue_if_whole", "after"),
    "the result is written, not committed": (results, "receive", "after"),
    "the result waits to be looked at": (Judge, "judge", "before"),
    "the image was found good": (results, "accept", "before"),
    "the acceptance is written, not committed": (results, "accept", "after"),
    "all tiles are there": (Intake, "_assemble", "before"),
    "the frame is assembled in scratch": (frames, "announce_assembled", "before"),
    "the assembled blob is announced": (BlobStore, "put_file", "before"),
    "the assembled blob is stored": (BlobStore, "put_file", "after"),
    "the finish task is written, not committed": (frames, "assembled", "after"),
    "the frame is done": (Intake, "_tidy", "before"),
    "the spare blobs are deleted": (frames, "settle", "before"),
    "events are written, not committed": (store, "write_all_events", "after"),
}


def armed(data: Path) -> Path:
    return data.parent / "armed"


def _deadly(function: Callable[..., Any], when: str, trigger: Path) -> Callable[..., Any]:
    def replaced(*arguments: Any, **named: Any) -> Any:
        if when == "before" and trigger.exists():
            psutil.Process().kill()
        result = function(*arguments, **named)
        if when == "after" and trigger.exists():
            psutil.Process().kill()
        return result

    return replaced


def main() -> None:
    data, port, step = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    owner, name, when = STEPS[step]
    setattr(owner, name, _deadly(getattr(owner, name), when, armed(data)))
    serve(config(data, port=port), on_ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    main()
