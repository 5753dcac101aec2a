"""How far the tasks under lease are. Kept in memory only: after a restart the workers tell again."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from ..protocol.jobs import LogEntry
from ..protocol.leases import Progress

_ENDS = frozenset({"task.submitted", "task.queued", "task.failure", "lease.revoked", "lease.expired"})


class ProgressBoard:
    """Latest progress by lease. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_lease: dict[str, tuple[str, Progress]] = {}

    def put(self, lease_id: str, task_id: str, progress: Progress) -> None:
        with self._lock:
            self._by_lease[lease_id] = (task_id, progress)

    def get(self, lease_id: str) -> Progress | None:
        with self._lock:
            found = self._by_lease.get(lease_id)
        return found[1] if found else None

    def forget(self, entries: Sequence[LogEntry]) -> None:
        """Drop what is known of tasks whose leases ended."""
        over = {entry.task_id for entry in entries if entry.event in _ENDS}
        if over:
            with self._lock:
                self._by_lease = {key: value for key, value in self._by_lease.items() if value[0] not in over}
