"""Whether a job, rather than its workers, is at fault for results that differ."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from . import checks, jobs, scheduler, standings, workers
from .rulings import Differs
from .store import Tx
from .tables import AnyRow

SUSPECT_SHARE = 1 / 3
"""Of the owners that were checked in a job, those who are condemned in it from which on the scene is suspected."""


def is_job_to_blame(tx: Tx, subject: AnyRow) -> bool:
    """Are so many owners alone with what they make of a job that the scene is more likely at fault than they are?

    Nothing in a file tells for sure that its pixels don't depend on what was rendered before them. Whoever has been
    punished for results of this job is let in again.
    """
    job = jobs.load(tx.conn, subject.job_id)
    owner = workers.owner_of(workers.load(tx.conn, subject.worker_id))
    caught = standings.caught_in(tx.conn, job.id)
    condemned = {workers.owner_of(workers.load(tx.conn, one)) for one in caught} | {owner}
    if job.differs != Differs.OWNERS:
        if len(condemned) < 2 or len(condemned) < SUSPECT_SHARE * len(checks.owners_checked(tx.conn, job.id)):
            return False
        jobs.note_difference(tx, job.id, Differs.OWNERS)
    for worker_id in caught:
        standings.clear(tx, worker_id, job.id)
    return True


def may_block(tx: Tx, job_id: str) -> bool:
    """May one more worker be kept from a job for being alone with what it makes of it?

    Not where the scene is suspected, and never so many that nobody is left to render it.
    """
    if jobs.load(tx.conn, job_id).differs == Differs.OWNERS:
        return False
    blocked = len(scheduler.blocked_pairs(tx.conn, [job_id])) + 1
    return blocked < SUSPECT_SHARE * len(checks.owners_checked(tx.conn, job_id))


def is_by_order(conn: Connection, subject: AnyRow, theirs: Iterable[AnyRow]) -> bool:
    """May a result differ from those of others because they had rendered other frames before?"""
    ours = checks.came_after_its_like(conn, subject)
    return any(checks.came_after_its_like(conn, one) != ours for one in theirs)
