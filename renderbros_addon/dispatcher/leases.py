"""The lease's state machine: ``held``, and then one end: returned, failed, released, expired or revoked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, insert, literal_column, select, update

from ..protocol.states import LeaseStatus, TaskStatus
from . import tasks
from .errors import LostRace
from .prepared import Prepared, param
from .store import Tx, new_id
from .tables import AnyRow, leases

# The word itself, not a parameter: SQLite takes an index of the held ones only where it sees that those are asked for.
_HELD = leases.c.status == literal_column(f"'{LeaseStatus.HELD}'")
_INSERT = Prepared(
    insert(leases).values({column.name: param(column) for column in leases.c if column is not leases.c.ended_at})
)
_LOAD = Prepared(select(leases).where(leases.c.id == bindparam("of")))
_RENEW = Prepared(
    update(leases)
    .where(leases.c.id == bindparam("of"), leases.c.worker_id == bindparam("by"), leases.c.status == LeaseStatus.HELD)
    .values(expires_at=param(leases.c.expires_at, "until"))
)
_END = Prepared(
    update(leases)
    .where(leases.c.id == bindparam("of"), leases.c.status == LeaseStatus.HELD)
    .values(status=param(leases.c.status, "end"), ended_at=param(leases.c.ended_at, "now"))
)
_NUMBER_HELD = Prepared(select(func.count()).where(leases.c.worker_id == bindparam("by"), _HELD))
_HELD_OF_TASK = Prepared(select(leases).where(leases.c.task_id == bindparam("of"), _HELD))


def grant(tx: Tx, task: AnyRow, worker_id: str, seconds: float) -> str:
    """Put a queued task into a worker's hands; LostRace if it isn't queued any more. Returns the lease's id."""
    lease_id = new_id()
    tasks.move(tx, task, TaskStatus.QUEUED, TaskStatus.LEASED, "task.leased", worker_id=worker_id, lease_id=lease_id)
    _INSERT.run(
        tx.conn,
        id=lease_id,
        task_id=task.id,
        job_id=task.job_id,
        worker_id=worker_id,
        status=LeaseStatus.HELD,
        created_at=tx.now,
        expires_at=tx.now + timedelta(seconds=seconds),
    )
    return lease_id


def load(conn: Connection, lease_id: str) -> AnyRow | None:
    return _LOAD.first(conn, of=lease_id)


def renew(tx: Tx, lease_id: str, worker_id: str, seconds: float) -> bool:
    """Move the expiry away; False if the lease is over, unknown or another's."""
    return _RENEW.run(tx.conn, of=lease_id, by=worker_id, until=tx.now + timedelta(seconds=seconds)) == 1


def end(tx: Tx, lease: AnyRow, status: LeaseStatus) -> None:
    """End a held lease; LostRace if it is over. What becomes of its task is the caller's business."""
    if status is LeaseStatus.HELD:
        raise ValueError("held is not an end")
    if _END.run(tx.conn, of=lease.id, end=status, now=tx.now) != 1:
        raise LostRace(f"lease {lease.id} is over")


def end_all(tx: Tx, held: Sequence[AnyRow], status: LeaseStatus, because: str) -> None:
    """End leases, and tell their workers to stop."""
    for lease in held:
        end(tx, lease, status)
        tx.emit(
            f"lease.{status}",
            job_id=lease.job_id,
            task_id=lease.task_id,
            worker_id=lease.worker_id,
            lease_id=lease.id,
            because=because,
        )


def held_of_job(conn: Connection, job_id: str) -> Sequence[AnyRow]:
    return conn.execute(select(leases).where(leases.c.job_id == job_id, leases.c.status == LeaseStatus.HELD)).all()


def held_of_worker(conn: Connection, worker_id: str) -> Sequence[AnyRow]:
    return conn.execute(
        select(leases).where(leases.c.worker_id == worker_id, _HELD).order_by(leases.c.job_id, leases.c.id)
    ).all()


def held_of_task(conn: Connection, task_id: str) -> AnyRow | None:
    return _HELD_OF_TASK.first(conn, of=task_id)


def number_held(conn: Connection, worker_id: str) -> int:
    return int(_NUMBER_HELD.scalar(conn, by=worker_id))


def overdue(conn: Connection, now: datetime, limit: int = 500) -> Sequence[AnyRow]:
    """Held leases past their expiry."""
    return conn.execute(
        select(leases)
        .where(leases.c.status == LeaseStatus.HELD, leases.c.expires_at <= now)
        .order_by(leases.c.expires_at)
        .limit(limit)
    ).all()


def grace(tx: Tx, seconds: float) -> None:
    """Give every held lease half of its ``seconds`` from now: while the dispatcher was down, nobody could renew.

    Whoever is alive renews after a third. And nobody gets more: after a clock was set back, a lease that nobody renews
    would stand for as long as it was wrong.
    """
    until = tx.now + timedelta(seconds=seconds / 2)
    tx.conn.execute(update(leases).where(leases.c.status == LeaseStatus.HELD).values(expires_at=until))
