"""How much of what anybody may ask for: requests, failed sign-ins, tries at invites, bytes, things at once.

Each limit is a bucket that fills at a rate and holds so much (a token bucket); what is asked for is taken out of it.
They live in this process's memory: each dispatcher on a database has its own.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil

from .errors import RequestRefused

security = logging.getLogger("renderbros.security")

MOST = 20_000
"""Buckets remembered; those that are full again are forgotten first."""


class Limited(StrEnum):
    REQUESTS = "requests"
    """Of one account or worker."""
    STRANGERS = "requests without a token"
    """From one address."""
    FAILURES = "failed sign-ins"
    """From one address."""
    INVITES = "tries at an invite"
    """From one address."""
    BYTES = "bytes of uploads"
    """Of one account or worker."""


@dataclass(frozen=True)
class Limit:
    rate: float
    """A second."""
    burst: float
    """At once."""


# A worker with four short tasks a second sends some 20 requests, and one machine may hold a hundred of them. What
# people, and programs that went wrong, do beyond is held off.
DEFAULTS: Mapping[Limited, Limit] = {
    Limited.REQUESTS: Limit(1000, 5000),
    Limited.STRANGERS: Limit(20, 200),
    Limited.FAILURES: Limit(0.2, 20),
    Limited.INVITES: Limit(0.2, 20),
    Limited.BYTES: Limit(256 << 20, 64 << 30),
}

UPLOADS_AT_ONCE = 32
POLLS_AT_ONCE = 8
SOCKETS_AT_ONCE = 64
CREATED_AT_ONCE = 2
"""Of one account or worker. To make a large job takes seconds of a thread, of which all routes share some forty."""


class TooMany(RequestRefused):
    status, word, title = 429, "too_many", "Too many requests"


@dataclass
class _Bucket:
    level: float
    at: float
    told: bool = False


@dataclass
class Rates:
    """Any thread may call. ``limits`` stands in for some of :data:`DEFAULTS`."""

    limits: Mapping[Limited, Limit] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._limits = {**DEFAULTS, **self.limits}
        self._buckets: dict[tuple[Limited, str], _Bucket] = {}
        self._held: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def take(self, what: Limited, who: str, amount: float = 1.0) -> None:
        """Take ``amount`` out of somebody's bucket; TooMany, with the time to wait, if it is not in it."""
        wait = self._take(what, who, amount)
        if wait > 0:
            raise TooMany(
                f"too many {what} in a short time: wait {ceil(wait)} s",
                headers={"Retry-After": str(ceil(wait))},
            )

    def check(self, what: Limited, who: str) -> None:
        """TooMany if a bucket is empty; takes nothing."""
        self.take(what, who, 0.0)

    def _take(self, what: Limited, who: str, amount: float) -> float:
        limit = self._limits[what]
        now = self.clock()
        with self._lock:
            bucket = self._buckets.get((what, who))
            if bucket is None:
                self._make_room(now)
                bucket = self._buckets[what, who] = _Bucket(limit.burst, now)
            bucket.level = min(limit.burst, bucket.level + (now - bucket.at) * limit.rate)
            bucket.at = now
            # What is asked for at once may be more than a bucket holds; then a full one will do, and is in debt.
            lacking = max(min(amount, limit.burst), 1.0 if limit.burst >= 1 else limit.burst) - bucket.level
            if lacking > 0:
                told, bucket.told = bucket.told, True
            else:
                bucket.level -= amount
                told, bucket.told = True, False
        if not told:
            security.warning("rate limited: %s", what, extra={"caller": who})
        return max(0.0, lacking / limit.rate)

    def _make_room(self, now: float) -> None:
        if len(self._buckets) < MOST:
            return
        full = [
            key
            for key, bucket in self._buckets.items()
            if bucket.level + (now - bucket.at) * self._limits[key[0]].rate >= self._limits[key[0]].burst
        ]
        # With none of them full, the oldest: who is forgotten has a fresh bucket, which is better than no memory left.
        for key in full or list(self._buckets)[: MOST // 4]:
            del self._buckets[key]

    @contextlib.contextmanager
    def holding(self, what: str, who: str, most: int) -> Iterator[None]:
        """Within, one more of ``what`` is under way for somebody; TooMany if there are ``most``."""
        key = (what, who)
        with self._lock:
            if self._held[key] >= most:
                raise TooMany(f"{most} {what} at once are the most", headers={"Retry-After": "1"})
            self._held[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[key] -= 1
                if not self._held[key]:
                    del self._held[key]
