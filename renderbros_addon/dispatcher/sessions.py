"""Short-lived openers of doors, in memory: sessions of browsers, links that sign in once, tickets for WebSockets.

A restart forgets them all. What each stands for is an account's id, and whether that still is live is asked each time.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..protocol.access import Role
from ..protocol.jobs import LogEntry
from . import accounts, tokens
from .callers import Caller
from .store import Store

SESSION_SECONDS = 12 * 3600.0
LINK_SECONDS = 600.0
TICKET_SECONDS = 30.0

MOST = 10_000


@dataclass
class Openers:
    """Random words that each stand for an account for ``seconds``; ``once`` ones for one use. Any thread may call."""

    seconds: float
    once: bool
    clock: Callable[[], float] = time.monotonic
    _known: dict[str, tuple[float, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, account_id: str) -> str:
        """A new word."""
        word = secrets.token_urlsafe(32)
        now = self.clock()
        with self._lock:
            if len(self._known) >= MOST:
                self._known = {key: kept for key, kept in self._known.items() if kept[0] > now}
                while len(self._known) >= MOST:
                    del self._known[next(iter(self._known))]
            self._known[tokens.digest(word)] = (now + self.seconds, account_id)
        return word

    def find(self, word: str | None) -> str | None:
        """The account that ``word`` stands for; None if it stands for none, or no more."""
        if not word:
            return None
        key = tokens.digest(word)
        with self._lock:
            found = self._known.pop(key, None) if self.once else self._known.get(key)
        return found[1] if found is not None and found[0] > self.clock() else None

    def forget(self, account_id: str) -> None:
        """Nothing stands for this account any more."""
        with self._lock:
            self._known = {key: kept for key, kept in self._known.items() if kept[1] != account_id}

    def drop(self, word: str | None) -> None:
        """It stands for nothing any more."""
        if word:
            with self._lock:
                self._known.pop(tokens.digest(word), None)


class SignedIn:
    """Those who came by a token once and go on without it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.sessions = Openers(SESSION_SECONDS, once=False)
        self.links = Openers(LINK_SECONDS, once=True)
        self.tickets = Openers(TICKET_SECONDS, once=True)

    def link(self, url: str) -> str | None:
        """A page's address that signs an operator in, once, within ten minutes; None if there is no operator."""
        with self._store.read() as conn:
            operator = accounts.an_operator(conn, self._store.clock())
        return None if operator is None else f"{url}/sign-in?link={self.links.make(operator.id)}"

    def live_account(self, account_id: str | None) -> Caller | None:
        """The account that a session, a link or a ticket stands for, unless it is over."""
        if account_id is None:
            return None
        with self._store.read() as conn:
            row = accounts.find(conn, account_id)
        if row is None or not accounts.is_live(row, self._store.clock()):
            return None
        return Caller(Role(row.role), row.id, row)

    def hear(self, entries: Sequence[LogEntry]) -> None:
        """What was opened by a token ends with it."""
        for entry in entries:
            if entry.event in ("account.revoked", "account.rotated"):
                for openers in (self.sessions, self.links, self.tickets):
                    openers.forget(str(entry.detail["account"]))
