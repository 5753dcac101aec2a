"""When to try again, how long to wait before, and when to give up."""

from __future__ import annotations

import math
import random
import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .errors import Stopped

FIRST_DELAY, LONGEST_DELAY = 0.25, 15.0
"""Seconds: the ceiling of the first wait, which doubles with each failure up to the longest."""


LONGEST_ASKED = 3600.0
"""Seconds: who is asked to wait for longer asks again in between."""


class Retrier:
    """The retries of one call: jittered exponential backoff within ``retry_for`` seconds (None: for ever).

    The time counts from the first failure, so that a long poll does not use it up by waiting as it should.
    ``stop`` ends any wait at once.
    """

    def __init__(self, retry_for: float | None, stop: threading.Event) -> None:
        self._retry_for = retry_for
        self._stop = stop
        self._failures = 0
        self._deadline: float | None = None

    def check_stopped(self) -> None:
        """Raise Stopped if the stop event is set."""
        if self._stop.is_set():
            raise Stopped("stopped while talking to the dispatcher")

    def progressed(self) -> None:
        """Something got through: count failures and time from scratch."""
        self._failures = 0
        self._deadline = None

    def wait(self, error: Exception, retry_after: float | None = None) -> None:
        """Sleep before the next try; raises ``error`` if the time is up, or Stopped.

        ``retry_after``: seconds the dispatcher asked us to wait, at the least.
        """
        self.check_stopped()
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = math.inf if self._retry_for is None else now + self._retry_for
        ceiling = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(self._failures, 16))
        self._failures += 1
        # Never less than half: a crowd that failed together must spread out, yet nobody may hammer.
        delay = max(random.uniform(ceiling / 2, ceiling), retry_after or 0.0)  # noqa: S311
        if now + delay > self._deadline:
            # One last try at the very end beats giving up early, unless we were told to wait longer.
            delay = self._deadline - now
            if delay <= 0 or (retry_after or 0.0) > delay:
                raise error
        if self._stop.wait(delay):
            raise Stopped("stopped while waiting to try the dispatcher again") from error


def parse_retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or as a date; None if absent or senseless."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return min(float(value), LONGEST_ASKED)
    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        seconds = (date - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return min(max(0.0, seconds), LONGEST_ASKED)
