"""Starting this program again as a child, and ending with a parent that may die without a word."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any

START = Path(__file__).resolve().parents[2] / "bootstrap" / "start.py"


def own_command(*words: str | Path) -> list[str]:
    """The command line that runs ``words`` the way this process runs: from a clone, installed, or in Blender."""
    if told := os.environ.get("RENDERBROS_SELF"):
        # Set by the bootstrap inside a Blender whose Python does not run by itself.
        return [*json.loads(told), *map(str, words)]
    if START.is_file():
        return [sys.executable, str(START), *map(str, words)]
    return [sys.executable, "-m", "renderbros_addon.cli", *map(str, words)]


def spawn(
    *words: str | Path,
    stdout: int | IO[Any],
    stderr: int | IO[Any] | None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``words`` as a child that hears of our end by the end of its standard input.

    It is in a session of its own: a Ctrl-C in the terminal reaches us alone, and we stop it in good order.
    """
    return subprocess.Popen(
        own_command(*words),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env=env,
        cwd=cwd,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def stop_with_parent(stop: threading.Event) -> None:
    """Set ``stop`` when standard input ends, which it does when the parent closes it or dies."""

    def wait() -> None:
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass
        stop.set()

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()


@contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[Callable[[], int]]:
    """Within, SIGINT and SIGTERM set ``stop``; a second SIGINT raises KeyboardInterrupt.

    Yields a function that tells the exit code: 130 after a SIGINT, else 0.
    """
    interrupted = False

    def on_signal(number: int, _: FrameType | None) -> None:
        nonlocal interrupted
        if number == signal.SIGINT:
            if interrupted:
                raise KeyboardInterrupt
            interrupted = True
        stop.set()

    with _handling(on_signal, [signal.SIGINT, *_END_SIGNALS]):
        yield lambda: 130 if interrupted else 0


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP raise KeyboardInterrupt as SIGINT does, so that everything is cleaned up."""

    def on_signal(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handling(on_signal, _END_SIGNALS):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within, no signal that asks to end is heard: for cleaning up, which ends soon by itself."""
    with _handling(signal.SIG_IGN, [signal.SIGINT, *_END_SIGNALS]):
        yield


_END_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


@contextmanager
def _handling(handler: Any, signals: list[signal.Signals]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, old in before.items():
            # None stands for a handler that was not set from Python, as Blender's: there is no way back to it.
            signal.signal(number, signal.SIG_DFL if old is None else old)
