"""A process with everything below it: its memory, its processor time, its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

import psutil

_CHILDREN_EVERY = 2.0
"""Seconds between listings of descendants: a listing reads every process of the machine."""

_YOUNG, _YOUNG_EVERY = 5.0, 0.2
"""Seconds in which a new process may still start what does the work, as a sandbox does: it is listed more often."""


class ProcessTree:
    """The process that ``popen`` started in a session or group of its own, and its descendants."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self._members: list[psutil.Process] = []
        self._listed = float("-inf")
        self._born = time.monotonic()
        with contextlib.suppress(psutil.NoSuchProcess):
            self._members = [psutil.Process(popen.pid)]

    def memory(self) -> int:
        """Resident bytes of all members together."""
        total = 0
        for member in self._current():
            with contextlib.suppress(psutil.Error):
                total += member.memory_info().rss
        return total

    def processor_seconds(self) -> float:
        """Processor time that the members have used so far."""
        total = 0.0
        for member in self._current():
            with contextlib.suppress(psutil.Error):
                times = member.cpu_times()
                total += times.user + times.system
        return total

    def size(self) -> tuple[int, int]:
        """How many processes there are, and how many threads all of them have."""
        processes = threads = 0
        for member in self._current():
            with contextlib.suppress(psutil.Error):
                threads += member.num_threads()
                processes += 1
        return processes, threads

    def kill(self) -> None:
        """End all members at once; returns when the first one is gone."""
        self._listed = float("-inf")
        members = self._current()
        # While the leader is not reaped its group's number can't belong to anybody else.
        if os.name == "posix" and self._popen.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, signal.SIGKILL)
        for member in members:
            with contextlib.suppress(psutil.Error):
                member.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(10)

    def _current(self) -> list[psutil.Process]:
        now = time.monotonic()
        every = _YOUNG_EVERY if now - self._born < _YOUNG else _CHILDREN_EVERY
        if self._members and now - self._listed >= every:
            self._listed = now
            leader = self._members[0]
            with contextlib.suppress(psutil.Error):
                self._members = [leader, *leader.children(recursive=True)]
        return self._members
