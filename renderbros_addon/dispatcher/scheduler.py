"""Who gets which task.

Jobs by priority, then, among equals, the one whose scene the worker has open, then the oldest. In a job finish tasks
and checks first, then frame by frame, tile by tile: so that all help with a frame that is tiled. Whole frames are given
out in chunks (``chunks.py``). A batch belongs to one job.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from sqlalchemy import ColumnElement, Connection, and_, exists, func, not_, or_, select, true

from ..protocol.leases import Lease, LeaseRequest
from ..protocol.states import FailureKind, JobStatus, TaskKind, TaskStatus, WorkerStatus
from . import chunks, jobs, leases, matching, tasks, workers
from .errors import LostRace
from .store import Tx
from .tables import AnyRow, blocks, failures, task_bars
from .tables import jobs as jobs_table
from .tables import tasks as tasks_table


@dataclass(frozen=True)
class Candidate:
    """A job that a worker could work on, and the others that could."""

    job: AnyRow
    rivals: frozenset[str]
    """Ids of all online workers that fit and aren't blocked, this one included."""
    worker_id: str
    """Of the worker, as are its owner and the class of the pixels that it makes of the job: some tasks are not for
    everybody."""
    owner: str
    render_class: str | None


def candidates(conn: Connection, worker: AnyRow, open_job: str | None) -> list[Candidate]:
    """Open jobs that ``worker`` may render, best first."""
    if worker.status != WorkerStatus.ONLINE or worker.pause_requested:
        return []
    able = workers.capabilities(worker.capabilities)
    found = conn.execute(
        select(
            jobs_table.c.id,
            jobs_table.c.status,
            jobs_table.c.priority,
            jobs_table.c.created_at,
            jobs_table.c.series,
            jobs_table.c.engine,
            jobs_table.c.device,
        ).where(jobs_table.c.status.in_(jobs.WORKABLE))
    ).all()
    fitting = [job for job in found if matching.fits(job, able)]
    if not fitting:
        return []
    fitting.sort(key=lambda job: (-job.priority, job.id != open_job, job.created_at, job.id))
    online = workers.online(conn)
    blocked = blocked_pairs(conn, [job.id for job in fitting])
    return [
        Candidate(
            job,
            unblocked_fitting(job, online, blocked),
            worker.id,
            workers.owner_of(worker),
            matching.render_class(job, able),
        )
        for job in fitting
        if (job.id, worker.id) not in blocked
    ]


def blocked_pairs(conn: Connection, job_ids: Sequence[str]) -> set[tuple[str, str]]:
    """(job, worker) of all blocks of these jobs."""
    rows = conn.execute(select(blocks.c.job_id, blocks.c.worker_id).where(blocks.c.job_id.in_(job_ids)))
    return {(job_id, worker_id) for job_id, worker_id in rows}


def unblocked_fitting(job: AnyRow, online: Sequence[AnyRow], blocked: Collection[tuple[str, str]]) -> frozenset[str]:
    """Ids of the workers among ``online`` that can and may render ``job``."""
    return frozenset(
        worker.id
        for worker in online
        if (job.id, worker.id) not in blocked and matching.fits(job, workers.capabilities(worker.capabilities))
    )


def _available(now: datetime, candidate: Candidate, shunned: Collection[str]) -> ColumnElement[bool]:
    return and_(
        tasks_table.c.job_id == candidate.job.id,
        tasks_table.c.status == TaskStatus.QUEUED,
        or_(tasks_table.c.not_before.is_(None), tasks_table.c.not_before <= now),
        tasks_table.c.id.not_in(shunned) if shunned else true(),
        or_(tasks_table.c.wanted_class.is_(None), tasks_table.c.wanted_class == candidate.render_class),
        or_(tasks_table.c.wanted_worker.is_(None), tasks_table.c.wanted_worker == candidate.worker_id),
        not_(
            exists().where(
                task_bars.c.task_id == tasks_table.c.id, task_bars.c.owner.in_((candidate.owner, candidate.worker_id))
            )
        ),
    )


@dataclass(frozen=True)
class Checker:
    """A worker that could render a job's work again."""

    worker_id: str
    owner: str
    render_class: str | None


def checkers(conn: Connection, job_id: str, barred: Collection[str]) -> list[Checker]:
    """The online workers that can and may render a job, without those of the owners, or the workers, ``barred``."""
    job = jobs.load(conn, job_id)
    online = {worker.id: worker for worker in workers.online(conn)}
    found = unblocked_fitting(job, list(online.values()), blocked_pairs(conn, [job_id]))
    return [
        Checker(worker_id, owner, matching.render_class(job, workers.capabilities(online[worker_id].capabilities)))
        for worker_id in sorted(found)
        if (owner := workers.owner_of(online[worker_id])) not in barred and worker_id not in barred
    ]


def shunned_tasks(conn: Connection, candidate: Candidate, worker_id: str) -> set[str]:
    """Tasks that this worker failed and that one of the others online has not failed yet: they are for those."""
    failed_by: dict[str, set[str]] = {}
    mine = select(failures.c.task_id).where(
        failures.c.job_id == candidate.job.id,
        failures.c.worker_id == worker_id,
        failures.c.kind == FailureKind.WORKER,
        failures.c.counted,
    )
    rows = conn.execute(
        select(failures.c.task_id, failures.c.worker_id).where(
            failures.c.task_id.in_(mine), failures.c.kind == FailureKind.WORKER, failures.c.counted
        )
    )
    for task_id, failer in rows:
        failed_by.setdefault(task_id, set()).add(failer)
    return {task_id for task_id, failers in failed_by.items() if candidate.rivals - failers}


def share(queued: int, rivals: int, held: int, asked: int) -> int:
    """How many tasks a worker may take at once, so that none hoards while others have nothing.

    Half of its even part of what is queued, in all no more than an even part of what is queued or in its hands, and
    at least one if its hands are empty.
    """
    rivals = max(1, rivals)
    batch = max(1, ceil(queued / (2 * rivals)))
    even = ceil((queued + held) / rivals) - held
    return max(0 if held else 1, min(asked, batch, even))


def has_work(conn: Connection, worker: AnyRow, now: datetime) -> bool:
    """Is there likely something for ``worker``? Takes no lock, so that idle workers may ask often."""
    for candidate in candidates(conn, worker, None):
        shunned = shunned_tasks(conn, candidate, worker.id)
        if conn.execute(select(tasks_table.c.id).where(_available(now, candidate, shunned)).limit(1)).first():
            return True
    return False


def grant(tx: Tx, worker_id: str, request: LeaseRequest, seconds: float) -> list[Lease]:
    """Lease up to ``request.count`` tasks of one job to a worker; empty if there is nothing for it."""
    worker = workers.load(tx.conn, worker_id)
    held = leases.number_held(tx.conn, worker_id)
    for candidate in candidates(tx.conn, worker, request.open_job):
        granted = _grant_from(tx, candidate, worker_id, held, request.count, seconds)
        if granted:
            return granted
    return []


def _grant_from(tx: Tx, candidate: Candidate, worker_id: str, held: int, asked: int, seconds: float) -> list[Lease]:
    shunned = shunned_tasks(tx.conn, candidate, worker_id)
    available = _available(tx.now, candidate, shunned)
    # Counted only as far as it makes a difference: a job may have 200,000 tasks.
    enough = max(2 * asked, asked + held) * len(candidate.rivals)
    some = select(tasks_table.c.id).where(available).limit(enough).subquery()
    queued = tx.conn.execute(select(func.count()).select_from(some)).scalar_one()
    if not queued:
        return []
    number = share(queued, len(candidate.rivals), held, asked)
    if not number:
        return []
    # The job first, as everywhere. Shared, so that several dispatchers can lease from one job at once; its first lease
    # changes the job and needs it alone, and so does a new chunk, or two workers would begin at the same frame.
    first = candidate.job.status == JobStatus.QUEUED
    whole = _is_next_whole(tx.conn, available)
    opens = whole and not _goes_on(tx.conn, candidate, worker_id, available)
    job = tx.conn.execute(
        select(jobs_table).where(jobs_table.c.id == candidate.job.id).with_for_update(read=not (first or opens))
    ).one()
    if job.status not in jobs.WORKABLE:
        return []
    if job.status == JobStatus.QUEUED and not first:
        raise LostRace(f"job {job.id} went back to queued")
    spec = jobs.parse_spec(job.spec)
    chosen: Sequence[AnyRow] = []
    if whole:
        chosen = _from_chunk(tx, candidate, worker_id, available, number, spec.chunk, opens=opens)
    if not chosen:
        chosen = _take(tx.conn, available, number)
    if not chosen:
        return []
    jobs.activate(tx, job)
    return [
        Lease(
            id=leases.grant(tx, task, worker_id, seconds),
            task=tasks.as_task(task, spec),
            scene=spec.scene,
            seconds=seconds,
        )
        for task in chosen
    ]


def _take(conn: Connection, wanted: ColumnElement[bool], number: int) -> Sequence[AnyRow]:
    """The first tasks that are ``wanted``, but for those that another dispatcher has just taken."""
    return conn.execute(
        select(tasks_table)
        .where(wanted)
        .order_by(tasks_table.c.rank, tasks_table.c.ordinal)
        .limit(number)
        .with_for_update(skip_locked=True)
    ).all()


def _is_next_whole(conn: Connection, available: ColumnElement[bool]) -> bool:
    """Is what comes next a whole frame, rather than a tile or a frame to be finished?"""
    first = select(tasks_table.c.kind, tasks_table.c.linear).where(available)
    row = conn.execute(first.order_by(tasks_table.c.rank, tasks_table.c.ordinal).limit(1)).first()
    return row is not None and row.kind == TaskKind.RENDER and not row.linear


def _goes_on(conn: Connection, candidate: Candidate, worker_id: str, available: ColumnElement[bool]) -> bool:
    """Has the worker's chunk anything left for it?"""
    mine = chunks.of_job(conn, candidate.job.id).get(worker_id)
    if mine is None:
        return False
    return conn.execute(select(tasks_table.c.id).where(available, mine.whole).limit(1)).first() is not None


def _from_chunk(
    tx: Tx,
    candidate: Candidate,
    worker_id: str,
    available: ColumnElement[bool],
    number: int,
    size: int | None,
    *,
    opens: bool,
) -> Sequence[AnyRow]:
    """The next frames of the worker's chunk, or of a new one; none if others were quicker."""
    job_id = candidate.job.id
    if opens:
        mine = chunks.open_next(tx, job_id, worker_id, available, candidate.rivals, size)
    else:
        mine = chunks.of_job(tx.conn, job_id).get(worker_id)
    if mine is None:
        return []
    chosen = _take(tx.conn, and_(available, mine.whole), number)
    if chosen:
        chunks.advance(tx, job_id, worker_id, chosen[-1].ordinal + 1)
    return chosen
