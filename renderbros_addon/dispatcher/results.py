"""Results: taken in at once, judged later, accepted or rejected in one transaction.

A result is ``pending`` until its image has been looked at; then ``accepted``, ``rejected``, or, if its task no longer
needed it, ``evidence``. One that is to be checked by others is ``checking`` in between, and one whose worker turns out
to be a cheat is ``recalled`` though it had been accepted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, insert, select, update

from ..protocol.checks import CheckStatus
from ..protocol.jobs import FrameFile
from ..protocol.leases import Acceptance
from ..protocol.results import Failure, Output, TaskResult
from ..protocol.states import FailureCode, FailureKind, JobStatus, LeaseStatus, TaskKind, TaskStatus
from . import failures, frames, jobs, leases, tasks, workers
from .errors import Conflict, LostRace, NotFound, Unprocessable
from .prepared import Prepared, param
from .store import Tx
from .tables import AnyRow, checks, result_files, results
from .tables import frames as frames_table
from .tables import tasks as tasks_table
from .tables import workers as workers_table


class ResultStatus(StrEnum):
    PENDING = "pending"
    CHECKING = "checking"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EVIDENCE = "evidence"
    RECALLED = "recalled"


_S = ResultStatus

ALLOWED: Mapping[ResultStatus, frozenset[ResultStatus]] = {
    _S.PENDING: frozenset({_S.CHECKING, _S.ACCEPTED, _S.REJECTED, _S.EVIDENCE}),
    _S.CHECKING: frozenset({_S.ACCEPTED, _S.REJECTED, _S.EVIDENCE}),
    _S.ACCEPTED: frozenset({_S.RECALLED}),
    _S.REJECTED: frozenset(),
    _S.EVIDENCE: frozenset(),
    _S.RECALLED: frozenset(),
}


UNDECIDED = (_S.PENDING, _S.CHECKING)

NO_FILES: Mapping[str, Output] = MappingProxyType({})

_OF_RESULT = results.c.id == bindparam("of")
_LOAD = Prepared(select(results).where(_OF_RESULT))
_OF_LEASE = Prepared(select(results).where(results.c.lease_id == bindparam("of")))
_FILES = Prepared(select(result_files).where(result_files.c.result_id == bindparam("of")).order_by(result_files.c.name))
_INSERT = Prepared(
    insert(results)
    .values({column.name: param(column) for column in results.c if column.name not in ("id", "problem")})
    .returning(results.c.id)
)
_OLD = results.c.status == bindparam("old")
_MOVE = Prepared(update(results).where(_OF_RESULT, _OLD).values(status=param(results.c.status, "new")))
_MOVE_WITH_FACTS = Prepared(
    update(results)
    .where(_OF_RESULT, _OLD)
    .values(
        status=param(results.c.status, "new"),
        output=param(results.c.output, "found"),
        pixel_digest=param(results.c.pixel_digest, "digest"),
    )
)
_COUNT_ACCEPTED = Prepared(
    update(workers_table)
    .where(workers_table.c.id == bindparam("of"))
    .values(tasks_accepted=workers_table.c.tasks_accepted + 1)
)


def receive(tx: Tx, lease_id: str, worker_id: str, result: TaskResult, *, missing: Collection[str] = ()) -> Acceptance:
    """Take a result in; if it is wanted, the event it leaves has the intake judge it.

    ``missing`` are the digests of those of its files that are not there. The same result again gets the same answer,
    even if its blobs have done their service and are gone. Conflict for another one under the same lease, and for a new
    one with a file missing; Unprocessable for a file that the task should not have come to.
    """
    lease = leases.load(tx.conn, lease_id)
    if lease is None or lease.worker_id != worker_id:
        raise NotFound(f"there is no lease {lease_id} of this worker", word="unknown_lease")
    job = jobs.lock(tx, lease.job_id)
    known = _OF_LEASE.first(tx.conn, of=lease_id)
    if known is not None:
        beside = {(row.name, row.sha256) for row in files_of(tx.conn, known.id)}
        given = {(extra.name, extra.output.sha256) for extra in result.extras}
        if known.sha256 != result.output.sha256 or beside != given:
            raise Conflict("another result was sent under this lease already")
        return Acceptance(wanted=known.wanted, late=known.late)
    if missing:
        raise Conflict(f"there is no blob {min(missing)}: upload it, then send the result again", word="missing_blob")
    task = tasks.load(tx.conn, lease.task_id)
    _check_names(result, tasks.extras(task, jobs.spec_of(job)))
    able = workers.load(tx.conn, worker_id).capabilities
    lease = leases.load(tx.conn, lease_id) or lease
    in_time = lease.status == LeaseStatus.HELD
    wanted = task.status in tasks.OPEN
    answer = Acceptance(wanted=wanted, late=not in_time)
    result_id = _INSERT.scalar(
        tx.conn,
        lease_id=lease_id,
        task_id=task.id,
        job_id=task.job_id,
        worker_id=worker_id,
        frame=task.frame,
        subject_id=task.subject_id,
        render_class=workers.render_class(job, able),
        status=_S.PENDING if wanted else _S.EVIDENCE,
        wanted=wanted,
        late=not in_time,
        sha256=result.output.sha256,
        pixel_digest=result.output.pixel_digest,
        output=result.output.model_dump_json(),
        stats=result.stats.model_dump_json(),
        seconds=result.stats.total_seconds,
        received_at=tx.now,
    )
    if result.extras:
        tx.conn.execute(
            insert(result_files),
            [
                {
                    "result_id": result_id,
                    "name": extra.name,
                    "sha256": extra.output.sha256,
                    "output": extra.output.model_dump_json(),
                }
                for extra in result.extras
            ],
        )
    if in_time:
        leases.end(tx, lease, LeaseStatus.RETURNED)
        tasks.move(
            tx,
            task,
            TaskStatus.LEASED,
            TaskStatus.SUBMITTED,
            "task.submitted",
            worker_id=worker_id,
            values={"result_id": result_id},
            lease_id=lease_id,
            result_id=result_id,
        )
    else:
        # Someone else may be at it by now. Their lease stands until this result has proved good.
        tx.emit(
            "result.late",
            job_id=task.job_id,
            task_id=task.id,
            worker_id=worker_id,
            lease_id=lease_id,
            result_id=result_id,
            wanted=wanted,
        )
    return answer


def _check_names(result: TaskResult, expected: Collection[str]) -> None:
    names = [extra.name for extra in result.extras]
    if unknown := set(names).difference(expected):
        raise Unprocessable(f"this task comes to no file {min(unknown)!r}", word="unknown_file")
    if len(set(names)) < len(names):
        raise Unprocessable("two files of one name", word="same_name")


def are_known(conn: Connection, lease_ids: Collection[str]) -> set[str]:
    """Those of the leases under which a result has come."""
    return {lease_id for lease_id in lease_ids if _OF_LEASE.first(conn, of=lease_id) is not None}


def files_of(conn: Connection, result_id: int) -> Sequence[AnyRow]:
    """The files beside a result's picture: ``name``, ``sha256`` and ``output``."""
    return _FILES.all(conn, of=result_id)


def files_of_frames(conn: Connection, chosen: ColumnElement[bool]) -> dict[int, list[FrameFile]]:
    """By frame, the files beside the pictures of finished frames that ``chosen``, a condition on them, picks."""
    rows = conn.execute(
        select(frames_table.c.frame, result_files.c.name, result_files.c.output)
        .join(result_files, result_files.c.result_id == frames_table.c.result_id)
        .where(chosen)
        .order_by(result_files.c.name)
    )
    found: dict[int, list[FrameFile]] = {}
    for frame, name, output in rows:
        found.setdefault(frame, []).append(FrameFile(name=name, output=Output.model_validate_json(output)))
    return found


def load(conn: Connection, result_id: int) -> AnyRow:
    return _LOAD.one(conn, of=result_id)


def pending(conn: Connection) -> list[int]:
    """Ids of the results that are still to be judged, oldest first."""
    rows = conn.execute(select(results.c.id).where(results.c.status == _S.PENDING).order_by(results.c.id).limit(10_000))
    return list(rows.scalars())


def _move(tx: Tx, result: AnyRow, new: ResultStatus, **values: Any) -> None:
    if new not in ALLOWED[ResultStatus(result.status)]:
        raise LostRace(f"result {result.id} is {result.status} already")
    if not values:
        moved = _MOVE.run(tx.conn, of=result.id, old=result.status, new=new)
    else:
        change = update(results).where(results.c.id == result.id, results.c.status == result.status)
        moved = tx.conn.execute(change.values(status=new, **values)).rowcount
    if moved != 1:
        raise LostRace(f"result {result.id} was judged by someone else")


def lock(tx: Tx, result_id: int) -> tuple[AnyRow, AnyRow]:
    """A result and its job, which is locked: until the commit neither is changed by others."""
    job = jobs.lock(tx, load(tx.conn, result_id).job_id)
    return load(tx.conn, result_id), job


def _open_for(
    tx: Tx, result_id: int, locked: tuple[AnyRow, AnyRow] | None = None
) -> tuple[AnyRow, AnyRow, AnyRow] | None:
    """The result, its task and its job (locked), or None if the result is judged already."""
    result, job = locked or lock(tx, result_id)
    if result.status not in UNDECIDED:
        return None
    return result, tasks.load(tx.conn, result.task_id), job


def _wanted(
    tx: Tx, result_id: int, locked: tuple[AnyRow, AnyRow] | None = None
) -> tuple[AnyRow, AnyRow, AnyRow] | None:
    """Like :func:`_open_for`; a result that nobody needs any more becomes evidence, and None is returned."""
    found = _open_for(tx, result_id, locked)
    if found is None:
        return None
    result, task, job = found
    others = task.status == TaskStatus.SUBMITTED and task.result_id not in (None, result.id)
    checked = others and load(tx.conn, task.result_id).status == _S.CHECKING
    # A checked one comes to a verdict first; one that was checked for a task that went on without it comes too late.
    late = checked or (others and result.status == _S.CHECKING)
    if JobStatus(job.status).ended or task.status not in tasks.OPEN or late:
        _move(tx, result, _S.EVIDENCE)
        return None
    return found


def _submit_late(tx: Tx, result: AnyRow, task: AnyRow) -> None:
    """Bring the task of a result that proved good into the state that a result in time finds it in."""
    if task.status == TaskStatus.LEASED:
        # A late result proved good: the other worker need not go on.
        lease = leases.held_of_task(tx.conn, task.id)
        if lease is None:
            raise LostRace(f"task {task.id} is leased without a lease")
        leases.end_all(tx, [lease], LeaseStatus.REVOKED, "a late result was good")
    if task.status != TaskStatus.SUBMITTED:
        old = TaskStatus(task.status)
        tasks.move(tx, task, old, TaskStatus.SUBMITTED, "task.submitted", worker_id=result.worker_id, late=True)


def _write_facts(tx: Tx, result: AnyRow, new: ResultStatus, output: Output, extras: Mapping[str, Output]) -> None:
    """Move a result on, with its files as this dispatcher found them."""
    if new not in ALLOWED[ResultStatus(result.status)]:
        raise LostRace(f"result {result.id} is {result.status} already")
    text = output.model_dump_json()
    moved = _MOVE_WITH_FACTS.run(
        tx.conn, of=result.id, old=result.status, new=new, found=text, digest=output.pixel_digest
    )
    if moved != 1:
        raise LostRace(f"result {result.id} was judged by someone else")
    for name, found_file in extras.items():
        tx.conn.execute(
            update(result_files)
            .where(result_files.c.result_id == result.id, result_files.c.name == name)
            .values(output=found_file.model_dump_json())
        )


def hold(tx: Tx, result_id: int, output: Output, extras: Mapping[str, Output] = NO_FILES) -> bool:
    """The files are good, but others are to check them before the result is accepted; False if nobody needs it."""
    found = _wanted(tx, result_id)
    if found is None:
        return False
    result, task, _ = found
    _submit_late(tx, result, task)
    tx.conn.execute(update(tasks_table).where(tasks_table.c.id == task.id).values(result_id=result.id))
    _write_facts(tx, result, _S.CHECKING, output, extras)
    return True


def accept(
    tx: Tx,
    result_id: int,
    output: Output | None = None,
    extras: Mapping[str, Output] = NO_FILES,
    locked: tuple[AnyRow, AnyRow] | None = None,
) -> ResultStatus:
    """``output`` and ``extras``, as found by looking at the files, are good: the task is done, unless it was already.

    For one that was held, both are known. ``locked`` is what :func:`lock` gave, if nothing was changed since. Returns
    what became of the result: another may have been accepted, or the job cancelled, while it was looked at.
    """
    found = _wanted(tx, result_id, locked)
    if found is None:
        return ResultStatus(load(tx.conn, result_id).status)
    result, task, job = found
    _submit_late(tx, result, task)
    tasks.move(
        tx,
        task,
        TaskStatus.SUBMITTED,
        TaskStatus.ACCEPTED,
        "task.accepted",
        worker_id=result.worker_id,
        values={"result_id": result.id},
        seconds=result.seconds,
    )
    if output is None:
        output = Output.model_validate_json(result.output)
        _move(tx, result, _S.ACCEPTED)
    else:
        _write_facts(tx, result, _S.ACCEPTED, output, extras)
    _COUNT_ACCEPTED.run(tx.conn, of=result.worker_id)
    if task.kind not in tasks.CHECKS:
        frames.task_accepted(tx, jobs.spec_of(job), task, result.id, output)
    jobs.settle(tx, job.id, job)
    return _S.ACCEPTED


def send_back(tx: Tx, result_id: int, problem: str, barred: Sequence[str] = ()) -> None:
    """A checked result is not to be used: its task goes to others, not to the workers of the owners ``barred``."""
    found = _open_for(tx, result_id)
    if found is None:
        return
    result, task, job = found
    if JobStatus(job.status).ended or task.result_id != result.id or task.status != TaskStatus.SUBMITTED:
        _move(tx, result, _S.EVIDENCE)
        return
    _move(tx, result, _S.REJECTED, problem=problem)
    tx.emit("result.rejected", job_id=task.job_id, task_id=task.id, worker_id=result.worker_id, problem=problem)
    tasks.bar(tx, task.id, barred)
    values = {"result_id": None, "not_before": None}
    tasks.move(tx, task, TaskStatus.SUBMITTED, TaskStatus.QUEUED, "task.queued", values=values, because="checked")


def recall(tx: Tx, result: AnyRow) -> None:
    """An accepted result counts no more. What becomes of its task and frame is the caller's business."""
    _move(tx, result, _S.RECALLED)


def number_sent_back(conn: Connection, job_id: str, worker_id: str) -> int:
    """How many results of a worker have been turned down in a job."""
    query = select(func.count()).where(
        results.c.job_id == job_id, results.c.worker_id == worker_id, results.c.status == _S.REJECTED
    )
    return conn.execute(query).scalar_one()


def times_sent_back(conn: Connection, task_id: str) -> int:
    """How many checked results of this task have been turned down. One whose file was no good doesn't count."""
    checked = exists().where(checks.c.subject_id == results.c.id, checks.c.status == CheckStatus.DECIDED)
    query = select(func.count()).where(results.c.task_id == task_id, results.c.status == _S.REJECTED, checked)
    return conn.execute(query).scalar_one()


def reject(tx: Tx, result_id: int, problem: str, *, blame: bool = True) -> None:
    """The result is no good: the task is to be rendered again. ``blame`` counts it against the worker."""
    found = _open_for(tx, result_id)
    if found is None:
        return
    result, task, job = found
    if JobStatus(job.status).ended:
        _move(tx, result, _S.EVIDENCE)
        return
    _move(tx, result, _S.REJECTED, problem=problem)
    tx.emit("result.rejected", job_id=task.job_id, task_id=task.id, worker_id=result.worker_id, problem=problem)
    if task.status == TaskStatus.SUBMITTED and task.result_id == result.id:
        kind = FailureKind.WORKER if blame else FailureKind.TRANSIENT
        code = FailureCode.BAD_OUTPUT if blame else FailureCode.NETWORK
        failure = Failure(kind=kind, code=code, message=problem[:4000])
        failures.settle(tx, task, TaskStatus.SUBMITTED, result.worker_id, result.lease_id, failure)


def tile_with_other_channels(conn: Connection, task: AnyRow, channels: Sequence[str]) -> AnyRow | None:
    """An accepted result for another tile of the same frame that has other channels: all tiles must have the same."""
    row = conn.execute(
        select(results)
        .join(tasks_table, tasks_table.c.result_id == results.c.id)
        .where(
            tasks_table.c.job_id == task.job_id,
            tasks_table.c.frame == task.frame,
            tasks_table.c.kind == TaskKind.RENDER,
            tasks_table.c.status == TaskStatus.ACCEPTED,
            tasks_table.c.id != task.id,
        )
        .limit(1)
    ).first()
    if row is None or sorted(Output.model_validate_json(row.output).channels) == sorted(channels):
        return None
    return row
