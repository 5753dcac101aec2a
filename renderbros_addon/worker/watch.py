"""What is looked at while a renderer works: that it lives, and keeps to its limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..protocol.states import FailureCode
from .limits import Limits
from .memory import low_on_memory
from .renderer_child import RendererChild
from .usage import DiskWatch

WATCH_SECONDS = 0.25
"""Between two looks at a renderer's memory."""

_SETTLED = 0.5
"""Seconds without progress after which the processor time is read that idleness is told by: most have more by then."""

_IDLE_SHARE = 0.005
"""A renderer that uses less of one core than this does nothing: its heartbeat thread alone uses a tenth of it."""


@dataclass(frozen=True)
class Breach:
    """Why a renderer has to be killed."""

    code: FailureCode
    message: str


class RendererWatch:
    """Looks at one renderer for as long as it lives.

    ``max_memory`` is in bytes; ``limits`` has the others, of which disk counts in ``folders``. Times are monotonic, in
    seconds: ``heartbeat_timeout`` is how long it may be silent, ``hang_timeout`` how long it may make no progress while
    it does not use the processor either.
    """

    def __init__(
        self,
        *,
        max_memory: int | None,
        limits: Limits | None,
        folders: Sequence[Path],
        heartbeat_timeout: float,
        hang_timeout: float,
    ) -> None:
        self._max_memory = max_memory
        self._limits = limits
        self._disk = DiskWatch(folders, limits) if limits else None
        self._heartbeat_timeout = heartbeat_timeout
        self._hang_timeout = hang_timeout
        # Kept from task to task: one that is shorter than the time between two looks is not to go unseen.
        self._last_look = float("-inf")
        self._last_turn = 0.0
        self._idle_from = 0.0
        self._processor_then: float | None = None
        """Processor time when it last got on, or soon after; None while that was not looked at."""
        self.used = 0
        """Resident bytes at the last look."""
        self.peak = 0
        """The most that were seen."""

    def begin(self, now: float) -> None:
        """A request is waited for from ``now`` on."""
        self._last_turn = now
        self.progressed(now)

    def progressed(self, now: float) -> None:
        """It got on: whatever it does not do counts from ``now``."""
        self._idle_from = now
        self._processor_then = None

    def look(self, child: RendererChild, now: float, serving: bool) -> Breach | None:
        """What is wrong, if anything; to be called often, also between two looks. Only one that is ``serving`` a
        request is expected to give signs of life."""
        if now - self._last_turn > self._heartbeat_timeout / 2:
            # We did not run ourselves, say in a laptop that slept: the child had no chance either.
            child.last_sign_of_life = now
            self.progressed(now)
        self._last_turn = now
        if now - self._last_look < WATCH_SECONDS:
            return None
        self._last_look = now
        return self._of_memory(child) or self._of_limits(child) or (self._of_life(child, now) if serving else None)

    def _of_memory(self, child: RendererChild) -> Breach | None:
        self.used = used = child.tree.memory()
        self.peak = max(self.peak, used)
        if self._max_memory is not None and used > self._max_memory:
            allowed = f"{self._max_memory / 2**20:.0f} MiB"
            message = f"the renderer ran out of memory: it used {used / 2**20:.0f} MiB of the {allowed} allowed"
            return Breach(FailureCode.OUT_OF_MEMORY, message)
        if self._limits is not None and low_on_memory():
            # Files in memory and what drivers take are in no process's account.
            message = f"the machine ran out of memory while the renderer used {used / 2**20:.0f} MiB of it"
            return Breach(FailureCode.OUT_OF_MEMORY, message)
        return None

    def _of_limits(self, child: RendererChild) -> Breach | None:
        limits = self._limits
        if limits is None:
            return None
        processes, threads = child.tree.size()
        if processes > limits.processes or threads > limits.threads:
            allowed = f"{limits.processes} and {limits.threads} are allowed"
            message = f"the renderer started {processes} processes and {threads} threads: {allowed}"
            return Breach(FailureCode.LIMIT_EXCEEDED, message)
        if self._disk and (filled := self._disk.breach()):
            return Breach(FailureCode.LIMIT_EXCEEDED, f"the renderer filled the disk: {filled}")
        return None

    def _of_life(self, child: RendererChild, now: float) -> Breach | None:
        if not child.running:
            return None  # the end of its pipe comes after any last words
        silent = now - child.last_sign_of_life
        if silent > self._heartbeat_timeout:
            message = f"the renderer hung: no sign of life for {silent:.1f} s{_stopped_note(child)}"
            return Breach(FailureCode.HUNG, message)
        idle = now - self._idle_from
        if self._processor_then is None:
            if idle >= min(_SETTLED, self._hang_timeout / 4):
                self._processor_then = child.tree.processor_seconds()
        elif idle > self._hang_timeout:
            if child.tree.processor_seconds() - self._processor_then < _IDLE_SHARE * idle:
                message = f"the renderer hung: no progress and no work done for {idle:.1f} s"
                return Breach(FailureCode.HUNG, message)
            self.progressed(now)
        return None


def _stopped_note(child: RendererChild) -> str:
    try:
        stopped = psutil.Process(child.process.pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return ""
    return "; the process is stopped" if stopped else ""
