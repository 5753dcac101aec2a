"""Having rendered again what a worker sent since it was last known to be honest, once it was found at fault.

One result at a time, each in a transaction of its own: what was done before a crash is not done again.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, not_, select

from ..protocol.states import JobStatus, TaskKind, TaskStatus
from . import checks, frames, jobs, results, tasks, verification, workers
from .results import ResultStatus
from .store import Tx
from .tables import AnyRow
from .tables import results as results_table
from .tables import tasks as tasks_table


def due(conn: Connection, worker_id: str, recall_after: int) -> list[int]:
    """Ids of a worker's results after that one which count, or are about to, though nobody else rendered all of it."""
    rows = conn.execute(
        select(results_table.c.id)
        .where(
            results_table.c.worker_id == worker_id,
            results_table.c.status.in_((ResultStatus.ACCEPTED, ResultStatus.CHECKING)),
            results_table.c.id > recall_after,
            results_table.c.subject_id.is_(None),
            not_(checks.proven(results_table.c.id)),
        )
        .order_by(results_table.c.id)
    )
    return list(rows.scalars())


def recall(tx: Tx, result_id: int, desk: verification.Desk) -> list[str]:
    """Have what a result was for rendered again; returns the digests of files that may not be needed any more.

    Also in a job that is completed, which is opened again. In one that failed or was cancelled it waits for a retry.
    """
    result = results.load(tx.conn, result_id)
    job = jobs.lock(tx, result.job_id)
    result = results.load(tx.conn, result_id)
    task = tasks.load(tx.conn, result.task_id)
    barred = workers.party(workers.load(tx.conn, result.worker_id))
    if result.status == ResultStatus.CHECKING:
        why = "its worker has been found at fault"
        verification.end_open(tx, result_id, why)
        results.send_back(tx, result_id, why, barred)
        return [result.sha256, *(extra.sha256 for extra in results.files_of(tx.conn, result_id))]
    if result.status != ResultStatus.ACCEPTED or task.result_id != result.id:
        return []
    desk.revoke_credit(tx, result)
    ended = job.status in (JobStatus.FAILED, JobStatus.CANCELLED)
    frame = frames.load(tx.conn, job.id, task.frame)
    again = [task]
    if task.kind == TaskKind.FINISH or (frame.state in frames.FINISHED and tasks.is_tiled(jobs.spec_of(job))):
        # The tiles are gone, also those that others rendered.
        again = list(_tasks(tx.conn, job.id, task.frame, TaskKind.RENDER))
    spare = [result.sha256, *([frame.output_sha256] if frame.output_sha256 else [])]
    spare += [extra.sha256 for extra in results.files_of(tx.conn, result_id)]
    for one in again:
        spare += _take_back(tx, one, queue=not ended)
        tasks.bar(tx, one.id, barred)  # or its other workers would get what this one did wrong
    for finish in _tasks(tx.conn, job.id, task.frame, TaskKind.FINISH):
        if finish.status == TaskStatus.ACCEPTED:
            spare += _take_back(tx, finish, queue=False)
        else:
            verification.end_task(tx, finish, "its frame is rendered again")
    frames.reopen(tx, frame)
    if not ended:
        jobs.reopen(tx, job.id)
    return spare


def _take_back(tx: Tx, task: AnyRow, *, queue: bool) -> list[str]:
    """The accepted result of a task counts no more; returns the digest of its file."""
    if task.status != TaskStatus.ACCEPTED:
        return []
    result = results.load(tx.conn, task.result_id)
    results.recall(tx, result)
    tasks.recall(tx, task, queue=queue)
    return [result.sha256]


def _tasks(conn: Connection, job_id: str, frame: int, kind: TaskKind) -> Sequence[AnyRow]:
    return conn.execute(
        select(tasks_table).where(
            tasks_table.c.job_id == job_id, tasks_table.c.frame == frame, tasks_table.c.kind == kind
        )
    ).all()
