"""Removes what uploads have left that came to nothing: files that no job, frame or result refers to.

A worker that dies between sending a file and telling of it leaves one, and one may send what it likes. Of those there
are rows (``sent_blobs.py``), so that they go soon after the lease that they could have been for. What a dispatcher left
that was killed between two steps is found only by looking at everything that is stored, now and then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import islice

from sqlalchemy import Connection, select

from . import sent_blobs, spare
from .blob_rights import holds_lease
from .blobs import BlobStore
from .store import Store
from .tables import frames as frames_table
from .tables import job_blobs, workers

log = logging.getLogger("renderbros.dispatcher")

ORPHANED_AFTER = 3600.0
"""Seconds that an uploaded file may lie here before anything refers to it: its result or its job is on the way."""

LOOK_EVERY = 3600.0
"""Seconds between two looks at everything that is stored."""

UNCLAIMED_AFTER = 180.0
"""Seconds that a worker's file, or part of one, may lie here once its lease is over: a late result is on the way."""

LOOK_FOR_UNCLAIMED_EVERY = 15.0

_TOGETHER = 500
"""Digests asked for in one query."""


class Litter:
    """Looks every so often, in a thread of its own."""

    def __init__(self, store: Store, blobs: BlobStore) -> None:
        self._store = store
        self._blobs = blobs
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="litter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(5)

    def _work(self) -> None:
        duties: list[tuple[float, Callable[[], int]]] = [
            (LOOK_FOR_UNCLAIMED_EVERY, self.remove_unclaimed),
            (LOOK_EVERY, self.remove),
        ]
        due = [time.monotonic() + every for every, _ in duties]
        while not self._stop.wait(max(0.0, min(due) - time.monotonic())):
            for i, (every, duty) in enumerate(duties):
                if time.monotonic() < due[i]:
                    continue
                try:
                    duty()
                except Exception:
                    # Storage or database are away for a while; what lies here keeps.
                    log.exception("what uploads have left could not be looked for; the next look will do")
                due[i] = time.monotonic() + every

    def remove_unclaimed(self) -> int:
        """Remove what workers have sent for leases that are over and no result has named; how many files."""
        after = timedelta(seconds=UNCLAIMED_AFTER)
        with self._store.read() as conn:
            rows = sent_blobs.stale(conn, after, self._store.clock())
        if rows:
            self._store.change(lambda tx: sent_blobs.forget(tx, rows))
        removed = spare.delete_all(self._store, {row.sha256 for row in rows}, self._blobs.delete)
        for part in self._blobs.parts(UNCLAIMED_AFTER):
            with self._store.read() as conn:
                over = _is_worker(conn, part.owner) and not holds_lease(conn, part.owner)
            if over:
                removed += self._blobs.drop(part)
        if removed:
            log.info("removed %d files that workers had sent and no result named", removed)
        return removed

    def remove(self) -> int:
        """Remove all of it that is old enough; how many files."""
        self._blobs.sweep(small_older_than=ORPHANED_AFTER)
        old = self._blobs.older_than(ORPHANED_AFTER)
        removed = 0
        while some := list(islice(old, _TOGETHER)):
            if self._stop.is_set():
                break
            with self._store.read() as conn:
                plain = _named_by_jobs(conn, some)
            left = [sha256 for sha256 in some if sha256 not in plain]
            removed += spare.delete_all(self._store, left, self._blobs.delete)
        if removed:
            log.info("removed %d uploaded files that nothing refers to", removed)
        return removed


def _is_worker(conn: Connection, owner: str) -> bool:
    return conn.execute(select(workers.c.id).where(workers.c.id == owner)).first() is not None


def _named_by_jobs(conn: Connection, digests: Sequence[str]) -> set[str]:
    """Nearly all are scenes' files and finished frames: they are asked for together."""
    found: set[str] = set()
    for column in (job_blobs.c.sha256, frames_table.c.output_sha256):
        found.update(conn.execute(select(column).where(column.in_(digests))).scalars())
    return found
