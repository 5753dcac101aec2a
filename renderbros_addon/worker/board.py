"""What this worker holds, and where its threads meet."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from ..protocol.leases import Lease, Progress
from ..protocol.results import Failure
from .blocks import alike, best_block, is_tile
from .pace import Pace

log = logging.getLogger("renderbros.worker")

_MOST_UNSENT = 16
"""Finished tasks that may wait for their upload before no new ones are taken."""


class Stage(Enum):
    """Where a task is on its way through the worker."""

    FETCHING = auto()
    READY = auto()
    """Waits to be rendered, perhaps at the renderer already."""
    RENDERING = auto()
    FINISHED = auto()
    """Rendered or failed; being checked, uploaded and reported."""


@dataclass(frozen=True)
class Image:
    """What a renderer made of a task."""

    path: Path
    extras: tuple[tuple[str, Path], ...]
    """Name and place of each file beside it."""
    render_seconds: float
    device: str
    warnings: tuple[str, ...]
    peak_memory: int
    at_once: int = 1
    """Tiles that were rendered in the same call."""


@dataclass(frozen=True)
class HandBack:
    """The task is given back unrendered, and it is nobody's failure."""

    reason: str


Outcome = Image | Failure | HandBack


@dataclass(eq=False)
class HeldTask:
    """A lease and how far we are with it."""

    lease: Lease
    taken: float
    """Monotonic time."""
    stage: Stage = Stage.FETCHING
    cancelled: bool = False
    progress: Progress | None = None
    outcome: Outcome | None = None

    @property
    def extra(self) -> dict[str, str]:
        """For log calls."""
        return {"job": self.lease.task.job_id, "task": self.lease.task.id}


@dataclass
class Board:
    """All leases held, by stage. Safe between threads.

    ``interrupt`` is called with a task that is cancelled while it renders.
    """

    interrupt: Callable[[HeldTask], None] = lambda _: None
    _held: dict[str, HeldTask] = field(default_factory=dict)
    _ready: deque[HeldTask] = field(default_factory=deque)
    _finished: deque[HeldTask] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _pace: Pace = field(default_factory=Pace)
    _alone: set[str] = field(default_factory=set)
    """Jobs of which tiles that were rendered at once failed."""
    _open: bool = True
    _held_back: bool = False
    paused: bool = False
    """Told by the dispatcher, which gives a paused worker no leases; so this only explains the quiet."""
    last_job: str | None = None

    @property
    def held_back(self) -> bool:
        """Whether the machine's owner allows no work now; see :meth:`hold_back`."""
        return self._held_back

    def hold_back(self, *, at_once: bool) -> list[HeldTask]:
        """Take no tasks until :meth:`go_on`. Returns those whose leases are to be handed back: all that are not begun,
        and ``at_once`` also what is being rendered, which is interrupted. Whoever works on them drops them.

        What is finished is delivered all the same. To be called again while it lasts: a lease may have been under way.
        """
        with self._changed:
            self._held_back = True
            begun = {Stage.RENDERING} if at_once else set()
            stages = {Stage.FETCHING, Stage.READY} | begun
            given = [task for task in self._held.values() if task.stage in stages and not task.cancelled]
            for task in given:
                task.cancelled = True
            rendering = [task for task in given if task.stage is Stage.RENDERING]
            self._changed.notify_all()
        if rendering:
            self.interrupt(rendering[0])
        return given

    def go_on(self) -> None:
        """The machine's owner allows work again."""
        with self._changed:
            self._held_back = False
            self._changed.notify_all()

    def add(self, lease: Lease) -> HeldTask:
        """A lease was taken."""
        task = HeldTask(lease, time.monotonic())
        with self._changed:
            self._held[lease.id] = task
        return task

    def ready(self, task: HeldTask) -> None:
        """Its files are in place."""
        with self._changed:
            task.stage = Stage.READY
            self._ready.append(task)
            self._changed.notify_all()

    def next_ready(self, timeout: float) -> list[HeldTask]:
        """The next task to render, or a block of tiles, now ``RENDERING``; none if there is none for ``timeout``
        seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready, timeout)
            if not self._ready:
                return []
            block = self._next_block()
            self._take(block)
            for task in block:
                task.stage = Stage.RENDERING
            self.last_job = block[0].lease.task.job_id
            self._changed.notify_all()
            return block

    def next_of(self, job_id: str, hurry: bool = True) -> list[HeldTask]:
        """The next task to render, or a block of tiles, if it is of the job ``job_id`` and still wanted.

        For the renderer to have at hand when it is through with the one before: it stays ``READY`` until
        :meth:`begin`, or goes back to its place with :meth:`put_back`. Without ``hurry`` a block that may yet become
        larger is left to do so.
        """
        with self._changed:
            first = self._ready[0] if self._ready else None
            if first is None or first.cancelled or first.lease.task.job_id != job_id:
                return []
            block = self._next_block()
            if not hurry and is_tile(first.lease.task) and len(block) < self._most_at_once(job_id):
                return []
            self._take(block)
            return block

    def seconds_of(self, tasks: int) -> float:
        """See :meth:`Pace.seconds_of`."""
        with self._changed:
            return self._pace.seconds_of(tasks)

    def _next_block(self) -> list[HeldTask]:
        first = self._ready[0]
        most = self._most_at_once(first.lease.task.job_id)
        others = [task for task in self._ready if not task.cancelled and alike(task.lease.task, first.lease.task)]
        if most < 2 or first.cancelled or len(others) < 2:
            return [first]
        return [others[i] for i in best_block([task.lease.task.region for task in others], most)]

    def _most_at_once(self, job_id: str) -> int:
        return 1 if job_id in self._alone else self._pace.block(job_id)

    def _take(self, block: list[HeldTask]) -> None:
        for task in block:
            self._ready.remove(task)
        if len(block) > 1:
            self._pace.chose(len(block))

    def coming_job(self, but: str | None) -> str | None:
        """The job of the next task, fetched or not, that is not of the job ``but``; None if there is none."""
        with self._changed:
            coming = (task for task in self._held.values() if task.stage in (Stage.FETCHING, Stage.READY))
            jobs = (task.lease.task.job_id for task in coming if not task.cancelled)
            return next((job_id for job_id in jobs if job_id != but), None)

    def begin(self, block: list[HeldTask]) -> bool:
        """Tasks from :meth:`next_of` are ``RENDERING`` now. False if all were cancelled before that."""
        with self._changed:
            for task in block:
                task.stage = Stage.RENDERING
            self._changed.notify_all()
            return not all(task.cancelled for task in block)

    def put_back(self, block: list[HeldTask]) -> None:
        """Tasks from :meth:`next_of` were not begun."""
        with self._changed:
            for task in block:
                task.stage = Stage.READY
            self._ready.extendleft(reversed(block))
            self._changed.notify_all()

    def one_by_one(self, block: list[HeldTask]) -> None:
        """Tiles that were to be rendered at once failed: whose fault that is, each alone will show.

        From now on that goes for all tiles of their job, because it may have been the block's own.
        """
        with self._changed:
            self._alone.add(block[0].lease.task.job_id)
        self.put_back(block)

    def finish(self, task: HeldTask, outcome: Outcome) -> None:
        """It is rendered, has failed or goes back: the uploader's turn."""
        with self._changed:
            task.outcome = outcome
            task.stage = Stage.FINISHED
            self._finished.append(task)
            self._changed.notify_all()

    def next_finished(self, timeout: float) -> HeldTask | None:
        """The next task to report; None if there is none for ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._finished, timeout)
            return self._finished.popleft() if self._finished else None

    def drop(self, task: HeldTask) -> None:
        """It is over: reported, or unwanted."""
        with self._changed:
            self._held.pop(task.lease.id, None)
            self._changed.notify_all()

    def cancel(self, lease_id: str) -> None:
        """The dispatcher does not want it any more. Whoever works on the task drops it; rendering is interrupted.

        What is finished is delivered all the same: a lease that ran out ends like this too, and the dispatcher may
        welcome the result, however late.
        """
        with self._changed:
            task = self._held.get(lease_id)
            if task is None or task.cancelled or task.stage is Stage.FINISHED:
                return
            task.cancelled = True
            # Tiles beside it that are rendered at the same time are still wanted.
            others = (other for other in self._held.values() if other.stage is Stage.RENDERING)
            rendering = task.stage is Stage.RENDERING and all(other.cancelled for other in others)
            self._changed.notify_all()
        log.info("the dispatcher cancelled a task", extra=task.extra)
        if rendering:
            self.interrupt(task)

    def took(self, block: list[HeldTask], seconds: float, rendering: float) -> list[HeldTask]:
        """See :meth:`Pace.took`; what is asked for next depends on it. Returns those that are better given back: they
        are off the queue."""
        task = block[0].lease.task
        with self._changed:
            tiles = len(block) if is_tile(task) and task.job_id not in self._alone else 0
            self._pace.took(seconds, rendering, task.job_id, tiles)
            return [self._ready.pop() for _ in range(self._pace.too_many(len(self._ready)))]

    def answered(self, asked: int, got: int) -> None:
        """See :meth:`Pace.answered`."""
        with self._changed:
            self._pace.answered(asked, got)

    def travelled(self, seconds: float) -> None:
        """See :meth:`Pace.travelled`."""
        with self._changed:
            self._pace.travelled(seconds)

    def fetched(self, seconds: float) -> None:
        """See :meth:`Pace.fetched`."""
        with self._changed:
            self._pace.fetched(seconds)

    def wanted(self) -> int:
        """How many more tasks to lease now."""
        with self._changed:
            return self._wanted()

    def _wanted(self) -> int:
        stages = [task.stage for task in self._held.values() if not task.cancelled]
        unsent = stages.count(Stage.FINISHED)
        if not self._open or self._held_back or unsent >= _MOST_UNSENT:
            return 0
        low, high = self._pace.marks()
        in_hand = len(stages) - unsent
        # Beside those that wait: the renderer works on one, or on a block of them, or will as soon as it has one.
        waiting = in_hand - max(1, stages.count(Stage.RENDERING))
        room = high - waiting if waiting < low else 0
        # Long tasks are taken one by one, so that several workers that ask at the same time share them evenly.
        return room if high > 1 else min(room, 1)

    def wait_for_room(self, timeout: float) -> None:
        """Until more tasks are wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted() > 0, timeout)

    def close(self) -> list[HeldTask]:
        """Take no more tasks, until :meth:`reopen`; returns those that wait to be rendered, which are off the queue."""
        with self._changed:
            self._open = False
            waiting = list(self._ready)
            self._ready.clear()
            return waiting

    def reopen(self) -> None:
        with self._changed:
            self._open = True
            self._changed.notify_all()

    @property
    def empty(self) -> bool:
        with self._changed:
            return not self._held

    def held(self) -> list[HeldTask]:
        """All tasks held, oldest first."""
        with self._changed:
            return list(self._held.values())

    def wake(self) -> None:
        """Let everybody who waits look again."""
        with self._changed:
            self._changed.notify_all()
