"""A renderer that starts while the program still loads: of all that a command needs, Blender takes longest."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..worker.command import renderer_command
from ..worker.launch import launch
from .errors import CommandError
from .own_process import undisturbed

_PREFIX = "renderbros-scratch-"
"""Of a folder's name; the process it belongs to follows."""


@dataclass(frozen=True)
class Started:
    """A renderer's process, for :func:`inspection.renderer` to take over."""

    process: subprocess.Popen[bytes]
    scratch: Path
    """Where it may write."""


@contextmanager
def started(blender: Path | None) -> Iterator[Started]:
    """Start a renderer at once; it has ended when this context ends. CommandError if it can't be started."""
    _sweep()
    scratch = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    process = None
    try:
        try:
            process = launch(renderer_command(blender), scratch)
        except OSError as error:
            raise CommandError(f"Blender can't be started: {error}") from error
        yield Started(process, scratch)
    finally:
        with undisturbed():
            if process is not None:
                process.kill()
                process.wait()
            shutil.rmtree(scratch, ignore_errors=True)


def _sweep() -> None:
    """Remove what commands that were killed have left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not pid.isdecimal():
            continue
        import psutil

        if not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
