"""Requests that may be sent twice: the answer to the first is kept, in the transaction that made the change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import bindparam, delete, insert, select

from .errors import Unprocessable
from .prepared import Prepared, param
from .store import Tx
from .tables import idempotency

KEEP = timedelta(days=2)
"""How long an answer is kept; a client gives up retrying long before."""


@dataclass(frozen=True)
class Key:
    """Who asked for what with which key, and a digest of what was sent along."""

    scope: str
    request: str

    @classmethod
    def of(cls, method: str, path: str, caller: str, key: str, body: bytes) -> Key:
        scope = hashlib.sha256("\n".join((method, path, caller, key)).encode()).hexdigest()
        return cls(scope, hashlib.sha256(body).hexdigest())


@dataclass(frozen=True)
class Answer:
    """A response: its status, and its JSON body (empty for none)."""

    status: int
    body: str = ""


_KNOWN = Prepared(select(idempotency).where(idempotency.c.scope == bindparam("of")))
_KEEP = Prepared(insert(idempotency).values({column.name: param(column) for column in idempotency.c}))


def once(
    tx: Tx, key: Key | None, change: Callable[[], Answer], *, keep: Callable[[Answer], bool] | None = None
) -> Answer:
    """The kept answer to this request, or else that of ``change``, kept from now on (if ``keep`` says so)."""
    if key is None:
        return change()
    known = _KNOWN.first(tx.conn, of=key.scope)
    if known is not None:
        if known.request != key.request:
            raise Unprocessable("this Idempotency-Key was used for another request", word="key_reused")
        return Answer(known.status, known.body)
    answer = change()
    if keep is None or keep(answer):
        # If a twin of this request was faster, the primary key refuses this row, all is rolled back, and the next try
        # finds the twin's answer.
        _KEEP.run(tx.conn, scope=key.scope, request=key.request, status=answer.status, body=answer.body, at=tx.now)
    return answer


def sweep(tx: Tx) -> int:
    """Forget old answers; returns how many."""
    return tx.conn.execute(delete(idempotency).where(idempotency.c.at < tx.now - KEEP)).rowcount
