"""The task's state machine, and how a job's tasks come to be.

queued -> leased -> submitted -> accepted
leased, submitted -> queued, failed       queued -> failed
any -> cancelled                          failed, cancelled -> queued (retry)

An accepted task is cancelled, and queued again, when its worker turns out to be a cheat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Update, bindparam, delete, func, insert, select, true, update

from ..protocol.frames import frame_file_name
from ..protocol.jobs import JobSpec
from ..protocol.leases import Task
from ..protocol.regions import Region
from ..protocol.states import TaskKind, TaskStatus
from .errors import LostRace, NotFound
from .prepared import Prepared, param
from .store import Tx
from .tables import AnyRow, results, task_bars, tasks
from .tiling import parse_cuts

_S = TaskStatus

ALLOWED: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    _S.QUEUED: frozenset({_S.LEASED, _S.SUBMITTED, _S.CANCELLED, _S.FAILED}),
    _S.LEASED: frozenset({_S.SUBMITTED, _S.QUEUED, _S.CANCELLED, _S.FAILED}),
    _S.SUBMITTED: frozenset({_S.ACCEPTED, _S.QUEUED, _S.CANCELLED, _S.FAILED}),
    _S.ACCEPTED: frozenset({_S.CANCELLED}),
    _S.FAILED: frozenset({_S.QUEUED, _S.CANCELLED}),
    _S.CANCELLED: frozenset({_S.QUEUED}),
}
"""Queued to submitted is a late result: rendered under a lease that was over."""

work_only = tasks.c.subject_id.is_(None)
"""The condition that a task leads to a frame, rather than to knowledge about one."""

OPEN = (_S.QUEUED, _S.LEASED, _S.SUBMITTED)
"""What may still become a picture."""

CHECKS = (TaskKind.CHECK, TaskKind.REPLICA)
"""Tasks that become no part of a frame, but of what is known about one."""

FINISH_RANK, RENDER_RANK = 0, 1


def is_tiled(spec: JobSpec) -> bool:
    """Rendered as tiles that are put together, rather than straight to finished frames."""
    return spec.tiles is not None or spec.cost is not None


def regions(spec: JobSpec, cuts: str | None) -> tuple[Region, ...]:
    """What a frame of the job is cut into, in the order of rendering.

    ``cuts`` are the tiles that its row keeps; a job by cost has none before it is queued, and counts as one tile.
    """
    if cuts is not None:
        return parse_cuts(cuts)
    width, height = spec.scene.width, spec.scene.height
    return spec.tiles.in_blocks(width, height) if spec.tiles else (Region.full(width, height),)


def create_all(tx: Tx, job_id: str, spec: JobSpec, cuts: str | None) -> int:
    """Insert the render tasks of a job that has none yet; returns how many."""
    cut = regions(spec, cuts)
    rows = list(_render_rows(job_id, spec, cut))
    for start in range(0, len(rows), 5000):
        tx.conn.execute(insert(tasks), rows[start : start + 5000])
    return len(rows)


def _render_rows(job_id: str, spec: JobSpec, cut: Sequence[Region]) -> Iterator[dict[str, Any]]:
    ordinal = 0
    for frame in spec.frames:
        for region in cut:
            yield _row(job_id, ordinal, TaskKind.RENDER, frame, region, linear=is_tiled(spec))
            ordinal += 1


def create_finish(tx: Tx, job_id: str, spec: JobSpec, frame: int, assembled: str) -> str:
    """Insert the task that finishes an assembled frame; returns its id."""
    ordinal = spec.frames.index(frame)
    full = Region.full(spec.scene.width, spec.scene.height)
    row = _row(job_id, ordinal, TaskKind.FINISH, frame, full, linear=False) | {"assembled": assembled}
    known = tx.conn.execute(select(tasks).where(tasks.c.id == row["id"])).first()
    if known is None:
        tx.conn.execute(insert(tasks), [row])
        tx.emit("task.queued", job_id=job_id, task_id=row["id"], kind=TaskKind.FINISH, frame=frame)
    else:
        # Its tiles were recalled, and have been rendered again.
        move(tx, known, _S.CANCELLED, _S.QUEUED, "task.queued", values={"assembled": assembled, "not_before": None})
    return str(row["id"])


def create_check(
    tx: Tx,
    task: AnyRow,
    subject_id: int,
    kind: TaskKind,
    region: Region,
    number: int,
    barred: Sequence[str],
    wanted_class: str | None,
    wanted_worker: str | None,
) -> str:
    """Insert a task that renders ``region`` of ``task`` again, the ``number``-th of its job; returns its id."""
    row = _row(task.job_id, task.ordinal, kind, task.frame, region, linear=task.linear) | {
        "id": f"{task.job_id}-c{number}",
        "rank": FINISH_RANK,
        "assembled": task.assembled,
        "subject_id": subject_id,
        "wanted_class": wanted_class,
        "wanted_worker": wanted_worker,
    }
    tx.conn.execute(insert(tasks), [row])
    bar(tx, row["id"], barred)
    tx.emit("task.queued", job_id=task.job_id, task_id=row["id"], kind=kind, frame=task.frame)
    return str(row["id"])


def bar(tx: Tx, task_id: str, owners: Sequence[str]) -> None:
    """Keep a task from the workers of ``owners``, which may also be ids of single workers."""
    known = set(tx.conn.execute(select(task_bars.c.owner).where(task_bars.c.task_id == task_id)).scalars())
    new = sorted(set(owners) - known)
    if new:
        tx.conn.execute(insert(task_bars), [{"task_id": task_id, "owner": owner} for owner in new])


def barred(conn: Connection, task_id: str) -> set[str]:
    """Owners whose workers must not get a task, and ids of workers that must not."""
    return set(conn.execute(select(task_bars.c.owner).where(task_bars.c.task_id == task_id)).scalars())


def offer(tx: Tx, task_id: str, wanted_class: str | None, wanted_worker: str | None) -> None:
    """Change whom a task is for: a class of workers, or one worker; None for no matter which."""
    tx.conn.execute(
        update(tasks).where(tasks.c.id == task_id).values(wanted_class=wanted_class, wanted_worker=wanted_worker)
    )


def unbar(tx: Tx, task_id: str) -> None:
    """Let everybody have a task again."""
    tx.conn.execute(delete(task_bars).where(task_bars.c.task_id == task_id))


def _row(job_id: str, ordinal: int, kind: TaskKind, frame: int, region: Region, *, linear: bool) -> dict[str, Any]:
    finish = kind is TaskKind.FINISH
    return {
        # Made from what the task is, so that making it twice is refused by the primary key.
        "id": _id(job_id, ordinal, kind),
        "job_id": job_id,
        "kind": kind,
        "status": _S.QUEUED,
        "rank": FINISH_RANK if finish else RENDER_RANK,
        "ordinal": ordinal,
        "frame": frame,
        "x0": region.x0,
        "y0": region.y0,
        "x1": region.x1,
        "y1": region.y1,
        "linear": linear,
    }


def _id(job_id: str, ordinal: int, kind: TaskKind) -> str:
    return f"{job_id}-{'f' if kind is TaskKind.FINISH else ''}{ordinal}"


_LOAD = Prepared(select(tasks).where(tasks.c.id == bindparam("of")))


def load(conn: Connection, task_id: str) -> AnyRow:
    row = _LOAD.first(conn, of=task_id)
    if row is None:
        raise NotFound(f"there is no task {task_id}", word="unknown_task")
    return row


def region_of(row: AnyRow) -> Region:
    return Region(x0=row.x0, y0=row.y0, x1=row.x1, y1=row.y1)


def as_task(row: AnyRow, spec: JobSpec) -> Task:
    """The message that a worker gets. A check looks like the task that it is about: nobody shall work better for it."""
    kind = TaskKind(row.kind)
    if kind in CHECKS:
        kind = TaskKind.RENDER if row.assembled is None else TaskKind.FINISH
    return Task(
        id=row.id if row.subject_id is None else _id(row.job_id, row.ordinal, kind),
        job_id=row.job_id,
        kind=kind,
        frame=row.frame,
        region=region_of(row),
        linear=row.linear,
        extras=extras(row, spec),
        assembled=row.assembled,
    )


def extras(row: AnyRow, spec: JobSpec) -> tuple[str, ...]:
    """Names of the files beside its picture that a task may come to: a tile, or a part of a frame, has none."""
    has_some = not row.linear and row.kind != TaskKind.CHECK
    return tuple(frame_file_name(name, row.frame) for name in spec.extras) if has_some else ()


_moves: dict[tuple[str, ...], Prepared] = {}


def _moving(names: tuple[str, ...]) -> Prepared:
    """Changes a task's status, and the columns of those names."""
    found = _moves.get(names)
    if found is None:
        changed: Update = update(tasks).where(tasks.c.id == bindparam("of"), tasks.c.status == bindparam("old"))
        columns = {name: param(tasks.c[name], f"new_{name}") for name in ("status", *names)}
        found = _moves[names] = Prepared(changed.values(columns))
    return found


def move(
    tx: Tx,
    task: AnyRow,
    old: TaskStatus,
    new: TaskStatus,
    event: str,
    *,
    worker_id: str | None = None,
    values: Mapping[str, Any] | None = None,
    **detail: object,
) -> None:
    """Change one task's status; LostRace if it isn't ``old`` any more."""
    if new not in ALLOWED[old]:
        raise ValueError(f"a task never goes from {old} to {new}")
    given = values or {}
    told = {f"new_{name}": value for name, value in given.items()}
    if _moving(tuple(given)).run(tx.conn, of=task.id, old=old, new_status=new, **told) != 1:
        raise LostRace(f"task {task.id} is no longer {old}")
    tx.emit(event, job_id=task.job_id, task_id=task.id, worker_id=worker_id, frame=task.frame, **detail)


def shorten_pauses(tx: Tx, longest: float) -> None:
    """No task waits for longer than ``longest`` seconds from now: a clock that was set back must not make it."""
    latest = tx.now + timedelta(seconds=longest)
    tx.conn.execute(update(tasks).where(tasks.c.not_before > latest).values(not_before=latest))


def recall(tx: Tx, task: AnyRow, *, queue: bool) -> None:
    """An accepted task is to be done again: at once, or with ``queue`` False when its job is tried again."""
    values = {"result_id": None, "not_before": None}
    move(tx, task, _S.ACCEPTED, _S.CANCELLED, "task.recalled", values=values)
    if queue:
        move(tx, task, _S.CANCELLED, _S.QUEUED, "task.queued", because="recalled")


def move_all(tx: Tx, job_id: str, olds: Sequence[TaskStatus], new: TaskStatus) -> int:
    """Change all of a job's tasks in one of ``olds``; the job's own event tells of it. Returns how many."""
    for old in olds:
        if new not in ALLOWED[old]:
            raise ValueError(f"a task never goes from {old} to {new}")
    done = tx.conn.execute(
        update(tasks)
        .where(tasks.c.job_id == job_id, tasks.c.status.in_(olds), work_only if new is _S.QUEUED else true())
        .values(status=new, not_before=None, result_id=None)
    )
    return done.rowcount


_RECENT = (
    select(results.c.seconds)
    .where(results.c.job_id == bindparam("of"), results.c.status == "accepted", results.c.subject_id.is_(None))
    .order_by(results.c.id.desc())
    .limit(bindparam("latest", type_=tasks.c.ordinal.type))
    .subquery()
)
_MEAN = Prepared(select(func.avg(_RECENT.c.seconds)))
_COUNTS = Prepared(
    select(tasks.c.status, func.count().label("number"))
    .where(tasks.c.job_id == bindparam("of"), work_only)
    .group_by(tasks.c.status)
)


def mean_seconds(conn: Connection, job_id: str, latest: int) -> float | None:
    """Seconds that the ``latest`` accepted results of a job took in the mean; None if there is none."""
    mean = _MEAN.scalar(conn, of=job_id, latest=latest)
    return None if mean is None else float(mean)


def counts(conn: Connection, job_id: str) -> dict[TaskStatus, int]:
    """How many of a job's tasks are in which status, without checks; statuses without tasks are left out."""
    return {TaskStatus(status): number for status, number in _COUNTS.all(conn, of=job_id)}


_OPEN_OF_JOB = select(tasks.c.id).where(tasks.c.job_id == bindparam("of"), tasks.c.status.in_(OPEN)).limit(1)
_ANY_OPEN = Prepared(_OPEN_OF_JOB)
_ANY_OPEN_OF_KIND = Prepared(_OPEN_OF_JOB.where(tasks.c.kind == bindparam("kind")))


def any_in(conn: Connection, job_id: str, statuses: Sequence[TaskStatus], kind: TaskKind | None = None) -> bool:
    if tuple(statuses) == OPEN and kind is None:
        return _ANY_OPEN.first(conn, of=job_id) is not None
    if tuple(statuses) == OPEN:
        return _ANY_OPEN_OF_KIND.first(conn, of=job_id, kind=kind) is not None
    query = select(tasks.c.id).where(tasks.c.job_id == job_id, tasks.c.status.in_(statuses))
    if kind is not None:
        query = query.where(tasks.c.kind == kind)
    return conn.execute(query.limit(1)).first() is not None
