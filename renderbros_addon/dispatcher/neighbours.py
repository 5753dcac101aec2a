"""What other dispatchers on the same PostgreSQL database change, heard by LISTEN and NOTIFY.

Each change names its event rows to the others in the transaction that leaves them, so they hear of it exactly when it
is committed. What is missed while the connection is down is not made up for: long polls look by themselves now and
then, and whoever is connected again has everybody look.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from sqlalchemy import bindparam, select

from ..protocol.jobs import LogEntry
from .prepared import Prepared
from .store import CHANNEL, Store, entry_of
from .tables import events

log = logging.getLogger("renderbros.dispatcher")

_LISTEN_SECONDS = 0.5
"""How long one wait for notifications lasts; also how long stopping may take."""

_RETRY_SECONDS = 2.0

_BETWEEN = Prepared(
    select(events).where(events.c.id >= bindparam("first"), events.c.id <= bindparam("last")).order_by(events.c.id)
)


class Neighbours:
    """A thread that calls ``tell`` with the events of each change that another dispatcher makes, and ``missed`` when it
    may have missed some. On SQLite there are no others, and it does nothing."""

    def __init__(self, store: Store, tell: Callable[[Sequence[LogEntry]], None], missed: Callable[[], None]) -> None:
        self._store = store
        self._tell = tell
        self._missed = missed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="neighbours", daemon=True)

    def start(self) -> None:
        if not self._store.sqlite:
            self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(5)

    def _work(self) -> None:
        import psycopg  # a dispatcher on SQLite does without

        url = self._store.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        while not self._stop.is_set():
            try:
                with psycopg.connect(url, autocommit=True) as conn:
                    conn.execute(f"LISTEN {CHANNEL}")
                    self._missed()
                    while not self._stop.is_set():
                        for notification in conn.notifies(timeout=_LISTEN_SECONDS):
                            self._hear(notification.payload)
            except Exception:
                # The database may be away for a while.
                log.warning("other dispatchers are not heard for now", exc_info=True)
                self._stop.wait(_RETRY_SECONDS)

    def _hear(self, payload: str) -> None:
        origin, first, last = payload.split(" ")
        if origin == self._store.origin:
            return
        with self._store.read() as conn:
            rows = _BETWEEN.all(conn, first=int(first), last=int(last))
        self._tell([entry_of(row) for row in rows])
