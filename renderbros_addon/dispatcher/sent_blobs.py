"""What workers have sent: a row for each file, from the moment that it is whole until a result names it.

By its row a worker has shown that it has the file; the row goes over into the result that names it. And it keeps the
file from being deleted as spare in between (``spare.py``), which is why it is written before the file is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, case, delete, exists, func, insert, literal_column, select, update

from ..protocol.states import LeaseStatus
from . import spare
from .prepared import Prepared, param
from .store import Tx
from .tables import AnyRow, leases, sent_blobs

_ROW = (sent_blobs.c.sender == bindparam("who")) & (sent_blobs.c.sha256 == bindparam("what"))
_INSERT = Prepared(insert(sent_blobs).values({column.name: param(column) for column in sent_blobs.c}))
_TOUCH = Prepared(update(sent_blobs).where(_ROW).values(at=param(sent_blobs.c.at)))
_DELETE = Prepared(delete(sent_blobs).where(_ROW))
_DELETE_OLD = Prepared(delete(sent_blobs).where(_ROW, sent_blobs.c.at == bindparam("at")))
_THIS_ONE = case((sent_blobs.c.sha256 == bindparam("what"), 1), else_=0)
_TOTAL = Prepared(
    select(
        func.count().label("number"),
        func.coalesce(func.sum(sent_blobs.c.size), 0).label("size"),
        func.coalesce(func.max(_THIS_ONE), 0).label("this_one"),
    ).where(sent_blobs.c.sender == bindparam("who"))
)


@dataclass(frozen=True)
class Total:
    """What a worker has sent that no result has named."""

    number: int
    size: int
    """Bytes of all."""
    has_this: bool
    """Is the file that was asked about among it?"""


def total(conn: Connection, worker_id: str, sha256: str) -> Total:
    row = _TOTAL.one(conn, who=worker_id, what=sha256)
    return Total(int(row.number), int(row.size), bool(row.this_one))


def note(tx: Tx, worker_id: str, sha256: str, size: int) -> None:
    """It has sent every byte of a file, which is about to be stored."""
    spare.protect(tx, [sha256])
    if not _TOUCH.run(tx.conn, who=worker_id, what=sha256, at=tx.now):
        _INSERT.run(tx.conn, sender=worker_id, sha256=sha256, size=size, at=tx.now)


def claim(tx: Tx, worker_id: str, digests: Iterable[str]) -> set[str]:
    """A worker's result names these files: their rows are gone with this change. Returns those that it has not sent."""
    return {sha256 for sha256 in digests if not _DELETE.run(tx.conn, who=worker_id, what=sha256)}


def stale(conn: Connection, before: timedelta, now: datetime, limit: int = 500) -> Sequence[AnyRow]:
    """Rows that are older than ``before`` and can't be for a lease that is held: none is, of the sender's, that was
    there when the file was sent."""
    may_be_for = exists().where(
        leases.c.worker_id == sent_blobs.c.sender,
        # The word itself, as everywhere: only so SQLite takes the index of the held ones.
        leases.c.status == literal_column(f"'{LeaseStatus.HELD}'"),
        leases.c.created_at <= sent_blobs.c.at,
    )
    query = select(sent_blobs).where(sent_blobs.c.at < now - before, ~may_be_for).order_by(sent_blobs.c.at)
    return conn.execute(query.limit(limit)).all()


def forget(tx: Tx, rows: Sequence[AnyRow]) -> None:
    """These rows, unless their files were sent again since."""
    for row in rows:
        _DELETE_OLD.run(tx.conn, who=row.sender, what=row.sha256, at=row.at)


def by_now(tx: Tx) -> None:
    """Nothing was sent later than now: after a clock was set back it would lie here for as long as it was wrong."""
    tx.conn.execute(update(sent_blobs).where(sent_blobs.c.at > tx.now).values(at=tx.now))
