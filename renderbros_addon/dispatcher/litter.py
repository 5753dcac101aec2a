"""Removes what uploads have left that came to nothing: files that no job, frame or result refers to.

A worker that dies between sending a file and telling of it leaves one, and so does a result that is turned down before
it is taken in. Neither is anything that a step of the intake would come across.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial
from itertools import islice

from sqlalchemy import Connection, select

from . import frames
from .blobs import BlobStore
from .store import Store, Tx
from .tables import frames as frames_table
from .tables import job_blobs

log = logging.getLogger("renderbros.dispatcher")

ORPHANED_AFTER = 3600.0
"""Seconds that an uploaded file may lie here before anything refers to it: its result or its job is on the way."""

LOOK_EVERY = 3600.0
"""Seconds between two looks at everything that is stored."""

_TOGETHER = 500
"""Digests asked for in one query."""


class Litter:
    """Looks every :data:`LOOK_EVERY` seconds, in a thread of its own."""

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
        while not self._stop.wait(LOOK_EVERY):
            try:
                self.remove()
            except Exception:
                # Storage or database are away for a while; what lies here keeps.
                log.exception("what uploads have left could not be looked for; the next look will do")

    def remove(self) -> int:
        """Remove all of it that is old enough; how many files."""
        self._blobs.sweep(small_older_than=ORPHANED_AFTER)
        old = self._blobs.older_than(ORPHANED_AFTER)
        removed = 0
        while some := list(islice(old, _TOGETHER)):
            if self._stop.is_set():
                break
            with self._store.read() as conn:
                spare = _unneeded(conn, some)
            removed += sum(self._store.change(partial(self._remove_if_spare, sha256=sha256)) for sha256 in spare)
        if removed:
            log.info("removed %d uploaded files that nothing refers to", removed)
        return removed

    def _remove_if_spare(self, tx: Tx, sha256: str) -> bool:
        # As one change: a result that is taken in before it is seen here, and one after it finds the file missing.
        if not _unneeded(tx.conn, [sha256]):
            return False
        self._blobs.delete(sha256)
        return True


def _unneeded(conn: Connection, digests: Sequence[str]) -> list[str]:
    # Nearly all are scenes' files and finished frames: they are asked for together.
    plain: set[str] = set()
    for column in (job_blobs.c.sha256, frames_table.c.output_sha256):
        plain.update(conn.execute(select(column).where(column.in_(digests))).scalars())
    return [sha256 for sha256 in digests if sha256 not in plain and not frames.is_needed(conn, sha256)]
