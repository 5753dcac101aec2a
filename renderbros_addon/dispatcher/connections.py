"""What a connection may do before anybody looks at its request: how long it may be silent, and how many there may be.

uvicorn waits for the head of a request, and for somebody to read an answer, for as long as it takes, and takes as many
connections from one address as come. Here each has its time, and no address can take all the places.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import Counter
from dataclasses import dataclass, field

security = logging.getLogger("renderbros.security")

MOST_CONNECTIONS = 4000
"""At a time; whoever comes beyond is told to come later (503). A worker has about six."""

TELL_EVERY = 60.0
"""Seconds between two words in the log about one address and one reason: there may be thousands of connections."""

MOST_TOLD = 10_000


@dataclass(frozen=True)
class ConnectionLimits:
    head_seconds: float = 20.0
    """From the first byte of a request's head, or from the connection's begin, to its end."""
    idle_seconds: int = 20
    """From an answer to the begin of the next request. Renewals come every few seconds."""
    stall_seconds: float = 120.0
    """For which an answer may lie here while its reader takes nothing of it."""
    per_address: int = MOST_CONNECTIONS // 2
    """Connections at a time from one address, of IPv6 from one network of 64 bits. Many workers may share one, and
    behind a proxy all of them do."""


def _place(address: str) -> str:
    """What is counted as one: of IPv6 the network of 64 bits, all of whose addresses each of its hosts can have."""
    try:
        found = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))


@dataclass
class Gate:
    """Who is connected, by address. For the thread of the event loop."""

    limits: ConnectionLimits
    here: Counter[str] = field(default_factory=Counter)
    _told: dict[tuple[str, str], float] = field(default_factory=dict)

    def enter(self, address: str) -> bool:
        place = _place(address)
        if self.here[place] >= self.limits.per_address:
            self.tell(f"{self.limits.per_address} connections at once are the most", address)
            return False
        self.here[place] += 1
        return True

    def leave(self, address: str) -> None:
        place = _place(address)
        self.here[place] -= 1
        if self.here[place] <= 0:
            del self.here[place]

    def tell(self, why: str, address: str) -> None:
        now = time.monotonic()
        if now - self._told.get((why, address), float("-inf")) < TELL_EVERY:
            return
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told[why, address] = now
        security.warning("connection given up: %s", why, extra={"address": address})
