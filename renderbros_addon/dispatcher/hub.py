"""Who is told what, at once: long polls that wait for work, and WebSockets. Lives in the event loop.

Everything starts from event rows: once a change is committed, by this dispatcher or by another one on the same
database, its entries come here, and the messages to workers and viewers are made from them. Nothing here is kept; who
was not connected polls.

Of those who wait for work as many are woken as there are new tasks. Whoever has looked wakes the next one, until one of
them finds that nothing is left: so a hundred idle workers don't all ask for the one task that came in.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..protocol.events import CancelLease, PauseWorker, StateChange, TaskProgress, WorkAvailable
from ..protocol.jobs import LogEntry
from . import discretion

Message = WorkAvailable | CancelLease | PauseWorker | StateChange | TaskProgress

QUEUE = 1000
"""Messages that may wait for a slow reader before it is let go."""

MAKE_WORK = frozenset(
    {
        *("job.queued", "job.resumed", "job.retried", "job.reopened", "task.queued", "worker.unblocked"),
        # What one leaves, or was kept from others for it, is for those.
        *("worker.offline", "worker.paused", "worker.quarantined", "worker.banned"),
    }
)
"""Events after which someone idle may find work."""

MAY_TAKE_MORE = frozenset({"task.submitted", "worker.online", "worker.resumed"})
"""Events after which the worker they name may be given work that was there already."""

SHUT_OUT = frozenset({"worker.banned", "worker.token_revoked"})
"""Events after which the worker they name has nothing to hear here, nor to wait for."""

_HEARD = MAKE_WORK | MAY_TAKE_MORE | SHUT_OUT


@dataclass(eq=False)
class Subscriber:
    """One WebSocket: a worker's, or a viewer's of one job or of all."""

    worker_id: str | None = None
    account_id: str | None = None
    job_id: str | None = None
    jobs: set[str] | None = None
    """The only jobs that it may hear of; None for all. Those that its account makes are added."""
    queue: asyncio.Queue[Message] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it was too slow, or the dispatcher stops: the connection is to be closed."""

    def tell(self, entry: LogEntry) -> None:
        """A viewer hears of a change, if it wants to and may."""
        if self.jobs is not None:
            if entry.event == "job.created" and entry.detail.get("account") == self.account_id and entry.job_id:
                self.jobs.add(entry.job_id)
            if entry.job_id not in self.jobs:
                return
            entry = discretion.of_job(entry)
        if self.job_id in (None, entry.job_id):
            self.send(StateChange(entry=entry))

    def send(self, message: Message) -> None:
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.lost.set()


@dataclass(eq=False)
class Waiter:
    """One request that waits for work."""

    worker_id: str
    event: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is to look."""
    due: bool = False
    """There may be something that it has not looked for yet."""
    owes: bool = False
    """It was woken for others too, and has not told yet what it saw."""


class Hub:
    """Bound to the running loop by :meth:`open`. Any thread may call ``publish``, ``progress`` and ``stop``."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscribers: set[Subscriber] = set()
        self._waiters: dict[Waiter, None] = {}
        self._news = 0
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
        # Most concern nobody, and even to wake the loop takes a while.
        if self._subscribers or any(entry.event in _HEARD for entry in entries):
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
        for entry in entries if self._subscribers else ():
            for subscriber in self._subscribers:
                if _ends(entry, subscriber):
                    subscriber.lost.set()
                elif subscriber.worker_id is None:
                    subscriber.tell(entry)
                elif subscriber.worker_id == entry.worker_id and (message := _to_worker(entry)):
                    subscriber.send(message)
        # Who is shut out looks once more, and is told so.
        wanted = {entry.worker_id for entry in entries if entry.event in MAY_TAKE_MORE | SHUT_OUT}
        for waiter in self._waiters if wanted else ():
            if waiter.worker_id in wanted:
                waiter.event.set()
        work = [entry for entry in entries if entry.event in MAKE_WORK]
        if not work:
            return
        now = [number for entry in work if (number := self._new_tasks(entry))]
        if now:
            self._wake_for(sum(now))
        for subscriber in self._subscribers:
            if subscriber.worker_id is not None:
                subscriber.send(WorkAvailable())

    def _new_tasks(self, entry: LogEntry) -> int:
        """How many tasks may be there to be taken after ``entry``: at least so many waiters are worth asking."""
        pause = entry.detail.get("pause")
        if isinstance(pause, float | int) and pause > 0:
            # It may be taken only then.
            if self._loop is not None:
                self._loop.call_later(pause + 0.01, self._wake_for, 1)
            return 0
        if entry.event == "task.queued":
            return 1
        number = entry.detail.get("tasks")
        return number if isinstance(number, int) and number > 0 else len(self._waiters)

    def _wake_for(self, tasks: int) -> None:
        self._news += 1
        for waiter in self._waiters:
            waiter.due = True
        self._wake(tasks)

    def _wake(self, number: int) -> None:
        for waiter in self._waiters:
            if number <= 0:
                return
            if waiter.due:
                waiter.due = False
                waiter.owes = True
                waiter.event.set()
                number -= 1

    def wake_all(self) -> None:
        """Have everybody look: nobody knows what was missed. From any thread."""
        self._call(self._wake_everybody)

    def _wake_everybody(self) -> None:
        self._wake_for(len(self._waiters))

    def begin_look(self, waiter: Waiter) -> int:
        """To be called before a waiter looks for work; what it returns is for :meth:`end_look`."""
        waiter.event.clear()
        waiter.due = False
        return self._news

    def end_look(self, waiter: Waiter, began: int, *, left: bool) -> None:
        """It has looked. ``left``: there may be something that it did not take, so another one shall look."""
        if not waiter.owes:
            return
        waiter.owes = False
        if left:
            self._wake(1)
        elif began == self._news:
            for other in self._waiters:
                other.due = False

    def _progress(self, message: TaskProgress) -> None:
        for subscriber in self._subscribers:
            if subscriber.worker_id is not None or subscriber.job_id not in (None, message.job_id):
                continue
            if subscriber.jobs is None or message.job_id in subscriber.jobs:
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
    def waiting(self, worker_id: str) -> Iterator[Waiter]:
        """Within the block, the waiter's event is set when ``worker_id`` may find work."""
        waiter = Waiter(worker_id)
        self._waiters[waiter] = None
        if self.stopping:
            waiter.event.set()
        try:
            yield waiter
        finally:
            del self._waiters[waiter]
            if waiter.owes:
                self._wake(1)


def _ends(entry: LogEntry, subscriber: Subscriber) -> bool:
    """Has the subscriber nothing to hear here any more?"""
    if entry.event in SHUT_OUT:
        return entry.worker_id == subscriber.worker_id
    return (
        entry.event in ("account.revoked", "account.rotated") and entry.detail.get("account") == subscriber.account_id
    )


def _to_worker(entry: LogEntry) -> Message | None:
    if entry.event in ("lease.revoked", "lease.expired"):
        return CancelLease(lease_id=str(entry.detail["lease_id"]))
    if entry.event in ("worker.paused", "worker.resumed"):
        return PauseWorker(paused=entry.event == "worker.paused")
    return None
