"""What must be true of the database after every change, whatever happened."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, select

from renderbros_addon.dispatcher import jobs, tasks
from renderbros_addon.dispatcher.tables import blocks, checks, events, frames, leases, results, workers
from renderbros_addon.dispatcher.tables import jobs as jobs_table
from renderbros_addon.dispatcher.tables import tasks as tasks_table

FINISHED = ("done", "settled")


def check(conn: Connection) -> None:
    """Assert all of it."""
    all_jobs = {row.id: row for row in conn.execute(select(jobs_table))}
    all_tasks = {row.id: row for row in conn.execute(select(tasks_table))}
    all_results = {row.id: row for row in conn.execute(select(results))}
    all_frames = {(row.job_id, row.frame): row for row in conn.execute(select(frames))}
    _check_leases(conn, all_jobs, all_tasks)
    _check_results(conn, all_tasks, all_results)
    for job in all_jobs.values():
        mine = [task for task in all_tasks.values() if task.job_id == job.id]
        _check_job(job, mine, [row for key, row in all_frames.items() if key[0] == job.id])
        _check_events(conn, job)


def _check_leases(conn: Connection, all_jobs: dict[str, Any], all_tasks: dict[str, Any]) -> None:
    held = [row for row in conn.execute(select(leases)) if row.status == "held"]
    leased = sorted(task.id for task in all_tasks.values() if task.status == "leased")
    assert sorted(lease.task_id for lease in held) == leased, "each leased task has one live lease, and no other has"
    banned = {row.id for row in conn.execute(select(workers)) if row.status in ("banned", "quarantined")}
    blocked_at = {(row.job_id, row.worker_id): row.at for row in conn.execute(select(blocks))}
    for lease in held:
        assert all_jobs[lease.job_id].status not in ("completed", "failed", "cancelled", "uploading")
        assert lease.worker_id not in banned
        since = blocked_at.get((lease.job_id, lease.worker_id))
        assert since is None or lease.created_at <= since, "a blocked worker got a new task"


def _check_results(conn: Connection, all_tasks: dict[str, Any], all_results: dict[int, Any]) -> None:
    accepted = [row for row in all_results.values() if row.status == "accepted"]
    assert sorted(row.task_id for row in accepted) == sorted(t.id for t in all_tasks.values() if t.status == "accepted")
    for task in all_tasks.values():
        if task.status in ("submitted", "accepted"):
            result = all_results[task.result_id]
            assert result.task_id == task.id
            assert result.status in (("pending", "checking") if task.status == "submitted" else ("accepted",))
    ever = [row for row in all_results.values() if row.status in ("accepted", "recalled")]
    for worker in conn.execute(select(workers)):
        assert worker.tasks_accepted == sum(row.worker_id == worker.id for row in ever)
    _check_checks(conn, all_tasks, all_results)


def _check_checks(conn: Connection, all_tasks: dict[str, Any], all_results: dict[int, Any]) -> None:
    owners = {row.id: row.owner or row.id for row in conn.execute(select(workers))}
    opinions = {task.id for task in all_tasks.values() if task.subject_id is not None}
    every = list(conn.execute(select(checks)))
    assert sorted(check.task_id for check in every) == sorted(opinions)
    for check in every:
        subject, task = all_results[check.subject_id], all_tasks[check.task_id]
        assert subject.subject_id is None, "a check is of work, never of another check"
        if check.checker_id is not None:
            assert owners[check.checker_id] != owners[check.worker_id], "nobody checks their own"
        if check.status == "open":
            assert task.status in tasks.OPEN or task.status in ("accepted", "cancelled")
        if check.status == "dropped":
            assert task.status not in ("queued", "leased")
    held = [lease for lease in conn.execute(select(leases)) if lease.task_id in opinions]
    for lease in held:
        subject = all_results[all_tasks[lease.task_id].subject_id]
        assert owners[lease.worker_id] != owners[subject.worker_id], "nobody is asked to check their own"


def _check_job(job: Any, all_of_it: list[Any], rows: list[Any]) -> None:
    spec = jobs.parse_spec(job.spec)
    mine = [task for task in all_of_it if task.subject_id is None]
    render = [task for task in mine if task.kind == "render"]
    whole = len(spec.frames) * len(tasks.regions(spec, job.cuts))
    if job.status == "uploading" or not mine:
        assert not mine
        assert not rows
        return
    assert len(render) == whole, "no task is lost or made twice"
    assert len(rows) == len(spec.frames)
    open_tasks = [task for task in all_of_it if task.status in tasks.OPEN]
    for row in rows:
        of_frame = [task for task in mine if task.frame == row.frame]
        tiles_done = all(task.status == "accepted" for task in of_frame if task.kind == "render")
        assert (row.state != "waiting") == tiles_done
        assert (row.output is not None) == (row.state in FINISHED)
        if row.state in FINISHED:
            assert all(task.status == "accepted" for task in of_frame)
        if row.state == "assembled":
            assert sum(task.kind == "finish" for task in of_frame) == 1
    unfinished = [row for row in rows if row.state not in FINISHED]
    if job.status == "completed":
        assert all(task.status == "accepted" for task in mine)
        assert not open_tasks, "a job is not over while its results are being checked"
        assert not unfinished
    elif job.status in ("failed", "cancelled"):
        assert not open_tasks
        assert (job.reason_code is not None) == (job.status == "failed")
    else:
        assert open_tasks or any(row.state == "ready" for row in rows), "an open job has work left"
        failed = sum(task.status == "failed" for task in mine)
        assert not failed or failed < jobs.FAILED_SHARE * len(mine)
        if job.status == "queued":
            # One that is submitted is a late result that others are to check.
            assert not [t for t in mine if t.status == "leased"] or _was_retried(mine)
    assert (job.ended_at is not None) == (job.status in ("completed", "failed", "cancelled"))


def _was_retried(mine: list[Any]) -> bool:
    return any(task.status == "accepted" for task in mine)


def _check_events(conn: Connection, job: Any) -> None:
    told = [
        json.loads(row.detail)["status"]
        for row in conn.execute(select(events).where(events.c.job_id == job.id).order_by(events.c.id))
        if row.event.startswith("job.") and "status" in json.loads(row.detail)
    ]
    assert (told[-1] if told else "uploading") == job.status, "the last event tells the state"
