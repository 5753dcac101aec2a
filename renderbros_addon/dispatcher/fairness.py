"""Which of several jobs of one priority a worker gets next.

To open a scene takes seconds to minutes, so a worker stays with the one that it has open: for a *stretch* of
:data:`STRETCH`, which is long against that. A stretch is what the dispatcher gave out, not what a worker says it has
open; that is asked only where no stretch is running. When it is over the worker goes where it is needed most:

- to the job that the fewest others are at, since a job's fair share is as many workers as the next one has;
- among those to the one whose last stretch began first, so that jobs take turns where they outnumber the workers;
- among those to the oldest.

If nobody is at a job at all, a worker goes there in the middle of its stretch, provided that it leaves its own job to
somebody else. So every job gets a worker as soon as there are enough of them, none waits longer than the others'
stretches, and nobody who is alone with a scene ever closes it early.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import bindparam, delete, func, insert, select, update

from .prepared import Prepared, param
from .store import Tx
from .tables import AnyRow, jobs, stretches

STRETCH = timedelta(minutes=3)
"""How long a worker stays with a scene while other jobs of the same priority wait."""

_OF_WORKER = Prepared(select(stretches).where(stretches.c.worker_id == bindparam("by")))
_AT = Prepared(
    select(stretches.c.job_id, func.count().label("workers"))
    .where(stretches.c.worker_id != bindparam("but"))
    .group_by(stretches.c.job_id)
)
_BEGIN = Prepared(insert(stretches).values({column.name: param(column) for column in stretches.c}))
_END = Prepared(delete(stretches).where(stretches.c.worker_id == bindparam("by")))
_TURN = Prepared(update(jobs).where(jobs.c.id == bindparam("of")).values(turn_at=param(jobs.c.turn_at, "now")))


def of_worker(tx: Tx, worker_id: str) -> AnyRow | None:
    """A worker's latest stretch: ``job_id``, and ``since`` when."""
    return _OF_WORKER.first(tx.conn, by=worker_id)


def is_over(tx: Tx, stretch: AnyRow | None, job_id: str) -> bool:
    """Would a task of ``job_id``, given now, begin a stretch?"""
    return stretch is None or stretch.job_id != job_id or tx.now - stretch.since >= STRETCH


def in_order(
    tx: Tx, worker_id: str, stretch: AnyRow | None, open_job: str | None, rivals: Sequence[AnyRow]
) -> list[AnyRow]:
    """``rivals``, jobs of one priority that the worker could take tasks of, best first.

    ``stretch`` is the worker's, ``open_job`` what it says it has open.
    """
    if len(rivals) < 2:
        return list(rivals)
    others = {row.job_id: row.workers for row in _AT.all(tx.conn, but=worker_id)}
    ids = {job.id for job in rivals}
    current = open_job if open_job in ids else None
    over = False
    if stretch is not None and stretch.job_id in ids:
        current, over = stretch.job_id, tx.now - stretch.since >= STRETCH
    deserted = any(job.id not in others and job.id != current for job in rivals)
    stays = current is not None and not over and not (deserted and others.get(current))

    def rank(job: AnyRow) -> tuple[bool, int, float, float, str]:
        turn = 0.0 if job.turn_at is None else job.turn_at.timestamp()
        return not (stays and job.id == current), others.get(job.id, 0), turn, job.created_at.timestamp(), job.id

    return sorted(rivals, key=rank)


def note(tx: Tx, worker_id: str, job_id: str) -> None:
    """A worker was given tasks of a job with which its stretch begins. The job is locked by the caller, alone."""
    _END.run(tx.conn, by=worker_id)
    _BEGIN.run(tx.conn, worker_id=worker_id, job_id=job_id, since=tx.now)
    _TURN.run(tx.conn, of=job_id, now=tx.now)


def leave(tx: Tx, worker_id: str) -> None:
    """A worker gets no tasks for the time being: it is at no job."""
    _END.run(tx.conn, by=worker_id)
