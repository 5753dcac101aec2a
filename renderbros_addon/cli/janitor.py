"""The process that cleans up after a farm on this machine, even if the command that started the farm was killed.

The command tells it on its standard input, a line each: folders to remove, and the farm's process ids. When the input
ends, the command is done or dead; what it has not ended and removed by then, the janitor does.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil

PATIENCE_SECONDS = 20.0
"""How long the farm's processes get to end by themselves."""


def main() -> int:
    """Serve one farm; always 0."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    folders: list[Path] = []
    farm: list[psutil.Process] = []
    for line in sys.stdin:
        if not line.strip().isdigit():
            folders.append(Path(line.rstrip("\n")))
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            farm.append(psutil.Process(int(line)))
    _, alive = psutil.wait_procs(farm, timeout=PATIENCE_SECONDS)
    for process in alive:
        end_tree(process)
    for folder in folders:
        remove(folder)
    return 0


def end_tree(process: psutil.Process) -> None:
    """Kill ``process`` and everything below it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for one in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


def remove(folder: Path) -> None:
    """Remove ``folder``; on Windows a file is in use for a moment after its process has ended."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.25)
