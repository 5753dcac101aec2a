"""Why a job's queued tasks are not being rendered, and what follows if that lasts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import Connection, Double, func, select, type_coerce, update

from ..protocol.states import FailureCode, FailureKind, JobStatus, LeaseStatus, TaskStatus
from . import jobs, matching, scheduler, tasks, workers
from .store import Tx
from .tables import AnyRow
from .tables import jobs as jobs_table
from .tables import leases as leases_table
from .tables import tasks as tasks_table
from .tables import workers as workers_table

BLOCKED_FOR = timedelta(seconds=60)
"""How long a job waits for a worker it has not blocked, once it has blocked all that fit: then it fails."""


def why_waiting(conn: Connection, job: AnyRow, counts: Mapping[TaskStatus, int], now: datetime) -> str | None:
    """A sentence, or None if the job has nothing queued, is being rendered, or is about to be."""
    if job.status == JobStatus.PAUSED:
        return "the job is paused" if counts.get(TaskStatus.QUEUED) else None
    if job.status not in jobs.WORKABLE or not counts.get(TaskStatus.QUEUED) or counts.get(TaskStatus.LEASED):
        return None
    online = workers.online(conn)
    if not online and (paused := _paused_by_owner(conn)):
        return f"no worker is online ({paused} paused)"
    able = [workers.capabilities(worker.capabilities) for worker in online]
    lacking = matching.why_none_fits(job, able, jobs.spec_of(job).scene.saved_by)
    if lacking is not None:
        return lacking
    fitting = scheduler.unblocked_fitting(job, online, scheduler.blocked_pairs(conn, [job.id]))
    if not fitting:
        last = jobs.last_failure(conn, job.id)
        return "every worker online that fits failed this job too often" + (
            f", the last with: {last[1]}" if last else ""
        )
    soonest = conn.execute(
        select(func.min(func.coalesce(type_coerce(tasks_table.c.not_before, Double), 0.0))).where(
            tasks_table.c.job_id == job.id, tasks_table.c.status == TaskStatus.QUEUED
        )
    ).scalar_one()
    if soonest is not None and soonest > now.timestamp():
        return f"it is tried again in {ceil(soonest - now.timestamp())} s, after a passing failure"
    busy = conn.execute(
        select(leases_table.c.worker_id)
        .where(leases_table.c.status == LeaseStatus.HELD, leases_table.c.worker_id.in_(fitting))
        .distinct()
    ).all()
    return "every worker that fits is busy with other jobs" if len(busy) == len(fitting) else None


def _paused_by_owner(conn: Connection) -> int:
    return conn.execute(
        select(func.count()).where(workers_table.c.pause_requested, workers_table.c.status.in_(workers.PRESENT))
    ).scalar_one()


def stuck_jobs(conn: Connection) -> list[str]:
    """Ids of jobs that all fitting workers online are blocked for, and of those marked as such before."""
    found = []
    online = workers.online(conn)
    rows = conn.execute(select(jobs_table).where(jobs_table.c.status.in_(jobs.WORKABLE))).all()
    blocked = scheduler.blocked_pairs(conn, [job.id for job in rows])
    for job in rows:
        if job.blocked_since is not None or (
            any(pair[0] == job.id for pair in blocked) and not scheduler.unblocked_fitting(job, online, blocked)
        ):
            found.append(job.id)
    return found


def judge_stuck(tx: Tx, job_id: str) -> None:
    """Mark a job that nobody online may work on; fail it once that has lasted; unmark it if it is over."""
    job = jobs.lock(tx, job_id)
    if job.status not in jobs.WORKABLE:
        return
    blocked = scheduler.blocked_pairs(tx.conn, [job_id])
    online = workers.online(tx.conn)
    stuck = bool(
        blocked
        and not scheduler.unblocked_fitting(job, online, blocked)
        and scheduler.unblocked_fitting(job, online, ())
        and tasks.any_in(tx.conn, job_id, [TaskStatus.QUEUED])
        and not tasks.any_in(tx.conn, job_id, [TaskStatus.LEASED, TaskStatus.SUBMITTED])
    )
    if not stuck:
        if job.blocked_since is not None:
            tx.conn.execute(update(jobs_table).where(jobs_table.c.id == job_id).values(blocked_since=None))
    elif job.blocked_since is None:
        tx.conn.execute(update(jobs_table).where(jobs_table.c.id == job_id).values(blocked_since=tx.now))
        tx.emit("job.blocked", job_id=job_id, workers=len(blocked))
    elif tx.now - job.blocked_since < BLOCKED_FOR:
        return
    elif told := jobs.last_failure(tx.conn, job_id, FailureKind.SCENE):
        # Nobody has come who could say otherwise.
        jobs.fail(tx, job, *told)
    else:
        code, message = jobs.last_failure(tx.conn, job_id) or (FailureCode.RENDER_ERROR, "unknown")
        jobs.fail(tx, job, code, f"Every worker that could render it failed it three times, the last with: {message}")
