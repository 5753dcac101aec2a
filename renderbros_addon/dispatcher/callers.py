"""Which worker a token belongs to, remembered for a moment: each of its requests asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..protocol.jobs import LogEntry
from .tables import AnyRow

KEEP = 2.0
"""Seconds. What this dispatcher changes about a worker is forgotten at once; another one may have changed it."""

MOST = 10_000


class Callers:
    """Workers' rows by token. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, AnyRow]] = {}
        self._changes = 0

    def find(self, token: str | None) -> AnyRow | None:
        """The row, as it was at most :data:`KEEP` seconds ago and before no change of ours; None if unknown."""
        found = self._known.get(token) if token is not None else None
        if found is None or time.monotonic() - found[0] > KEEP:
            return None
        return found[1]

    @contextmanager
    def learning(self, token: str) -> Iterator[Callable[[AnyRow], None]]:
        """Gives what takes the row that is read within the block; it is not kept if a worker changed meanwhile."""
        before, now = self._changes, time.monotonic()

        def learn(worker: AnyRow) -> None:
            with self._lock:
                if self._changes == before:
                    if len(self._known) >= MOST:
                        self._known.clear()
                    self._known[token] = (now, worker)

        yield learn

    def forget(self, entries: Sequence[LogEntry]) -> None:
        """Drop what may be wrong after these changes."""
        if any(entry.event.startswith("worker.") for entry in entries):
            with self._lock:
                self._changes += 1
                self._known.clear()
