"""Who writes next to a database that has one writer: SQLite's.

Changes wait in two lanes. Those of the urgent one go first: a worker that waits for a lease renders nothing, while
nobody misses a result that is judged a little later. Whoever has the turn serves all who wait by then, in one
transaction, and so with one sync: the thread of one of them, or a thread of its own where nobody's thread waits.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from ..protocol.jobs import LogEntry
from .errors import Conflict

log = logging.getLogger("renderbros.dispatcher")

MOST_TOGETHER = 64
"""Changes that share a commit at most."""

LONGEST = 0.02
"""Seconds after which no more changes join a commit: those that are made already wait for the others."""

URGENT_IN_A_ROW = 8
"""After so many urgent changes one of the others has its turn, however many are urgent."""


@dataclass(eq=False)
class Waiting:
    """A change that waits for its turn, and what became of it."""

    work: Callable[[Any], Any]
    future: asyncio.Future[None] | None = None
    """Resolved in its loop once the change is served, for who waits there and not in a thread."""
    served: bool = False
    result: Any = None
    error: BaseException | None = None
    entries: tuple[LogEntry, ...] = ()


class Turns:
    """``attempt`` makes one change on a connection and notes its result or error; ``publish`` tells of its events."""

    def __init__(
        self,
        engine: Engine,
        attempt: Callable[[Connection, Waiting], None],
        publish: Callable[[Sequence[LogEntry]], None],
    ) -> None:
        self._engine = engine
        self._attempt = attempt
        self._publish = publish
        self._turn = threading.Lock()
        self._urgent: deque[Waiting] = deque()
        self._others: deque[Waiting] = deque()
        self._row = 0
        self._conn: Connection | None = None
        self._called = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def take(self, change: Waiting) -> None:
        """Have ``change`` served; returns when it is, which may be by this thread."""
        self._others.append(change)
        while not change.served:
            with self._turn:
                if not change.served:
                    self._serve()

    async def wait(self, change: Waiting, *, urgent: bool = False) -> None:
        """The same from within a loop, at the cost of no thread for each who waits; in the ``urgent`` lane or not."""
        change.future = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._others).append(change)
        if self._thread is None:
            self._start()
        self._called.set()
        await change.future

    def close(self) -> None:
        """Serve those who wait, and let go of the database."""
        self._closed = True
        self._called.set()
        if self._thread is not None:
            self._thread.join(10)
        with self._turn:
            self._drop()

    def _start(self) -> None:
        with self._turn:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            self._called.wait()
            self._called.clear()
            while self._urgent or self._others:
                try:
                    with self._turn:
                        self._serve()
                except Exception:
                    # Those who waited have been told; the rest of them shall not wait for ever.
                    log.exception("a commit failed")
            if self._closed:
                return

    def _next(self) -> Waiting | None:
        if self._urgent and (self._row < URGENT_IN_A_ROW or not self._others):
            self._row += 1
            return self._urgent.popleft()
        self._row = 0
        return self._others.popleft() if self._others else None

    def _serve(self) -> None:
        together: list[Waiting] = []
        try:
            if self._conn is None:
                self._conn = self._engine.connect().execution_options(immediate=True)
            with self._conn.begin():
                until = time.monotonic() + LONGEST
                while len(together) < MOST_TOGETHER and (one := self._next()) is not None:
                    together.append(one)
                    self._attempt(self._conn, one)
                    if time.monotonic() >= until:
                        break
        except BaseException as error:
            self._drop()
            # Nothing of this is on disk: whoever has no error of its own shares this one.
            shared = error if isinstance(error, Exception) else Conflict("interrupted: try again")
            together = together or self._all_waiting()
            for one in together:
                one.error = one.error or shared
            if shared is not error:
                raise
        finally:
            for one in together:
                one.served = True
        try:
            self._publish([entry for one in together if one.error is None for entry in one.entries])
        finally:
            _resolve(together)

    def _all_waiting(self) -> list[Waiting]:
        # The transaction did not even begin, so that nobody was taken from the lanes.
        found = [*self._urgent, *self._others]
        self._urgent.clear()
        self._others.clear()
        return found

    def _drop(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def _resolve(together: Iterable[Waiting]) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for one in together:
        if one.future is not None:
            loops.setdefault(one.future.get_loop(), []).append(one.future)
    for loop, futures in loops.items():
        try:
            loop.call_soon_threadsafe(_finish, futures)
        except RuntimeError:
            log.debug("%d requests ended with their loop", len(futures))


def _finish(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():  # its request may have been given up meanwhile
            future.set_result(None)
