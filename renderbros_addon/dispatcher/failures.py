"""What a failure leads to: its kind decides.

``scene`` fails the job once a second owner's worker says so too, or nobody else can be asked. ``worker`` sends the task
to another worker. ``transient`` lets the same worker try again after a growing pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, func, insert, select, update

from ..protocol.checks import CheckStatus
from ..protocol.results import Failure
from ..protocol.states import FailureCode, FailureKind, LeaseStatus, TaskStatus
from . import asking, checks, jobs, leases, scheduler, tasks, waiting
from .store import Tx
from .tables import AnyRow, blocks, failures, results
from .tables import workers as workers_table

DISTINCT_OWNERS = 3
"""Owners whose workers must have failed a task before it is given up; with nobody of another owner to ask, so many
attempts in all. Workers are not counted: one owner may have any number of them."""

STRIKES = 3
"""Failures of one worker on a job, with no result accepted in between, after which it gets no more of its tasks: one
that now and then loses a renderer does more good than harm."""

OPINIONS = 2
"""Owners that must say of a scene that it is at fault before its job fails: one alone may lie, or be at fault itself.
With nobody else to ask, so many attempts."""

TRANSIENT_LIMIT = 10
"""Transient failures of a task that are free; each further one counts as the worker's."""

BACKOFF_MAX = 60.0
"""Seconds; the pauses before are 1, 2, 4, ..."""

EXPIRED = Failure(
    kind=FailureKind.TRANSIENT,
    code=FailureCode.NETWORK,
    message="The worker fell silent: its lease was not renewed in time.",
)


def report(tx: Tx, lease_id: str, worker_id: str, failure: Failure) -> None:
    """A worker gives a task up. About a lease that is over nobody cares any more."""
    lease = leases.load(tx.conn, lease_id)
    if lease is None or lease.worker_id != worker_id or lease.status != LeaseStatus.HELD:
        return
    jobs.lock(tx, lease.job_id)
    leases.end(tx, lease, LeaseStatus.FAILED)
    task = tasks.load(tx.conn, lease.task_id)
    settle(tx, task, TaskStatus.LEASED, worker_id, lease_id, failure)


def expire(tx: Tx, lease_id: str) -> None:
    """Take a task back from a worker that fell silent."""
    lease = leases.load(tx.conn, lease_id)
    if lease is None or lease.status != LeaseStatus.HELD:
        return
    jobs.lock(tx, lease.job_id)
    lease = leases.load(tx.conn, lease_id)
    if lease is None or lease.status != LeaseStatus.HELD or lease.expires_at > tx.now:
        return
    leases.end_all(tx, [lease], LeaseStatus.EXPIRED, "its worker fell silent")
    task = tasks.load(tx.conn, lease.task_id)
    settle(tx, task, TaskStatus.LEASED, lease.worker_id, lease_id, EXPIRED)


def release(tx: Tx, lease_id: str, worker_id: str) -> None:
    """A worker hands a task back, unblamed."""
    lease = leases.load(tx.conn, lease_id)
    if lease is None or lease.worker_id != worker_id or lease.status != LeaseStatus.HELD:
        return
    jobs.lock(tx, lease.job_id)
    leases.end(tx, lease, LeaseStatus.RELEASED)
    task = tasks.load(tx.conn, lease.task_id)
    tasks.move(tx, task, TaskStatus.LEASED, TaskStatus.QUEUED, "task.queued", worker_id=worker_id, because="released")
    if task.kind in tasks.CHECKS:
        asking.pass_over(tx, task, worker_id)


def settle(tx: Tx, task: AnyRow, status: TaskStatus, worker_id: str, lease_id: str, failure: Failure) -> None:
    """Decide about ``task``, which is in ``status`` and whose lease is over. Its job is locked by the caller."""
    kind = failure.kind
    if task.kind in tasks.CHECKS and kind is FailureKind.SCENE:
        # The scene has been rendered: by the one who is checked.
        kind = FailureKind.WORKER
    earlier = _transient_failures(tx, task.id)
    if kind is FailureKind.TRANSIENT and earlier >= TRANSIENT_LIMIT:
        kind = FailureKind.WORKER
    tx.conn.execute(
        insert(failures).values(
            job_id=task.job_id,
            task_id=task.id,
            worker_id=worker_id,
            lease_id=lease_id,
            kind=kind,
            code=failure.code,
            message=failure.message,
            log_tail=failure.log_tail,
            at=tx.now,
            counted=True,
        )
    )
    tx.emit(
        "task.failure",
        job_id=task.job_id,
        task_id=task.id,
        worker_id=worker_id,
        frame=task.frame,
        kind=kind,
        code=failure.code,
        message=failure.message,
        log_tail=failure.log_tail,
    )
    if task.kind in tasks.CHECKS:
        _settle_check(tx, task, status, worker_id, kind)
    elif kind is FailureKind.SCENE:
        _hear_of_scene(tx, task, status, worker_id, failure)
    elif kind is FailureKind.TRANSIENT:
        pause = 0.0 if failure is EXPIRED else min(BACKOFF_MAX, 2.0**earlier)
        again = {"not_before": tx.now + timedelta(seconds=pause), "result_id": None}
        tasks.move(tx, task, status, TaskStatus.QUEUED, "task.queued", values=again, because=failure.code, pause=pause)
    else:
        _blame(tx, task, status, worker_id, failure)


def _hear_of_scene(tx: Tx, task: AnyRow, status: TaskStatus, worker_id: str, failure: Failure) -> None:
    """Somebody says that the scene is at fault: ask another owner's worker, if one is or just was there, or fail it."""
    told = tx.conn.execute(
        select(failures.c.worker_id, func.coalesce(workers_table.c.owner, workers_table.c.id).label("owner"))
        .join(workers_table, workers_table.c.id == failures.c.worker_id)
        .where(
            failures.c.job_id == task.job_id,
            failures.c.kind == FailureKind.SCENE,
            failures.c.code == failure.code,
            failures.c.counted,
        )
    ).all()
    owners = {str(row.owner) for row in told}
    # Those who are away for a moment are waited for, as those are whom a job has blocked (waiting.py).
    others = scheduler.others_since(tx.conn, task.job_id, owners, tx.now - waiting.BLOCKED_FOR)
    if len(owners) >= OPINIONS or (len(told) >= OPINIONS and not others):
        tasks.move(tx, task, status, TaskStatus.FAILED, "task.failed", worker_id=worker_id)
        jobs.fail(tx, jobs.load(tx.conn, task.job_id), failure.code, failure.message)
        return
    again = {"not_before": None, "result_id": None}
    tasks.move(tx, task, status, TaskStatus.QUEUED, "task.queued", values=again, because="second opinion")
    if others:
        block(tx, task.job_id, worker_id, "it says that the scene is at fault")


def _settle_check(tx: Tx, task: AnyRow, status: TaskStatus, worker_id: str, kind: FailureKind) -> None:
    """What nobody can check is not checked: a checker must not be able to fail a job, or to hold it up."""
    if _given_up(tx, task):
        tasks.move(tx, task, status, TaskStatus.CANCELLED, "task.cancelled", worker_id=worker_id, because="not checked")
        check = checks.of_task(tx.conn, task.id)
        if check is not None and check.status == CheckStatus.OPEN:
            checks.drop(tx, check, "it could not be rendered again")
    else:
        again = {"result_id": None, "not_before": None}
        tasks.move(tx, task, status, TaskStatus.QUEUED, "task.queued", values=again, because=kind)
        asking.pass_over(tx, task, worker_id)
    if kind is FailureKind.WORKER:
        _block_if_due(tx, task.job_id, worker_id)


def _transient_failures(tx: Tx, task_id: str) -> int:
    return tx.conn.execute(
        select(func.count()).where(
            failures.c.task_id == task_id, failures.c.kind == FailureKind.TRANSIENT, failures.c.counted
        )
    ).scalar_one()


def _blame(tx: Tx, task: AnyRow, status: TaskStatus, worker_id: str, failure: Failure) -> None:
    tx.conn.execute(
        update(workers_table)
        .where(workers_table.c.id == worker_id)
        .values(tasks_failed=workers_table.c.tasks_failed + 1)
    )
    if _given_up(tx, task):
        tasks.move(tx, task, status, TaskStatus.FAILED, "task.failed", worker_id=worker_id, message=failure.message)
    else:
        again = {"not_before": None, "result_id": None}
        tasks.move(tx, task, status, TaskStatus.QUEUED, "task.queued", values=again, because=failure.code)
    _block_if_due(tx, task.job_id, worker_id)
    jobs.settle(tx, task.job_id)


def _given_up(tx: Tx, task: AnyRow) -> bool:
    attempts = (
        tx.conn.execute(
            select(func.coalesce(workers_table.c.owner, workers_table.c.id))
            .select_from(failures.join(workers_table, workers_table.c.id == failures.c.worker_id))
            .where(failures.c.task_id == task.id, failures.c.kind == FailureKind.WORKER, failures.c.counted)
        )
        .scalars()
        .all()
    )
    owners = set(attempts)
    if len(owners) >= DISTINCT_OWNERS:
        return True
    # Those who must not check what they sent themselves are nobody to wait for; a render is for all in the end.
    barred = tasks.barred(tx.conn, task.id) if task.kind in tasks.CHECKS else set()
    return len(attempts) >= DISTINCT_OWNERS and not scheduler.checkers(tx.conn, task.job_id, owners | barred)


def failers(conn: Connection, task_id: str) -> Sequence[str]:
    """Ids of the workers that failed a task, once for each time."""
    query = select(failures.c.worker_id).where(
        failures.c.task_id == task_id, failures.c.kind == FailureKind.WORKER, failures.c.counted
    )
    return conn.execute(query).scalars().all()


def _block_if_due(tx: Tx, job_id: str, worker_id: str) -> None:
    good = select(func.coalesce(func.max(results.c.received_at), 0.0)).where(
        results.c.job_id == job_id, results.c.worker_id == worker_id, results.c.status == "accepted"
    )
    strikes = tx.conn.execute(
        select(func.count()).where(
            failures.c.job_id == job_id,
            failures.c.worker_id == worker_id,
            failures.c.kind == FailureKind.WORKER,
            failures.c.counted,
            failures.c.at >= good.scalar_subquery(),
        )
    ).scalar_one()
    if strikes >= STRIKES:
        block(tx, job_id, worker_id, f"{strikes} failures")


def block(tx: Tx, job_id: str, worker_id: str, why: str) -> None:
    """Give a worker no more tasks of a job."""
    if (job_id, worker_id) not in scheduler.blocked_pairs(tx.conn, [job_id]):
        tx.conn.execute(insert(blocks).values(job_id=job_id, worker_id=worker_id, at=tx.now))
        tx.emit("worker.blocked", job_id=job_id, worker_id=worker_id, because=why)
