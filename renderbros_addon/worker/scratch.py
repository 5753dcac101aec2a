"""Run folders: everything temporary of one agent, which dies with it, if need be at the next start."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from .checkout import remove_tree

log = logging.getLogger("renderbros.worker")

_CLOCK_STEP = 2.0
"""Seconds by which a process's start time may differ between two readings, after the clock was set."""


class RunFolder:
    """A folder below ``runs`` that is this agent's while it holds the lock beside it.

    Making one first removes what agents that were killed have left: their folders and their renderers.
    """

    def __init__(self, runs: Path) -> None:
        runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._runs = runs
        # Without this lock a cleaner could take a folder between its making and its locking.
        with FileLock(runs / "runs.lock"):
            _clean(runs)
            self.path = runs / f"run-{os.getpid()}-{secrets.token_hex(4)}"
            self._lock = FileLock(self.path.with_suffix(".lock"))
            self._lock.acquire(timeout=0)
            self.path.mkdir(mode=0o700)
        self._children = self.path / "children"
        self._children.mkdir()

    def record_child(self, pid: int) -> None:
        """Note a child process, so that the next start can end it if we can't."""
        with contextlib.suppress(psutil.NoSuchProcess):
            note = {"pid": pid, "created": psutil.Process(pid).create_time()}
            (self._children / f"{pid}.json").write_text(json.dumps(note))

    def forget_child(self, pid: int) -> None:
        """The child has ended."""
        (self._children / f"{pid}.json").unlink(missing_ok=True)

    def folder(self, *names: str) -> Path:
        """A folder below this one, made if need be."""
        path = self.path.joinpath(*names)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def remove(self) -> None:
        """Remove the folder and let go of the lock."""
        with FileLock(self._runs / "runs.lock"):
            remove_tree(self.path)
            self._lock.release()
            self.path.with_suffix(".lock").unlink(missing_ok=True)


def _clean(runs: Path) -> None:
    for left in runs.glob("run-*.lock"):
        lock = FileLock(left)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        folder = left.with_suffix("")
        if folder.exists():
            log.info("cleaning up after a worker that was killed: %s", folder.name)
            _end_children(folder / "children")
            remove_tree(folder)
        lock.release()
        left.unlink(missing_ok=True)


def _end_children(notes: Path) -> None:
    for path in notes.glob("*.json"):
        try:
            note = json.loads(path.read_text())
            process = psutil.Process(int(note["pid"]))
            # The number alone may belong to somebody else by now.
            if abs(process.create_time() - float(note["created"])) > _CLOCK_STEP:
                continue
            members = [process, *process.children(recursive=True)]
        except (OSError, ValueError, KeyError, TypeError, psutil.Error):
            continue
        log.warning("ending process %d, a renderer left by a worker that was killed", process.pid)
        for member in members:
            with contextlib.suppress(psutil.Error):
                member.kill()
        psutil.wait_procs(members, timeout=5)
