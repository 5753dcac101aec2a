"""Checks that nobody online can make, and tasks that everybody online is kept from: neither may hold a job up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from ..protocol.states import TaskStatus
from . import checks, failures, jobs, scheduler, tasks, verification
from .store import Tx
from .tables import AnyRow, task_bars
from .tables import tasks as tasks_table

PATIENCE = timedelta(seconds=60)
"""How long a check waits for somebody who can make it: as long as a worker may be silent."""

LONGEST, LONGEST_TURNS = timedelta(minutes=15), 10.0
"""How long a check waits for anybody at all, though there are some who could make it."""

RECENT = 20
"""Results that the mean time is taken from."""

TURN, TURNS = timedelta(seconds=30), 3.0
"""How long a check waits for the one who was drawn: so long, or as many mean times of the job's tasks, if that is more:
until it is through with what it has at hand. Then whoever comes first may make it."""


def waiting(conn: Connection) -> Sequence[str]:
    """Ids of queued tasks that are not for everybody."""
    barred = select(task_bars.c.task_id)
    rows = conn.execute(
        select(tasks_table.c.id)
        .where(tasks_table.c.status == TaskStatus.QUEUED, tasks_table.c.id.in_(barred))
        .order_by(tasks_table.c.id)
        .limit(1000)
    )
    return list(rows.scalars())


def look_after(tx: Tx, task_id: str) -> None:
    """If nobody online may have a task: ask workers of any class; then drop the check, or let everybody have it.
    If the one who was drawn for it does not come, let others have it.

    Whoever failed it doesn't get it again while there are others online, though those may be kept from it.
    """
    task = tasks.load(tx.conn, task_id)
    job = jobs.lock(tx, task.job_id)
    task = tasks.load(tx.conn, task_id)
    if task.status != TaskStatus.QUEUED or job.status not in jobs.WORKABLE:
        return
    failed = failures.failers(tx.conn, task_id)
    able = [
        one
        for one in scheduler.checkers(tx.conn, job.id, tasks.barred(tx.conn, task_id))
        if one.worker_id not in failed
    ]
    fitting = [one for one in able if task.wanted_class in (None, one.render_class)]
    if fitting:
        if task.subject_id is not None and not _is_within(tx, task, LONGEST, LONGEST_TURNS):
            _give_up(tx, task, tx.now)
        elif task.wanted_worker is not None and not _is_its_turn(tx, task, fitting):
            tasks.offer(tx, task_id, task.wanted_class, None)
            tx.emit("task.queued", job_id=job.id, task_id=task_id, frame=task.frame, because="whoever comes first")
    elif able:
        tasks.offer(tx, task_id, None, None)
        tx.emit("task.queued", job_id=job.id, task_id=task_id, frame=task.frame, because="nobody of its class")
    elif task.subject_id is None:
        tasks.unbar(tx, task_id)
        tx.emit("task.queued", job_id=job.id, task_id=task_id, frame=task.frame, because="nobody else is there")
    else:
        _give_up(tx, task, tx.now)


def _is_its_turn(tx: Tx, task: AnyRow, able: Sequence[scheduler.Checker]) -> bool:
    """Is the worker that was drawn for a check still there, and has it had no time yet to come to it?"""
    return any(one.worker_id == task.wanted_worker for one in able) and _is_within(tx, task, TURN, TURNS)


def _is_within(tx: Tx, task: AnyRow, least: timedelta, turns: float) -> bool:
    """Is a check younger than ``least``, or than so many mean times of its job's tasks?"""
    check = checks.of_task(tx.conn, task.id)
    mean = tasks.mean_seconds(tx.conn, task.job_id, RECENT) or 0.0
    return check is not None and tx.now - check.created_at < max(least, timedelta(seconds=turns * mean))


def _give_up(tx: Tx, task: AnyRow, now: datetime) -> None:
    check = checks.of_task(tx.conn, task.id)
    if check is not None and check.created_at + PATIENCE <= now:
        why = "no other owner's worker rendered it again"
        checks.drop(tx, check, why)
        verification.end_task(tx, task, why)
