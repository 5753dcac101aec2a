"""A frame's way once its tasks are done, in steps that can each be taken again after a crash.

    waiting -> ready (all tiles are accepted) -> assembled (its finish task exists) -> done -> settled
    waiting -> settled  for a frame rendered whole: nothing is left over
    any -> waiting      when the worker of one of its results turns out to be a cheat

``done`` means that the final output is there, ``settled`` that what led to it is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, bindparam, insert, or_, select, true, update

from ..protocol.jobs import JobSpec
from ..protocol.results import Output
from ..protocol.states import TaskKind, TaskStatus
from . import checks, tasks
from .errors import LostRace, NotFound
from .prepared import Prepared, param
from .store import Tx
from .tables import AnyRow, frames, job_blobs, jobs, result_files, results
from .tables import tasks as tasks_table


class FrameState(StrEnum):
    WAITING = "waiting"
    READY = "ready"
    ASSEMBLED = "assembled"
    DONE = "done"
    SETTLED = "settled"


_S = FrameState

ALLOWED: Mapping[FrameState, frozenset[FrameState]] = {
    _S.WAITING: frozenset({_S.READY, _S.SETTLED}),
    _S.READY: frozenset({_S.ASSEMBLED, _S.WAITING}),
    _S.ASSEMBLED: frozenset({_S.DONE, _S.WAITING}),
    _S.DONE: frozenset({_S.SETTLED, _S.WAITING}),
    _S.SETTLED: frozenset({_S.WAITING}),
}

FINISHED = (_S.DONE, _S.SETTLED)

_OF_FRAME = (frames.c.job_id == bindparam("of")) & (frames.c.frame == bindparam("number"))
_LOAD = Prepared(select(frames).where(_OF_FRAME))
_OLD = frames.c.state == bindparam("old")
_MOVE = Prepared(update(frames).where(_OF_FRAME, _OLD).values(state=param(frames.c.state, "new")))
_MOVE_WITH_OUTPUT = Prepared(
    update(frames)
    .where(_OF_FRAME, _OLD)
    .values(
        state=param(frames.c.state, "new"),
        result_id=param(frames.c.result_id, "new_result"),
        output=param(frames.c.output, "new_output"),
        output_sha256=param(frames.c.output_sha256, "new_sha256"),
    )
)
# Asked by what it is, not by what it isn't: so the index leads to the first of them.
_UNFINISHED = Prepared(
    select(frames.c.frame)
    .where(frames.c.job_id == bindparam("of"), frames.c.state.in_([state for state in _S if state not in FINISHED]))
    .limit(1)
)


def create_all(tx: Tx, job_id: str, spec: JobSpec) -> None:
    """Insert the rows of a job's frames."""
    rows = [
        {"job_id": job_id, "frame": frame, "ordinal": i, "state": _S.WAITING, "attempts": 0}
        for i, frame in enumerate(spec.frames)
    ]
    for start in range(0, len(rows), 5000):
        tx.conn.execute(insert(frames), rows[start : start + 5000])


def load(conn: Connection, job_id: str, frame: int) -> AnyRow:
    row = _LOAD.first(conn, of=job_id, number=frame)
    if row is None:
        raise NotFound(f"job {job_id} has no frame {frame}", word="unknown_frame")
    return row


def any_unfinished(conn: Connection, job_id: str) -> bool:
    return _UNFINISHED.first(conn, of=job_id) is not None


def _move(tx: Tx, row: AnyRow, new: FrameState, event: str, output: Mapping[str, Any] = MappingProxyType({})) -> None:
    """``output`` are the columns of a finished picture, or nothing for those to stay as they are."""
    old = FrameState(row.state)
    if new not in ALLOWED[old]:
        raise ValueError(f"a frame never goes from {old} to {new}")
    change = _MOVE_WITH_OUTPUT if output else _MOVE
    if change.run(tx.conn, of=row.job_id, number=row.frame, old=old, new=new, **output) != 1:
        raise LostRace(f"frame {row.frame} of job {row.job_id} is no longer {old}")
    tx.emit(event, job_id=row.job_id, frame=row.frame)


def task_accepted(tx: Tx, spec: JobSpec, task: AnyRow, result_id: int, output: Output) -> None:
    """Move a frame on, now that ``task`` of it is accepted with that result. The job is locked by the caller."""
    row = load(tx.conn, task.job_id, task.frame)
    if task.kind == TaskKind.FINISH:
        _move(tx, row, _S.DONE, "frame.done", _final(result_id, output))
    elif not tasks.is_tiled(spec):
        _move(tx, row, _S.SETTLED, "frame.done", _final(result_id, output))
    elif not _tiles_open(tx.conn, task):
        _move(tx, row, _S.READY, "frame.ready")


def _tiles_open(conn: Connection, task: AnyRow) -> bool:
    query = select(tasks_table.c.id).where(
        tasks_table.c.job_id == task.job_id,
        tasks_table.c.frame == task.frame,
        tasks_table.c.kind == TaskKind.RENDER,
        tasks_table.c.status != TaskStatus.ACCEPTED,
    )
    return conn.execute(query.limit(1)).first() is not None


def _final(result_id: int, output: Output) -> dict[str, Any]:
    return {"new_result": result_id, "new_output": output.model_dump_json(), "new_sha256": output.sha256}


def tiles(conn: Connection, job_id: str, frame: int) -> Sequence[AnyRow]:
    """The accepted render tasks of a frame, each with ``sha256`` of its result."""
    return conn.execute(
        select(tasks_table, results.c.sha256)
        .join(results, results.c.id == tasks_table.c.result_id)
        .where(
            tasks_table.c.job_id == job_id,
            tasks_table.c.frame == frame,
            tasks_table.c.kind == TaskKind.RENDER,
            tasks_table.c.status == TaskStatus.ACCEPTED,
        )
        .order_by(tasks_table.c.ordinal)
    ).all()


def announce_assembled(tx: Tx, job_id: str, frame: int, sha256: str) -> str | None:
    """Note which blob is about to be stored; returns the one that an attempt before this had announced.

    A crash between storing and :func:`assembled` would otherwise leave a blob that no row knows of.
    :func:`.spare.protect` is the caller's to call.
    """
    row = load(tx.conn, job_id, frame)
    if row.state != _S.READY:
        raise LostRace(f"frame {frame} of job {job_id} is {row.state} by now")
    tx.conn.execute(update(frames).where(frames.c.job_id == job_id, frames.c.frame == frame).values(assembled=sha256))
    return row.assembled if row.assembled != sha256 else None


def assembled(tx: Tx, job: AnyRow, spec: JobSpec, frame: int, output: Output) -> bool:
    """The assembled frame is stored and gets its finish task.

    False if another dispatcher was faster or is about to store its own: then this blob is spare.
    """
    row = load(tx.conn, job.id, frame)
    if row.state != _S.READY or row.assembled != output.sha256:
        return bool(row.assembled == output.sha256)
    _move(tx, row, _S.ASSEMBLED, "frame.assembled")
    tasks.create_finish(tx, job.id, spec, frame, output.sha256)
    return True


def reopen(tx: Tx, row: AnyRow) -> None:
    """Parts of a frame, or all of it, are rendered again. What it was assembled to is still known, to be deleted."""
    if row.state != _S.WAITING:
        gone = {"new_result": None, "new_output": None, "new_sha256": None}
        _move(tx, row, _S.WAITING, "frame.reopened", gone)


def output_before(conn: Connection, task: AnyRow) -> str | None:
    """The digest of the picture of the frame before a task's, if that is finished."""
    mine = load(conn, task.job_id, task.frame)
    found: str | None = conn.execute(
        select(frames.c.output_sha256).where(frames.c.job_id == task.job_id, frames.c.ordinal == mine.ordinal - 1)
    ).scalar()
    return found


def attempt_failed(tx: Tx, job_id: str, frame: int) -> int:
    """Count a failed attempt at assembling; returns how many there have been."""
    row = load(tx.conn, job_id, frame)
    tx.conn.execute(
        update(frames).where(frames.c.job_id == job_id, frames.c.frame == frame).values(attempts=frames.c.attempts + 1)
    )
    return int(row.attempts) + 1


def unsettled(conn: Connection) -> Sequence[AnyRow]:
    """Frames with a step to be taken by the dispatcher itself: to be assembled in open jobs, or to be tidied up."""
    return conn.execute(
        select(frames.c.job_id, frames.c.frame, frames.c.state, jobs.c.status.label("job_status"))
        .join(jobs, jobs.c.id == frames.c.job_id)
        .where(frames.c.state.in_((_S.READY, _S.DONE)))
        .order_by(frames.c.job_id, frames.c.ordinal)
        .limit(10_000)
    ).all()


def spare_blobs(conn: Connection, job_id: str, frame: int) -> list[str]:
    """Digests that only led to a frame which is done, and that no other row needs."""
    row = load(conn, job_id, frame)
    if row.state != _S.DONE:
        return []
    candidates = {str(tile.sha256) for tile in tiles(conn, job_id, frame)}
    if row.assembled:
        candidates.add(row.assembled)
    return [sha256 for sha256 in sorted(candidates) if not is_needed(conn, sha256, but=(job_id, frame))]


def is_needed(conn: Connection, sha256: str, but: tuple[str, int] | None = None) -> bool:
    """Does any row still need this blob, other than as a tile or assembly of the frame ``but``?"""
    if conn.execute(select(job_blobs.c.job_id).where(job_blobs.c.sha256 == sha256).limit(1)).first():
        return True
    if conn.execute(select(frames.c.frame).where(frames.c.output_sha256 == sha256).limit(1)).first():
        return True
    in_files = (
        select(result_files.c.name)
        .join(results, results.c.id == result_files.c.result_id)
        .where(result_files.c.sha256 == sha256, results.c.status.in_(("pending", "checking", "accepted")))
    )
    if conn.execute(in_files.limit(1)).first():
        return True
    if conn.execute(select(checks.needs_blob(sha256))).scalar():
        return True
    not_that = or_(frames.c.job_id != but[0], frames.c.frame != but[1]) if but else true()
    in_assembly = select(frames.c.frame).where(frames.c.assembled == sha256, frames.c.state != _S.SETTLED)
    if conn.execute(in_assembly.where(not_that).limit(1)).first():
        return True
    in_result = (
        select(results.c.id)
        .join(frames, (frames.c.job_id == results.c.job_id) & (frames.c.frame == results.c.frame))
        .where(
            results.c.sha256 == sha256,
            or_(results.c.status == "pending", (results.c.status == "accepted") & results.c.subject_id.is_(None)),
            frames.c.state != _S.SETTLED,
        )
    )
    return conn.execute(in_result.where(not_that).limit(1)).first() is not None


def settle(tx: Tx, job_id: str, frame: int) -> None:
    """What led to a done frame is deleted."""
    row = load(tx.conn, job_id, frame)
    if row.state == _S.DONE:
        _move(tx, row, _S.SETTLED, "frame.settled")
