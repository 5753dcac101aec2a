"""Blobs that nothing needs any more, and how one is deleted while others may be about to name it.

Whether a blob is needed is looked up and acted upon in one change, and whoever names a blob does so in a change that
comes before or after it. On SQLite changes take turns; on PostgreSQL they pass each other, so there both hold a lock:
:func:`protect` by those who name, shared, and the deletion alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from sqlalchemy import Connection, bindparam, func, select

from . import frames
from .prepared import Prepared
from .store import Store, Tx
from .tables import sent_blobs

_LOCKS = 0x52425F0000
"""The first of 256 keys of PostgreSQL advisory locks: by the first byte of a digest, since a job may name thousands,
and the server has room for some."""

_SENT = Prepared(select(sent_blobs.c.sender).where(sent_blobs.c.sha256 == bindparam("of")).limit(1))


def protect(tx: Tx, digests: Iterable[str]) -> None:
    """To be called first in a change that names blobs, from which on they are needed."""
    if tx.postgres:
        # In order, so that two never wait for each other.
        for key in sorted({_key(sha256) for sha256 in digests}):
            tx.conn.execute(select(func.pg_advisory_xact_lock_shared(key)))


def _key(sha256: str) -> int:
    return _LOCKS + int(sha256[:2], 16)


def is_spare(conn: Connection, sha256: str, but: tuple[str, int] | None = None) -> bool:
    """Does nothing need this blob, other than as a tile or assembly of the frame ``but``?"""
    # In this order: what was sent goes over into what is needed, by one change that may come between two looks.
    return _SENT.first(conn, of=sha256) is None and not frames.is_needed(conn, sha256, but)


def delete_in(tx: Tx, sha256: str, delete: Callable[[str], None], but: tuple[str, int] | None = None) -> bool:
    """Within a change, ``delete`` a blob unless something needs it by now; whether it did.

    For those only that were found spare before the change: on SQLite it sees what is not committed yet and may never
    be.
    """
    if tx.postgres:
        tx.conn.execute(select(func.pg_advisory_xact_lock(_key(sha256))))
    if not is_spare(tx.conn, sha256, but):
        return False
    delete(sha256)
    return True


def delete_all(store: Store, digests: Iterable[str], delete: Callable[[str], None]) -> int:
    """``delete`` those of these blobs that nothing needs; how many."""
    with store.read() as conn:
        spare = [sha256 for sha256 in sorted(digests) if is_spare(conn, sha256)]
    return sum(store.change(partial(delete_in, sha256=sha256, delete=delete)) for sha256 in spare)
