"""A renderer that starts while the program still loads: of all that a command needs, Blender takes longest."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..worker.command import renderer_command
from ..worker.launch import launch
from .errors import CommandError


@dataclass(frozen=True)
class Started:
    """A renderer's process, for :func:`inspection.renderer` to take over."""

    process: subprocess.Popen[bytes]
    scratch: Path
    """Where it may write."""


@contextmanager
def started(blender: Path | None) -> Iterator[Started]:
    """Start a renderer at once; it has ended when this context ends. CommandError if it can't be started."""
    with tempfile.TemporaryDirectory(prefix="renderbros-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        try:
            process = launch(renderer_command(blender), scratch)
        except OSError as error:
            raise CommandError(f"Blender can't be started: {error}") from error
        try:
            yield Started(process, scratch)
        finally:
            process.kill()
            process.wait()
