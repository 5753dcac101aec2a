"""Who gets which task.

Jobs by priority. Among equals a worker stays with the scene that it has open for a while, then goes where it is needed
most (``fairness.py``). In a job finish tasks and checks first, then frame by frame, tile by tile: so that all help with
a frame that is tiled. Whole frames are given out in chunks (``chunks.py``). A batch belongs to one job.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby
from math import ceil

from sqlalchemy import Connection, bindparam, or_, select

from ..protocol.leases import Lease, LeaseRequest
from ..protocol.states import FailureKind, JobStatus, TaskKind, TaskStatus, WorkerStatus
from . import chunks, fairness, jobs, leases, tasks, workers
from .available import Available
from .errors import LostRace
from .prepared import Prepared
from .store import Tx
from .tables import AnyRow, blocks, failures
from .tables import jobs as jobs_table
from .tables import tasks as tasks_table

_WORKABLE = Prepared(
    select(
        jobs_table.c.id,
        jobs_table.c.status,
        jobs_table.c.priority,
        jobs_table.c.created_at,
        jobs_table.c.series,
        jobs_table.c.engine,
        jobs_table.c.device,
        jobs_table.c.turn_at,
    ).where(jobs_table.c.status.in_(jobs.WORKABLE))
)
_BLOCKED_FOR = Prepared(select(blocks.c.job_id).where(blocks.c.worker_id == bindparam("by")))
_BLOCKED_IN = Prepared(select(blocks.c.worker_id).where(blocks.c.job_id == bindparam("of")))


@dataclass(frozen=True)
class Candidate:
    """A job that a worker could work on."""

    conn: Connection
    job: AnyRow
    worker_id: str
    """Of the worker, as are its owner and the class of the pixels that it makes of the job: some tasks are not for
    everybody."""
    owner: str
    render_class: str | None

    @cached_property
    def rivals(self) -> frozenset[str]:
        """Ids of all online workers that fit and aren't blocked, this one included."""
        return fit_for(self.conn, self.job)


def candidates(conn: Connection, worker: AnyRow) -> list[Candidate]:
    """Open jobs that ``worker`` may render, by priority."""
    if worker.status != WorkerStatus.ONLINE or worker.pause_requested:
        return []
    blocked = _BLOCKED_FOR.scalars(conn, by=worker.id)
    text, owner = worker.capabilities, workers.owner_of(worker)
    found = [job for job in _WORKABLE.all(conn) if job.id not in blocked and workers.fits(job, text)]
    found.sort(key=lambda job: -job.priority)
    return [Candidate(conn, job, worker.id, owner, workers.render_class(job, text)) for job in found]


def blocked_pairs(conn: Connection, job_ids: Sequence[str]) -> set[tuple[str, str]]:
    """(job, worker) of all blocks of these jobs."""
    return {(job_id, worker_id) for job_id in job_ids for worker_id in _BLOCKED_IN.scalars(conn, of=job_id)}


def unblocked_fitting(job: AnyRow, online: Sequence[AnyRow], blocked: Collection[tuple[str, str]]) -> frozenset[str]:
    """Ids of the workers among ``online`` that can and may render ``job``."""
    return frozenset(
        worker.id for worker in online if (job.id, worker.id) not in blocked and workers.fits(job, worker.capabilities)
    )


def fit_for(conn: Connection, job: AnyRow) -> frozenset[str]:
    """Ids of the online workers that can and may render ``job``."""
    blocked = _BLOCKED_IN.scalars(conn, of=job.id)
    return frozenset(
        worker_id for worker_id, text in workers.able(conn) if worker_id not in blocked and workers.fits(job, text)
    )


@dataclass(frozen=True)
class Checker:
    """A worker that could render a job's work again."""

    worker_id: str
    owner: str
    render_class: str | None


def has_checkers(conn: Connection, job: AnyRow, worker: AnyRow) -> bool:
    """Is there an online worker of another owner than ``worker``'s that can and may render ``job``?"""
    others = workers.online_of_others(conn, worker)
    return bool(others) and bool(unblocked_fitting(job, others, blocked_pairs(conn, [job.id])))


def checkers(conn: Connection, job_id: str, barred: Collection[str]) -> list[Checker]:
    """The online workers that can and may render a job, without those of the owners, or the workers, ``barred``.

    In the order of their enrolment.
    """
    job = jobs.load(conn, job_id)
    blocked = _BLOCKED_IN.scalars(conn, of=job_id)
    return [
        Checker(worker.id, owner, workers.render_class(job, worker.capabilities))
        for worker in workers.online(conn)
        if (owner := workers.owner_of(worker)) not in barred
        and worker.id not in barred
        and worker.id not in blocked
        and workers.fits(job, worker.capabilities)
    ]


def others_since(conn: Connection, job_id: str, owners: Collection[str], moment: datetime) -> frozenset[str]:
    """Ids of the workers of other owners that could and might render a job, and are online or were after ``moment``."""
    there = [worker for worker in workers.there_since(conn, moment) if workers.owner_of(worker) not in owners]
    return unblocked_fitting(jobs.load(conn, job_id), there, blocked_pairs(conn, [job_id]))


_FAILED_BY = Prepared(
    select(failures.c.task_id).where(
        failures.c.job_id == bindparam("of"),
        failures.c.worker_id == bindparam("by"),
        failures.c.kind == FailureKind.WORKER,
        failures.c.counted,
    )
)


def shunned_tasks(candidate: Candidate) -> set[str]:
    """Tasks that this worker failed and that one of the others online has not failed yet: they are for those."""
    mine = set(_FAILED_BY.scalars(candidate.conn, of=candidate.job.id, by=candidate.worker_id))
    if not mine:
        return set()
    failed_by: dict[str, set[str]] = {}
    rows = candidate.conn.execute(
        select(failures.c.task_id, failures.c.worker_id).where(
            failures.c.task_id.in_(mine), failures.c.kind == FailureKind.WORKER, failures.c.counted
        )
    )
    for task_id, failer in rows:
        failed_by.setdefault(task_id, set()).add(failer)
    return {task_id for task_id, failers in failed_by.items() if candidate.rivals - failers}


def available(candidate: Candidate, now: datetime) -> Available:
    """The tasks of a job that its worker may get."""
    return Available(
        candidate.conn,
        candidate.job.id,
        now,
        candidate.render_class,
        candidate.worker_id,
        candidate.owner,
        frozenset(shunned_tasks(candidate)),
    )


def share(queued: int, rivals: int, held: int, asked: int) -> int:
    """How many tasks a worker may take at once, so that none hoards while others have nothing.

    Half of its even part of what is queued (all of it if it is alone), in all no more than an even part of what is
    queued or in its hands, and at least one if its hands are empty.
    """
    rivals = max(1, rivals)
    batch = max(1, ceil(queued / (2 * rivals)) if rivals > 1 else queued)
    even = ceil((queued + held) / rivals) - held
    return max(0 if held else 1, min(asked, batch, even))


_ANY_QUEUED = Prepared(
    select(tasks_table.c.job_id)
    .join(jobs_table, jobs_table.c.id == tasks_table.c.job_id)
    .where(
        jobs_table.c.status.in_(jobs.WORKABLE),
        tasks_table.c.status == TaskStatus.QUEUED,
        or_(
            tasks_table.c.not_before.is_(None),
            tasks_table.c.not_before <= bindparam("now", type_=tasks_table.c.not_before.type),
        ),
    )
    .limit(1)
)


def any_queued(conn: Connection, now: datetime) -> bool:
    """Is there a task that somebody could take, whoever that is?"""
    return _ANY_QUEUED.first(conn, now=now) is not None


def has_work(conn: Connection, worker: AnyRow, now: datetime) -> bool:
    """Is there likely something for ``worker``? Takes no lock, so that idle workers may ask often."""
    return any(available(candidate, now).any() for candidate in candidates(conn, worker))


def grant(tx: Tx, worker_id: str, request: LeaseRequest, seconds: float) -> list[Lease]:
    """Lease up to ``request.count`` tasks of one job to a worker; empty if there is nothing for it."""
    worker = workers.load(tx.conn, worker_id)
    held = leases.number_held(tx.conn, worker_id)
    stretch = fairness.of_worker(tx, worker_id)
    for _, equals in groupby(candidates(tx.conn, worker), key=lambda candidate: candidate.job.priority):
        by_job = {candidate.job.id: candidate for candidate in equals}
        rivals = [candidate.job for candidate in by_job.values()]
        for job in fairness.in_order(tx, worker_id, stretch, request.open_job, rivals):
            granted = _grant_from(tx, by_job[job.id], stretch, held, request.count, seconds)
            if granted:
                return granted
    return []


def _grant_from(
    tx: Tx, candidate: Candidate, stretch: AnyRow | None, held: int, asked: int, seconds: float
) -> list[Lease]:
    job_id, worker_id = candidate.job.id, candidate.worker_id
    free = available(candidate, tx.now)
    next_one = free.first()
    if next_one is None:
        return []
    number = 1
    if held or asked > 1:
        # Counted only as far as it makes a difference: a job may have 200,000 tasks.
        enough = max(2 * asked, asked + held) * len(candidate.rivals)
        number = share(free.queued(enough), len(candidate.rivals), held, asked)
        if not number:
            return []
    # The job first, as everywhere. Shared, so that several dispatchers can lease from one job at once; its first lease
    # changes the job and needs it alone, and so do a new stretch and a new chunk, or two would begin at the same frame.
    first = candidate.job.status == JobStatus.QUEUED
    begins = fairness.is_over(tx, stretch, job_id)
    # Is what comes next a whole frame, rather than a tile or a frame to be finished?
    whole = next_one.kind == TaskKind.RENDER and not next_one.linear
    mine = chunks.of_worker(tx.conn, job_id, worker_id) if whole else None
    opens = whole and (mine is None or not free.any_between(mine.start, mine.stop))
    job = jobs.lock(tx, job_id, shared=not (first or begins or opens))
    if job.status not in jobs.WORKABLE:
        return []
    if job.status == JobStatus.QUEUED and not first:
        raise LostRace(f"job {job.id} went back to queued")
    spec = jobs.spec_of(job)
    chosen: Sequence[AnyRow] = []
    if opens:
        mine = chunks.open_next(tx, job_id, worker_id, free, candidate.rivals, spec.chunk)
    if mine is not None:
        chosen = free.take(number, (mine.start, mine.stop))
        if chosen and chosen[-1].ordinal >= mine.at:
            chunks.advance(tx, job_id, worker_id, chosen[-1].ordinal + 1)
    if not chosen:
        chosen = free.take(number)
    if not chosen:
        return []
    jobs.activate(tx, job)
    if begins:
        fairness.note(tx, worker_id, job_id)
    return [
        Lease(
            id=leases.grant(tx, task, worker_id, seconds),
            task=tasks.as_task(task, spec),
            scene=spec.scene,
            seconds=seconds,
        )
        for task in chosen
    ]
