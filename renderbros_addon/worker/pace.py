"""How many tasks to hold ahead, from how long tasks and the way to the dispatcher were measured to take."""

from __future__ import annotations

import math
import statistics
from collections import deque

_LEAST_AHEAD = 1.0
"""Seconds of work to hold ahead at least: machines and lines stutter."""
_TRIPS_AHEAD = 2.0
"""Times that the slowest of the last round trips is to be outlasted: one may be slower still."""
_MOST_AHEAD = 20.0
"""Seconds of work to hold ahead at most, however slow the line: what is held here, others can't render."""
_TRIPS_OF_BATCH = 4.0
"""A batch is worth so many round trips, so that a lease costs little of what it brings."""
_MOST_LOW, _MOST_HIGH = 16, 31
_REMEMBERED = 5
_TRIPS_REMEMBERED = 16


class Pace:
    """Not safe between threads: its owner has a lock."""

    def __init__(self) -> None:
        self._tasks: deque[float] = deque(maxlen=_REMEMBERED)
        self._trips: deque[float] = deque(maxlen=_TRIPS_REMEMBERED)
        self._fetches: deque[float] = deque(maxlen=_TRIPS_REMEMBERED)

    def took(self, seconds: float) -> None:
        """A task was rendered in ``seconds``."""
        self._tasks.append(seconds)

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
        # The first task of a job opens a file and is no measure of the others; a median does not see it.
        each = max(1e-3, statistics.median_low(self._tasks))
        trip = max(self._trips, default=0.0) + max(self._fetches, default=0.0)
        ahead = min(_MOST_AHEAD, max(_LEAST_AHEAD, _TRIPS_AHEAD * trip))
        batch = min(_MOST_AHEAD, max(_LEAST_AHEAD, _TRIPS_OF_BATCH * trip))
        low = min(_MOST_LOW, math.ceil(ahead / each))
        return low, min(_MOST_HIGH, low + math.ceil(batch / each) - 1)
