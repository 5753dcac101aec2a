"""Checks that nobody online can make, and tasks that everybody online is kept from: neither may hold a job up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from ..protocol.states import TaskStatus
from . import checks, jobs, scheduler, tasks, verification
from .store import Tx
from .tables import AnyRow, task_bars
from .tables import tasks as tasks_table

PATIENCE = timedelta(seconds=60)
"""How long a check waits for somebody who can make it: as long as a worker may be silent."""


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
    """If nobody online may have a task: ask workers of any class; then drop the check, or let everybody have it."""
    task = tasks.load(tx.conn, task_id)
    job = jobs.lock(tx, task.job_id)
    task = tasks.load(tx.conn, task_id)
    if task.status != TaskStatus.QUEUED or job.status not in jobs.WORKABLE:
        return
    able = scheduler.checkers(tx.conn, job.id, tasks.barred(tx.conn, task_id))
    if any(task.wanted_class in (None, one.render_class) for one in able):
        return
    if able:
        tx.conn.execute(update(tasks_table).where(tasks_table.c.id == task_id).values(wanted_class=None))
        tx.emit("task.queued", job_id=job.id, task_id=task_id, frame=task.frame, because="nobody of its class")
    elif task.subject_id is None:
        tasks.unbar(tx, task_id)
        tx.emit("task.queued", job_id=job.id, task_id=task_id, frame=task.frame, because="nobody else is there")
    else:
        _give_up(tx, task, tx.now)


def _give_up(tx: Tx, task: AnyRow, now: datetime) -> None:
    check = checks.of_task(tx.conn, task.id)
    if check is not None and check.created_at + PATIENCE <= now:
        why = "no other owner's worker was there to render it again"
        checks.drop(tx, check, why)
        verification.end_task(tx, task, why)
