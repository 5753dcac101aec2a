"""How many tasks to hold ahead, from how long tasks and the way to the dispatcher were measured to take."""

from __future__ import annotations

import math
import statistics
from collections import deque

from ..protocol.renderer import MAX_PARTS

_LEAST_AHEAD = 1.0
"""Seconds of work to hold ahead at least: machines and lines stutter."""
_TRIPS_AHEAD = 2.0
"""Times that the slowest of the last round trips is to be outlasted: one may be slower still."""
_MOST_AHEAD = 20.0
"""Seconds of work to hold ahead at most, however slow the line: what is held here, others can't render."""
_TRIPS_OF_BATCH = 4.0
"""A batch is worth so many round trips, so that a lease costs little of what it brings."""
_MOST_LOW, _MOST_HIGH = 16, 31
_BLOCK_SECONDS = 15.0
"""Tiles that are rendered at once may take so long: what is lost if the renderer is, and until it heeds a cancel."""
_REMEMBERED, _SURE = 5, 2
_TRIPS_REMEMBERED = 16


class Pace:
    """Not safe between threads: its owner has a lock."""

    def __init__(self) -> None:
        self._job: str | None = None
        self._largest = 0
        self._rationed = False
        self._tasks: deque[float] = deque(maxlen=_REMEMBERED)
        self._trips: deque[float] = deque(maxlen=_TRIPS_REMEMBERED)
        self._fetches: deque[float] = deque(maxlen=_TRIPS_REMEMBERED)

    def took(self, seconds: float, rendering: float, job_id: str, tiles: int = 0) -> None:
        """A task of a job took ``seconds``, of which the renderer says that it rendered for ``rendering``.

        Or it was so many ``tiles`` at once that took as long together.
        """
        if job_id != self._job:
            # What another job took is no measure of this one, nor is the opening of the file of the tasks that follow.
            self._job = job_id
            self._tasks.clear()
            seconds = min(seconds, rendering)
            self._largest = 0
        self._tasks.append(seconds / max(1, tiles))
        self._largest = max(self._largest, tiles) if tiles else 0

    def answered(self, asked: int, got: int) -> None:
        """The dispatcher was asked for tasks: if it gave fewer, what is left is shared among those who ask."""
        self._rationed = got < asked

    def block(self, job_id: str) -> int:
        """Tiles of a job to render at once, at most: no more than twice as many as ever before, since tiles differ."""
        if job_id != self._job or not self._largest:
            return 1
        return max(1, min(MAX_PARTS, 2 * self._largest, int(_BLOCK_SECONDS / self._each())))

    def chose(self, tiles: int) -> None:
        """So many tiles of the job at hand are about to be rendered at once."""
        self._largest = max(self._largest, tiles) if self._largest else 0

    def seconds_of(self, tasks: int) -> float:
        """What so many tasks of the job at hand may take; 0 while nobody knows."""
        return tasks * self._each() if self._tasks else 0.0

    def _each(self) -> float:
        # A median, because a renderer that had to be replaced opens the file again.
        return max(1e-3, statistics.median_low(self._tasks))

    def travelled(self, seconds: float) -> None:
        """A request that the dispatcher answers at once took ``seconds``."""
        self._trips.append(seconds)

    def fetched(self, seconds: float) -> None:
        """The files of a task of a job that is here already were there after ``seconds``."""
        self._fetches.append(seconds)

    def marks(self) -> tuple[int, int]:
        """More tasks are to be leased when fewer than the first number wait to be rendered, up to the second."""
        if not self._tasks:
            return 1, 1
        each = self._each()
        trip = max(self._trips, default=0.0) + max(self._fetches, default=0.0)
        ahead = min(_MOST_AHEAD, max(_LEAST_AHEAD, _TRIPS_AHEAD * trip))
        batch = min(_MOST_AHEAD, max(_LEAST_AHEAD, _TRIPS_OF_BATCH * trip))
        low = min(_MOST_LOW, math.ceil(ahead / each))
        high = min(_MOST_HIGH, low + math.ceil(batch / each) - 1)
        block = self.block(self._job) if self._job else 1
        # A block is worth waiting for, but not for what others may have got.
        return low if self._rationed else max(low, block), max(high, block)

    def too_many(self, waiting: int) -> int:
        """How many of the tasks that wait are better given back: a batch of a job may turn out far longer than it was
        asked for."""
        high = self.marks()[1]
        return waiting - high if len(self._tasks) >= _SURE and waiting > 2 * high else 0
