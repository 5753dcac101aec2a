"""How far the tasks under lease are. Kept in memory only: after a restart the workers tell again."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from ..protocol.jobs import LogEntry
from ..protocol.leases import Progress

_ENDS = frozenset({"task.submitted", "task.queued", "task.failure", "lease.revoked", "lease.expired"})


@dataclass(frozen=True)
class Known:
    """A lease whose worker told how far it is."""

    worker_id: str
    task_id: str
    job_id: str
    progress: Progress


class ProgressBoard:
    """Latest progress by lease. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_lease: dict[str, Known] = {}

    def put(self, lease_id: str, known: Known) -> None:
        with self._lock:
            self._by_lease[lease_id] = known

    def find(self, lease_id: str) -> Known | None:
        with self._lock:
            return self._by_lease.get(lease_id)

    def get(self, lease_id: str) -> Progress | None:
        known = self.find(lease_id)
        return known.progress if known else None

    def forget(self, entries: Sequence[LogEntry]) -> None:
        """Drop what is known of tasks whose leases ended."""
        over = {entry.task_id for entry in entries if entry.event in _ENDS}
        if over:
            with self._lock:
                self._by_lease = {key: known for key, known in self._by_lease.items() if known.task_id not in over}
