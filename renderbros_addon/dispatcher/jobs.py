"""The job's state machine: who may change a job's status, from what to what.

uploading -> queued -> active <-> paused -> finishing -> completed | failed | cancelled
failed, cancelled -> queued (retry)
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from ..protocol.expectations import ExpectedFrame
from ..protocol.jobs import JobSpec
from ..protocol.states import FailureCode, FailureKind, JobStatus, LeaseStatus, TaskKind, TaskStatus
from . import expectations, frames, leases, spare, tasks, tiling
from .errors import Conflict, LostRace, NotFound
from .prepared import Prepared
from .rulings import Differs
from .store import Tx, new_id
from .tables import AnyRow, blocks, failures, job_blobs, jobs
from .tables import frames as frames_table
from .tables import tasks as tasks_table

_S = JobStatus

ALLOWED: Mapping[JobStatus, frozenset[JobStatus]] = {
    _S.UPLOADING: frozenset({_S.QUEUED, _S.FAILED, _S.CANCELLED}),
    _S.QUEUED: frozenset({_S.ACTIVE, _S.PAUSED, _S.FAILED, _S.CANCELLED, _S.FINISHING, _S.COMPLETED}),
    _S.ACTIVE: frozenset({_S.PAUSED, _S.FINISHING, _S.COMPLETED, _S.FAILED, _S.CANCELLED}),
    _S.PAUSED: frozenset({_S.QUEUED, _S.ACTIVE, _S.FINISHING, _S.COMPLETED, _S.FAILED, _S.CANCELLED}),
    _S.FINISHING: frozenset({_S.ACTIVE, _S.PAUSED, _S.COMPLETED, _S.FAILED, _S.CANCELLED}),
    _S.COMPLETED: frozenset({_S.QUEUED}),
    _S.FAILED: frozenset({_S.UPLOADING, _S.QUEUED}),
    _S.CANCELLED: frozenset({_S.UPLOADING, _S.QUEUED}),
}
"""A paused job completes if the tasks that were running were its last. A queued one may go straight on after a retry
that found everything rendered, or by a late result. What a cheat rendered is rendered again, even if the job was
completed."""

WORKABLE = (_S.QUEUED, _S.ACTIVE, _S.FINISHING)
"""What the scheduler gives tasks of."""

OPEN = (_S.UPLOADING, *WORKABLE, _S.PAUSED)

FAILED_SHARE = 0.1
"""Share of failed tasks from which on a job is given up (Flamenco's figure)."""


_OF_JOB = jobs.c.id == bindparam("of")
_LOAD = Prepared(select(jobs).where(_OF_JOB))
_LOCK = Prepared(select(jobs).where(_OF_JOB).with_for_update())
_LOCK_SHARED = Prepared(select(jobs).where(_OF_JOB).with_for_update(read=True))


@lru_cache(maxsize=64)
def parse_spec(text: str) -> JobSpec:
    """The spec as kept in a job's row; parsed again and again otherwise, and large ones take their time."""
    return JobSpec.model_validate_json(text)


_specs: OrderedDict[str, JobSpec] = OrderedDict()
_MOST_SPECS = 256


def spec_of(job: AnyRow) -> JobSpec:
    """The spec of a job's row. Known by the job's id: it never changes, and even to compare its text takes a while."""
    found = _specs.get(job.id)
    if found is None:
        found = _specs[job.id] = parse_spec(job.spec)
        while len(_specs) > _MOST_SPECS:
            with contextlib.suppress(KeyError):  # another thread was faster
                _specs.popitem(last=False)
    return found


def spec_by_id(conn: Connection, job_id: str) -> JobSpec:
    """The spec of a job; NotFound if there is none."""
    return _specs.get(job_id) or spec_of(load(conn, job_id))


def load(conn: Connection, job_id: str) -> AnyRow:
    """A job's row; NotFound if there is none."""
    row = _LOAD.first(conn, of=job_id)
    if row is None:
        raise NotFound(f"there is no job {job_id}", word="unknown_job")
    return row


def ids_of(conn: Connection, account: str) -> set[str]:
    """The jobs of an account."""
    return set(conn.execute(select(jobs.c.id).where(jobs.c.account == account)).scalars())


def check_account(conn: Connection, job_id: str, account: str | None) -> None:
    """NotFound, as if there were none, unless the job is ``account``'s; None may see all."""
    if account is not None and load(conn, job_id).account != account:
        raise NotFound(f"there is no job {job_id}", word="unknown_job")


def lock(tx: Tx, job_id: str, *, shared: bool = False) -> AnyRow:
    """A job's row, held until the commit; ``shared`` with others that hold it so.

    Every change to a job's tasks takes this lock first, so that two of them never wait for each other's rows.
    (SQLite has one writer anyway and ignores FOR UPDATE.)
    """
    row = (_LOCK_SHARED if shared else _LOCK).first(tx.conn, of=job_id)
    if row is None:
        raise NotFound(f"there is no job {job_id}", word="unknown_job")
    return row


def _move(tx: Tx, job: AnyRow, new: JobStatus, event: str, values: Mapping[str, Any], **detail: Any) -> None:
    old = JobStatus(job.status)
    if new not in ALLOWED[old]:
        raise Conflict(f"job {job.id} is {old}, so it can't become {new}")
    moved = tx.conn.execute(update(jobs).where(jobs.c.id == job.id, jobs.c.status == old).values(status=new, **values))
    if moved.rowcount != 1:
        raise LostRace(f"job {job.id} is no longer {old}")
    tx.emit(event, job_id=job.id, old=old, status=new, **detail)


def create(tx: Tx, spec: JobSpec, present: Mapping[str, int], account: str | None = None) -> str:
    """A new job of ``account``, uploading; ``present`` maps the digests of blobs that it has there to their sizes.

    Returns its id.
    """
    spare.protect(tx, [file.sha256 for file in spec.scene.files])
    job_id = new_id()
    scene = spec.scene
    tx.conn.execute(
        insert(jobs).values(
            id=job_id,
            name=spec.name,
            status=_S.UPLOADING,
            priority=spec.priority,
            spec=spec.model_copy(update={"expected": ()}).model_dump_json(),
            series=" ".join(scene.series),
            engine=scene.engine,
            device=scene.device,
            created_at=tx.now,
            account=account,
        )
    )
    sizes = {file.sha256: file.size for file in scene.files}
    tx.conn.execute(
        insert(job_blobs),
        [
            {"job_id": job_id, "sha256": sha256, "size": size, "present": sha256 in present}
            for sha256, size in sizes.items()
        ],
    )
    expectations.add(tx.conn, job_id, spec.expected)
    tx.emit("job.created", job_id=job_id, name=spec.name, frames=len(spec.frames), account=account)
    queue_if_whole(tx, job_id)
    return job_id


def missing_blobs(conn: Connection, job_id: str) -> tuple[str, ...]:
    rows = conn.execute(
        select(job_blobs.c.sha256)
        .where(job_blobs.c.job_id == job_id, job_blobs.c.present.is_(False))
        .order_by(job_blobs.c.sha256)
    )
    return tuple(rows.scalars())


_AWAITED = Prepared(
    select(job_blobs.c.job_id).where(job_blobs.c.sha256 == bindparam("of"), job_blobs.c.present.is_(False)).limit(1)
)


def is_awaited(conn: Connection, sha256: str) -> bool:
    """Does a job wait for this blob?"""
    return _AWAITED.first(conn, of=sha256) is not None


def present_in_any(conn: Connection, digests: Sequence[str]) -> set[str]:
    """Those of these blobs that some job has: they are never deleted."""
    found: set[str] = set()
    for start in range(0, len(digests), 500):
        some = job_blobs.c.sha256.in_(digests[start : start + 500])
        found.update(conn.execute(select(job_blobs.c.sha256).where(some, job_blobs.c.present)).scalars())
    return found


def awaited_size(conn: Connection, sha256: str, account: str) -> int | None:
    """Bytes of a blob that an open job of ``account`` waits for; None if none does."""
    row = conn.execute(
        select(job_blobs.c.size)
        .join(jobs, jobs.c.id == job_blobs.c.job_id)
        .where(
            job_blobs.c.sha256 == sha256,
            job_blobs.c.present.is_(False),
            jobs.c.account == account,
            jobs.c.status == _S.UPLOADING,
        )
        .limit(1)
    ).first()
    return None if row is None else int(row.size)


def in_parts(digests: Iterable[str]) -> Iterator[list[str]]:
    """As many at a time as a statement is given."""
    left = iter(digests)
    while some := list(islice(left, 500)):
        yield some


def blob_arrived(tx: Tx, sha256: str, size: int, account: str | None = None) -> None:
    """Note a blob that ``account`` has sent, and queue those of its jobs for which it was the last; None: all jobs."""
    blobs_arrived(tx, {sha256: size}, account)


def blobs_arrived(tx: Tx, sizes: Mapping[str, int], account: str | None = None) -> None:
    """The same for all blobs in ``sizes``, with as few statements for many as for one."""
    waiting: dict[str, list[AnyRow]] = defaultdict(list)
    for some in in_parts(sizes):
        query = (
            select(job_blobs.c.job_id, job_blobs.c.sha256, job_blobs.c.size)
            .join(jobs, jobs.c.id == job_blobs.c.job_id)
            .where(job_blobs.c.sha256.in_(some), job_blobs.c.present.is_(False))
        )
        if account is not None:
            # Others who named the same blob have yet to show that they have it.
            query = query.where(or_(jobs.c.account == account, jobs.c.account.is_(None)))
        for row in tx.conn.execute(query):
            waiting[row.job_id].append(row)
    for job_id, rows in sorted(waiting.items()):
        job = lock(tx, job_id)
        wrong = None
        if not JobStatus(job.status).ended:
            wrong = next((row for row in rows if row.size != sizes[row.sha256]), None)
        if wrong is not None:
            found = f"the file {wrong.sha256} has {sizes[wrong.sha256]} bytes, not {wrong.size} as the job says"
            fail(tx, job, FailureCode.BAD_SETTING, found)
        for some in in_parts(row.sha256 for row in rows if wrong is None or row.size == sizes[row.sha256]):
            mine = (job_blobs.c.job_id == job_id) & job_blobs.c.sha256.in_(some)
            tx.conn.execute(update(job_blobs).where(mine).values(present=True))
        queue_if_whole(tx, job_id)


def queue_if_whole(tx: Tx, job_id: str) -> None:
    """Make the tasks of an uploading job whose blobs are all there, and queue it."""
    job = lock(tx, job_id)
    if job.status != _S.UPLOADING or missing_blobs(tx.conn, job_id):
        return
    spec = spec_of(job)
    cuts = tiling.decide(tx.conn, job, spec)
    number = tasks.create_all(tx, job_id, spec, cuts)
    frames.create_all(tx, job_id, spec)
    _move(tx, job, _S.QUEUED, "job.queued", {"cuts": cuts}, tasks=number)


def activate(tx: Tx, job: AnyRow) -> None:
    """Its first task is leased."""
    if job.status == _S.QUEUED:
        _move(tx, job, _S.ACTIVE, "job.active", {})


def pause(tx: Tx, job_id: str) -> None:
    """Give out no more tasks; those that are being rendered go on. A paused job stays so."""
    job = lock(tx, job_id)
    if job.status != _S.PAUSED:
        _move(tx, job, _S.PAUSED, "job.paused", {})


def resume(tx: Tx, job_id: str) -> None:
    """Undo a pause; a job that isn't paused but open stays as it is."""
    job = lock(tx, job_id)
    if job.status in WORKABLE:
        return
    if job.status != _S.PAUSED:
        raise Conflict(f"job {job_id} is {job.status}, not paused")
    begun = tasks.any_in(tx.conn, job_id, [s for s in TaskStatus if s is not TaskStatus.QUEUED])
    rendering = tasks.any_in(tx.conn, job_id, tasks.OPEN, TaskKind.RENDER)
    _move(tx, job, (_S.ACTIVE if rendering else _S.FINISHING) if begun else _S.QUEUED, "job.resumed", {})


def cancel(tx: Tx, job_id: str) -> None:
    """End a job; its leases are revoked. A cancelled job stays so."""
    job = lock(tx, job_id)
    if job.status == _S.CANCELLED:
        return
    _end(tx, job, _S.CANCELLED, "job.cancelled", {})


def fail(tx: Tx, job: AnyRow, code: FailureCode, message: str) -> None:
    """Give a job up, for a reason that its submitter will read."""
    _end(tx, job, _S.FAILED, "job.failed", {"reason_code": code, "reason_message": message}, code=code, reason=message)


def _end(tx: Tx, job: AnyRow, status: JobStatus, event: str, values: Mapping[str, Any], **detail: Any) -> None:
    _move(tx, job, status, event, {"ended_at": tx.now, "blocked_since": None, **values}, **detail)
    # Tasks before leases: the scheduler writes the lease after the task, so by then its lease is there to be seen.
    tasks.move_all(tx, job.id, tasks.OPEN, TaskStatus.CANCELLED)
    leases.end_all(tx, leases.held_of_job(tx.conn, job.id), LeaseStatus.REVOKED, event)


def retry(tx: Tx, job_id: str) -> None:
    """Open a failed or cancelled job again: what is rendered is kept, past failures count no more."""
    job = lock(tx, job_id)
    values = {"ended_at": None, "reason_code": None, "reason_message": None, "blocked_since": None}
    if job.status not in (_S.FAILED, _S.CANCELLED):
        raise Conflict(f"job {job_id} is {job.status}: only a failed or cancelled job can be tried again")
    if not tasks.any_in(tx.conn, job_id, list(TaskStatus)):
        _move(tx, job, _S.UPLOADING, "job.retried", values)
        queue_if_whole(tx, job_id)
        return
    tx.conn.execute(update(failures).where(failures.c.job_id == job_id).values(counted=False))
    tx.conn.execute(delete(blocks).where(blocks.c.job_id == job_id))
    tx.conn.execute(
        update(frames_table).where(frames_table.c.job_id == job_id, frames_table.c.attempts > 0).values(attempts=0)
    )
    again = tasks.move_all(tx, job_id, (TaskStatus.FAILED, TaskStatus.CANCELLED), TaskStatus.QUEUED)
    _move(tx, job, _S.QUEUED, "job.retried", values, tasks=again)
    settle(tx, job_id)


def reopen(tx: Tx, job_id: str) -> None:
    """Some of a job's frames are to be rendered again. One that failed or was cancelled waits for its retry."""
    job = lock(tx, job_id)
    if job.status == _S.COMPLETED:
        _move(tx, job, _S.QUEUED, "job.reopened", {"ended_at": None})
    elif job.status == _S.FINISHING:
        _move(tx, job, _S.ACTIVE, "job.active", {})


def note_difference(tx: Tx, job_id: str, differs: Differs) -> None:
    """Remember that not everything of a job can be rendered alike twice."""
    job = lock(tx, job_id)
    if job.differs not in (differs, Differs.OWNERS, Differs.ALL):
        tx.conn.execute(update(jobs).where(jobs.c.id == job_id).values(differs=differs))
        tx.emit("job.unrepeatable", job_id=job_id, what=differs)


def set_priority(tx: Tx, job_id: str, priority: int) -> None:
    job = lock(tx, job_id)
    if job.priority != priority:
        tx.conn.execute(update(jobs).where(jobs.c.id == job_id).values(priority=priority))
        tx.emit("job.priority", job_id=job_id, old=job.priority, priority=priority)


def expect(tx: Tx, job_id: str, expected: Sequence[ExpectedFrame]) -> None:
    """Previews of a job's frames; Conflict if it has ended. Frames that it does not have are left out."""
    job = lock(tx, job_id)
    if JobStatus(job.status).ended:
        raise Conflict(f"job {job_id} is {job.status}: nothing is expected of it any more")
    known = set(spec_of(job).frames)
    added = expectations.add(tx.conn, job_id, [one for one in expected if one.frame in known])
    if added:
        tx.emit("job.previewed", job_id=job_id, frames=added)


def settle(tx: Tx, job_id: str, job: AnyRow | None = None) -> None:
    """Move a job on as far as its tasks and frames have come. To be called after each that ended.

    ``job`` is its row, for who has locked it and not changed it since.
    """
    job = job or lock(tx, job_id)
    if job.status not in (*WORKABLE, _S.PAUSED):
        return
    failed, total = _failed_and_total(tx, job_id)
    rendering = tasks.any_in(tx.conn, job_id, tasks.OPEN, TaskKind.RENDER)
    if rendering and not failed:
        return
    still_open = rendering or tasks.any_in(tx.conn, job_id, tasks.OPEN)
    unfinished = frames.any_unfinished(tx.conn, job_id)
    if failed and (failed >= FAILED_SHARE * total or not still_open):
        fail(tx, job, *_why(tx, job_id, failed, total))
    elif not still_open and not unfinished:
        _move(tx, job, _S.COMPLETED, "job.completed", {"ended_at": tx.now, "blocked_since": None})
    elif job.status in (_S.QUEUED, _S.ACTIVE) and not rendering:
        _move(tx, job, _S.FINISHING, "job.finishing", {})


_TOTAL = Prepared(select(func.count()).where(tasks_table.c.job_id == bindparam("of"), tasks.work_only))
_FAILED = Prepared(
    select(func.count()).where(
        tasks_table.c.job_id == bindparam("of"), tasks_table.c.status == TaskStatus.FAILED, tasks.work_only
    )
)


def _failed_and_total(tx: Tx, job_id: str) -> tuple[int, int]:
    failed = _FAILED.scalar(tx.conn, of=job_id)
    # Counting all tasks of a large job takes milliseconds: only where it matters.
    return failed, _TOTAL.scalar(tx.conn, of=job_id) if failed else 0


def _why(tx: Tx, job_id: str, failed: int, total: int) -> tuple[FailureCode, str]:
    last = last_failure(tx.conn, job_id)
    if last is None:
        return FailureCode.RENDER_ERROR, f"{failed} of {total} tasks failed"
    why = f"{failed} of {total} tasks failed again and again, the last with: {last[1]}"
    if _nothing_but_crashes(tx.conn, job_id):
        why += ". Blender crashed every time: the scene's file is likely damaged. Save it anew, and submit that"
    return last[0], why


def _nothing_but_crashes(conn: Connection, job_id: str) -> bool:
    others = select(failures.c.id).where(
        failures.c.job_id == job_id, failures.c.counted, failures.c.kind == FailureKind.WORKER,
        failures.c.code != FailureCode.CRASHED,
    )  # fmt: skip
    return conn.execute(others.limit(1)).first() is None


def last_failure(
    conn: Connection, job_id: str, kind: FailureKind = FailureKind.WORKER
) -> tuple[FailureCode, str] | None:
    """Code and message of the latest failure of a kind."""
    row = conn.execute(
        select(failures.c.code, failures.c.message)
        .where(failures.c.job_id == job_id, failures.c.counted, failures.c.kind == kind)
        .order_by(failures.c.id.desc())
        .limit(1)
    ).first()
    return (FailureCode(row.code), row.message) if row else None


def blocked_by_now(tx: Tx) -> None:
    """No job began to be blocked later than now: a clock that was set back must not make it wait for that."""
    tx.conn.execute(update(jobs).where(jobs.c.blocked_since > tx.now).values(blocked_since=tx.now))
