"""Who is told what, at once: long polls that wait for work, and WebSockets. Lives in the event loop.

Everything starts from event rows: once a change is committed, its entries come here, and the messages to workers and
viewers are made from them. Nothing here is kept; who was not connected polls.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..protocol.events import CancelLease, PauseWorker, StateChange, TaskProgress, WorkAvailable
from ..protocol.jobs import LogEntry

Message = WorkAvailable | CancelLease | PauseWorker | StateChange | TaskProgress

QUEUE = 1000
"""Messages that may wait for a slow reader before it is let go."""

MAKE_WORK = frozenset({"job.queued", "job.resumed", "job.retried", "job.reopened", "task.queued", "worker.unblocked"})
"""Events after which someone idle may find work."""

MAY_TAKE_MORE = frozenset({"task.submitted", "worker.online", "worker.resumed"})
"""Events after which the worker they name may be given work that was there already."""


@dataclass(eq=False)
class Subscriber:
    """One WebSocket: a worker's, or a viewer's of one job or of all."""

    worker_id: str | None = None
    job_id: str | None = None
    queue: asyncio.Queue[Message] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it was too slow, or the dispatcher stops: the connection is to be closed."""

    def send(self, message: Message) -> None:
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.lost.set()


@dataclass(eq=False)
class _Waiter:
    worker_id: str
    event: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """Bound to the running loop by :meth:`open`. Any thread may call ``publish``, ``progress`` and ``stop``."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscribers: set[Subscriber] = set()
        self._waiters: set[_Waiter] = set()
        self._stopping = threading.Event()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        self._loop = None

    def stop(self) -> None:
        """End all long polls and WebSockets, so that the server can stop."""
        self._stopping.set()
        self._call(self._let_go)

    def _let_go(self) -> None:
        for waiter in self._waiters:
            waiter.event.set()
        for subscriber in self._subscribers:
            subscriber.lost.set()

    def publish(self, entries: Sequence[LogEntry]) -> None:
        """Tell everyone concerned about changes that are committed."""
        self._call(self._publish, entries)

    def progress(self, message: TaskProgress) -> None:
        """Tell viewers how far a task is."""
        self._call(self._progress, message)

    def _call(self, function: object, *arguments: object) -> None:
        loop = self._loop
        if loop is not None:
            # The loop may close between the look and the call; then nobody is left to be told.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(function, *arguments)  # type: ignore[arg-type]

    def _publish(self, entries: Sequence[LogEntry]) -> None:
        work = any(entry.event in MAKE_WORK for entry in entries)
        for entry in entries if self._subscribers else ():
            change = StateChange(entry=entry)
            for subscriber in self._subscribers:
                if subscriber.worker_id is None:
                    if subscriber.job_id in (None, entry.job_id):
                        subscriber.send(change)
                elif subscriber.worker_id == entry.worker_id and (message := _to_worker(entry)):
                    subscriber.send(message)
        wanted = {entry.worker_id for entry in entries if entry.event in MAY_TAKE_MORE}
        for waiter in self._waiters:
            if work or waiter.worker_id in wanted:
                waiter.event.set()
        if work:
            for subscriber in self._subscribers:
                if subscriber.worker_id is not None:
                    subscriber.send(WorkAvailable())

    def _progress(self, message: TaskProgress) -> None:
        for subscriber in self._subscribers:
            if subscriber.worker_id is None and subscriber.job_id in (None, message.job_id):
                subscriber.send(message)

    @contextlib.contextmanager
    def subscribe(self, subscriber: Subscriber) -> Iterator[Subscriber]:
        """Send messages to ``subscriber`` within the block."""
        self._subscribers.add(subscriber)
        if self.stopping:
            subscriber.lost.set()
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    @contextlib.contextmanager
    def waiting(self, worker_id: str) -> Iterator[asyncio.Event]:
        """An event that is set, within the block, when ``worker_id`` may find work. To be cleared before looking."""
        waiter = _Waiter(worker_id)
        self._waiters.add(waiter)
        if self.stopping:
            waiter.event.set()
        try:
            yield waiter.event
        finally:
            self._waiters.discard(waiter)


def _to_worker(entry: LogEntry) -> Message | None:
    if entry.event in ("lease.revoked", "lease.expired"):
        return CancelLease(lease_id=str(entry.detail["lease_id"]))
    if entry.event in ("worker.paused", "worker.resumed"):
        return PauseWorker(paused=entry.event == "worker.paused")
    return None
