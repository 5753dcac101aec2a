"""Who calls: what a token tells, remembered for a moment, since each request asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ..protocol.access import Role
from ..protocol.jobs import LogEntry
from . import tokens
from .tables import AnyRow

KEEP = 2.0
"""Seconds. What this dispatcher changes is forgotten at once; another one may have changed it."""

MOST = 10_000


@dataclass(frozen=True)
class Caller:
    """Who sent a request: a worker, or an account."""

    role: Role
    id: str
    row: AnyRow

    @property
    def account(self) -> str | None:
        """Of whose jobs alone it may know; None for an operator, who may know of all."""
        return None if self.role is Role.OPERATOR else self.id


class Callers:
    """Callers by the digests of their tokens. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Caller]] = {}
        self._changes = 0

    def find(self, token: str | None) -> Caller | None:
        """Who it was at most :data:`KEEP` seconds ago, and before no change of ours; None if unknown."""
        found = self._known.get(tokens.digest(token)) if token is not None else None
        if found is None or time.monotonic() - found[0] > KEEP:
            return None
        return found[1]

    @contextmanager
    def learning(self, token: str) -> Iterator[Callable[[Caller], None]]:
        """Gives what takes the caller that is read within the block; not kept if something changed meanwhile."""
        before, now = self._changes, time.monotonic()

        def learn(caller: Caller) -> None:
            with self._lock:
                if self._changes == before:
                    if len(self._known) >= MOST:
                        self._known.clear()
                    self._known[tokens.digest(token)] = (now, caller)

        yield learn

    def forget(self, entries: Sequence[LogEntry]) -> None:
        """Drop what may be wrong after these changes."""
        changed = [entry for entry in entries if entry.event.startswith(("worker.", "account."))]
        if not changed:
            return
        with self._lock:
            self._changes += 1
            ids = {entry.worker_id for entry in changed}
            if None in ids:
                # Of accounts there are few.
                self._known.clear()
            for digest in [digest for digest, (_, caller) in self._known.items() if caller.id in ids]:
                del self._known[digest]
