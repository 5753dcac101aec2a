"""Whether a job, rather than its workers, is at fault for results that differ."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, exists, select

from ..protocol.checks import CheckStatus
from ..protocol.states import TaskKind
from . import checks, jobs, scheduler, standings, workers
from .rulings import Between, Differs
from .store import Tx
from .tables import AnyRow
from .tables import checks as checks_table
from .tables import frames as frames_table
from .tables import results as results_table
from .tables import workers as workers_table

MOST_LOOKED_AT = 100
"""Results that are looked at for one that was rendered in order."""

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
        if len(condemned) < 2 or len(condemned) < SUSPECT_SHARE * len(owners_checked(tx.conn, job.id)):
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
    return blocked < SUSPECT_SHARE * len(owners_checked(tx.conn, job_id))


def is_repeatable(conn: Connection, subject: AnyRow, theirs: Mapping[int, AnyRow], between: Between) -> bool:
    """Have two owners made equal pixels in the job of ``subject``, so that who differs from them may be held wrong?

    Where the subject, or one of ``theirs`` (their results by check), was rendered right after the frame before it and
    another was not, only equal pixels of two of which one was and the other was not count: what depends on the frames
    before, such as a simulation, never comes out alike there. ``between`` says which of ``theirs`` are alike: what they
    show is as good as what other frames of the job have shown.
    """
    orders = {check: came_after_its_like(conn, one) for check, one in theirs.items()}
    ours = came_after_its_like(conn, subject)
    by_order = any(order != ours for order in orders.values())
    for (one, other), verdict in between.items():
        same = verdict == "match" and theirs[one].render_class == theirs[other].render_class
        if same and (not by_order or orders[one] != orders[other]):
            return True
    return _has_matched(conn, subject.job_id, in_other_order=by_order)


def _has_matched(conn: Connection, job_id: str, *, in_other_order: bool) -> bool:
    query = select(checks_table.c.subject_id, checks_table.c.result_id).where(
        checks_table.c.job_id == job_id, checks.EQUAL
    )
    pairs = conn.execute(query.order_by(checks_table.c.id.desc()).limit(MOST_LOOKED_AT)).all()
    if not in_other_order:
        return bool(pairs)
    ids = {one for pair in pairs for one in pair}
    found = {row.id: row for row in conn.execute(select(results_table).where(results_table.c.id.in_(ids)))}
    return any(
        came_after_its_like(conn, found[subject]) != came_after_its_like(conn, found[theirs])
        for subject, theirs in pairs
    )


def came_after_its_like(conn: Connection, result: AnyRow) -> bool:
    """Did the worker of a result render, in the same job, the frame before it last?"""
    before = conn.execute(
        select(results_table.c.frame)
        .where(
            results_table.c.job_id == result.job_id,
            results_table.c.worker_id == result.worker_id,
            results_table.c.id < result.id,
        )
        .order_by(results_table.c.id.desc())
        .limit(1)
    ).scalar()
    if before is None or before == result.frame:
        return False
    rows = conn.execute(
        select(frames_table.c.frame, frames_table.c.ordinal).where(
            frames_table.c.job_id == result.job_id, frames_table.c.frame.in_((before, result.frame))
        )
    )
    ordinals = {row.frame: row.ordinal for row in rows}
    return int(ordinals[result.frame]) - int(ordinals[before]) == 1


def doubted_parts(conn: Connection, job_id: str, but: str) -> bool:
    """Has a part that somebody other than worker ``but`` rendered been unlike a whole that others confirmed?"""
    confirming = checks_table.alias()
    query = select(checks_table.c.id).where(
        checks_table.c.job_id == job_id,
        checks_table.c.kind == TaskKind.CHECK,
        checks_table.c.verdict == "mismatch",
        checks_table.c.checker_id != but,
        exists().where(
            confirming.c.subject_id == checks_table.c.subject_id, confirming.c.dispute, confirming.c.verdict == "match"
        ),
    )
    return conn.execute(query.limit(1)).first() is not None


def owners_checked(conn: Connection, job_id: str) -> set[str]:
    """The owners whose results for a job others have rendered again."""
    rows = conn.execute(
        select(workers_table.c.owner, workers_table.c.id)
        .join(checks_table, checks_table.c.worker_id == workers_table.c.id)
        .where(checks_table.c.job_id == job_id, checks_table.c.status == CheckStatus.DECIDED)
        .distinct()
    )
    return {owner or worker_id for owner, worker_id in rows}
