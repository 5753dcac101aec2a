"""A renderer that starts while the program still loads: of all that a command needs, Blender takes longest."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
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


_ahead: tuple[list[str], Started] | None = None
"""A renderer that was started before it was asked for, and its command line."""


def start_ahead(words: Sequence[str]) -> None:
    """Start the renderer that the command in ``words`` will most likely ask for, before anything else is loaded.

    It is a guess, and whoever asks for another gets another. To be followed by :func:`drop_ahead`.
    """
    global _ahead
    # What it asks for may stand in an option or in .env, which it takes long to read.
    asks = any(word in ("-h", "--help") or word.startswith("--blender") for word in words)
    if asks or len(words) < 2 or os.environ.get("RENDERBROS_BLENDER") or Path(".env").exists():
        return
    command = renderer_command(None)
    try:
        scratch = _scratch()
        _ahead = command, Started(launch(command, scratch), scratch)
    except OSError:
        # Whoever asks tries again, and says what is wrong.
        return


def drop_ahead() -> None:
    """End what :func:`start_ahead` started, if nobody asked for it."""
    global _ahead
    if _ahead is not None:
        (_, unwanted), _ahead = _ahead, None
        _end(unwanted)


@contextmanager
def started(blender: Path | None) -> Iterator[Started]:
    """Start a renderer at once; it has ended when this context ends. CommandError if it can't be started."""
    global _ahead
    command = renderer_command(blender)
    if _ahead is not None and _ahead[0] == command:
        (_, ours), _ahead = _ahead, None
    else:
        _sweep()
        scratch = _scratch()
        try:
            ours = Started(launch(command, scratch), scratch)
        except OSError as error:
            shutil.rmtree(scratch, ignore_errors=True)
            raise CommandError(f"Blender can't be started: {error}") from error
    try:
        yield ours
    finally:
        _end(ours)


def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


def _end(one: Started) -> None:
    with undisturbed():
        one.process.kill()
        one.process.wait()
        shutil.rmtree(one.scratch, ignore_errors=True)


def _sweep() -> None:
    """Remove what commands that were killed have left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not pid.isdecimal():
            continue
        import psutil

        if not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
