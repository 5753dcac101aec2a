"""What is told about jobs, frames and workers, put together from the tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, func, literal_column, select

from ..protocol.frames import frame_file_name
from ..protocol.jobs import FrameFile, FrameView, JobLog, JobSpec, JobView, Reason, RunningTask, TileView
from ..protocol.leases import Progress
from ..protocol.regions import Region
from ..protocol.results import Output
from ..protocol.states import FailureCode, FrameStatus, JobStatus, LeaseStatus, TaskKind, TaskStatus, WorkerStatus
from ..protocol.workers import WorkerView
from . import checks, jobs, standings, tasks, workers
from . import results as results_room
from .frames import FINISHED
from .prepared import Prepared
from .progress import ProgressBoard
from .store import entry_of
from .tables import AnyRow, events, frames, leases
from .tables import jobs as jobs_table
from .tables import results as results_table
from .tables import tasks as tasks_table
from .tables import workers as workers_table
from .trust import NEW
from .waiting import why_waiting

MAX_JOBS = 500
"""Jobs in a list, the newest first."""

MAX_ENTRIES = 1000
"""Log entries in one answer."""

RECENT = 100
"""Results that an estimate of the time left rests on."""


def job_view(conn: Connection, job_id: str, board: ProgressBoard, now: datetime) -> JobView:
    return _view(conn, jobs.load(conn, job_id), board, now)


def job_views(
    conn: Connection, board: ProgressBoard, now: datetime, account: str | None = None, most: int = MAX_JOBS
) -> tuple[JobView, ...]:
    """The newest ``most`` jobs, of all or of one account, without what blobs they wait for: each may lack thousands."""
    query = select(jobs_table).order_by(jobs_table.c.created_at.desc(), jobs_table.c.id).limit(most)
    if account is not None:
        query = query.where(jobs_table.c.account == account)
    return tuple(_view(conn, row, board, now, missing=False) for row in conn.execute(query).all())


def _view(conn: Connection, job: AnyRow, board: ProgressBoard, now: datetime, *, missing: bool = True) -> JobView:
    spec = jobs.spec_of(job)
    status = JobStatus(job.status)
    counts = tasks.counts(conn, job.id)
    running, fractions = _running(conn, job.id, board) if counts.get(TaskStatus.LEASED) else ((), 0.0)
    tiles = len(tasks.regions(spec, job.cuts))
    total = _planned(spec, tiles)
    done = counts.get(TaskStatus.ACCEPTED, 0)
    left = total - done - fractions
    return JobView(
        id=job.id,
        name=job.name,
        status=status,
        priority=job.priority,
        created_at=job.created_at,
        ended_at=job.ended_at,
        frames=spec.frames,
        tiles=spec.tiles,
        tile_count=tiles,
        width=spec.scene.width,
        height=spec.scene.height,
        frame_name=spec.frame_name,
        series=spec.scene.series,
        saved_by=spec.scene.saved_by,
        playback=spec.playback,
        notes=spec.notes,
        missing_blobs=jobs.missing_blobs(conn, job.id) if missing and status is JobStatus.UPLOADING else (),
        tasks=counts,
        frames_done=_frames_done(conn, job.id),
        progress=1.0 if status is JobStatus.COMPLETED else min(1.0, (done + fractions) / total),
        seconds_left=None if status.ended else _seconds_left(conn, job.id, left, running),
        waiting=why_waiting(conn, job, counts, now),
        checks=checks.counts(conn, job.id),
        reason=Reason(code=FailureCode(job.reason_code), message=job.reason_message) if job.reason_code else None,
        running=running,
    )


def _planned(spec: JobSpec, tiles: int) -> int:
    """All tasks that the job will have had in the end."""
    return len(spec.frames) * (tiles + tasks.is_tiled(spec))


_FRAMES_DONE = Prepared(select(func.count()).where(frames.c.job_id == bindparam("of"), frames.c.state.in_(FINISHED)))


def _frames_done(conn: Connection, job_id: str) -> int:
    return int(_FRAMES_DONE.scalar(conn, of=job_id))


def _running(conn: Connection, job_id: str, board: ProgressBoard) -> tuple[tuple[RunningTask, ...], float]:
    rows = conn.execute(
        select(leases.c.id, leases.c.task_id, leases.c.worker_id, tasks_table.c.kind, tasks_table.c.frame)
        .add_columns(workers_table.c.name)
        .join(tasks_table, tasks_table.c.id == leases.c.task_id)
        .join(workers_table, workers_table.c.id == leases.c.worker_id)
        .where(leases.c.job_id == job_id, leases.c.status == LeaseStatus.HELD)
        .order_by(tasks_table.c.rank, tasks_table.c.ordinal)
    ).all()
    running = []
    fractions = 0.0
    for row in rows:
        progress = board.get(row.id) or Progress()
        if progress.sample is not None and progress.samples:
            fractions += min(1.0, progress.sample / progress.samples)
        running.append(
            RunningTask(
                task_id=row.task_id,
                kind=TaskKind(row.kind),
                frame=row.frame,
                worker_id=row.worker_id,
                worker_name=row.name,
                sample=progress.sample,
                samples=progress.samples,
                seconds_left=progress.seconds_left,
            )
        )
    return tuple(running), fractions


def _seconds_left(conn: Connection, job_id: str, left: float, running: Sequence[RunningTask]) -> float | None:
    """From the mean time of the latest results and the workers at it; None while either is unknown."""
    if not running:
        return None
    mean = tasks.mean_seconds(conn, job_id, RECENT)
    if mean is None:
        return None
    return float(max(0.0, left) * mean / len({task.worker_id for task in running}))


def frame_views(conn: Connection, job_id: str, only: int | None = None) -> tuple[FrameView, ...]:
    """A job's frames, or one of them; none before it is queued."""
    spec = jobs.spec_of(jobs.load(conn, job_id))
    chosen = frames.c.job_id == job_id
    of_frame: ColumnElement[bool] = tasks_table.c.job_id == job_id
    if only is not None:
        chosen &= frames.c.frame == only
        of_frame &= tasks_table.c.frame == only
    statuses: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for frame, kind, status in conn.execute(
        select(tasks_table.c.frame, tasks_table.c.kind, tasks_table.c.status).where(of_frame).distinct()
    ):
        statuses[frame].add((kind, status))
    found = {row.frame: row for row in conn.execute(select(frames).where(chosen))}
    extras = results_room.files_of_frames(conn, chosen)
    wanted = spec.frames if only is None else [frame for frame in spec.frames if frame == only]
    return tuple(_frame_view(spec, frame, found.get(frame), statuses[frame], extras.get(frame, ())) for frame in wanted)


def _frame_view(
    spec: JobSpec, frame: int, row: AnyRow | None, pairs: Iterable[tuple[str, str]], extras: Sequence[FrameFile]
) -> FrameView:
    if row is None or row.output is None:
        return FrameView(frame=frame, status=_frame_status(set(pairs)))
    file = FrameFile(name=frame_file_name(spec.frame_name, frame), output=Output.model_validate_json(row.output))
    return FrameView(frame=frame, status=FrameStatus.DONE, files=(file, *extras))


def _frame_status(pairs: set[tuple[str, str]]) -> FrameStatus:
    statuses = {status for _, status in pairs}
    if TaskStatus.FAILED in statuses:
        return FrameStatus.FAILED
    rendering = {status for kind, status in pairs if kind == TaskKind.RENDER}
    if rendering == {TaskStatus.ACCEPTED}:
        return FrameStatus.FINISHING
    if rendering & {TaskStatus.LEASED, TaskStatus.SUBMITTED, TaskStatus.ACCEPTED}:
        return FrameStatus.RENDERING
    return FrameStatus.WAITING


_TILES = Prepared(
    select(tasks_table.c.x0, tasks_table.c.y0, tasks_table.c.x1, tasks_table.c.y1, results_table.c.output)
    .join(results_table, results_table.c.id == tasks_table.c.result_id)
    .where(
        tasks_table.c.job_id == bindparam("of"),
        tasks_table.c.frame == bindparam("frame"),
        tasks_table.c.kind == literal_column(f"'{TaskKind.RENDER}'"),
        tasks_table.c.status == literal_column(f"'{TaskStatus.ACCEPTED}'"),
    )
    .order_by(tasks_table.c.ordinal)
)


def tile_views(conn: Connection, job_id: str, frame: int) -> tuple[TileView, ...]:
    """The accepted tiles of a frame that is not finished; of a finished one they are deleted."""
    finished = select(frames.c.frame).where(
        frames.c.job_id == job_id, frames.c.frame == frame, frames.c.state.in_(FINISHED)
    )
    if not tasks.is_tiled(jobs.spec_of(jobs.load(conn, job_id))) or conn.execute(finished).first():
        return ()
    return tuple(
        TileView(
            region=Region(x0=row.x0, y0=row.y0, x1=row.x1, y1=row.y1), output=Output.model_validate_json(row.output)
        )
        for row in _TILES.all(conn, of=job_id, frame=frame)
    )


def job_log(conn: Connection, job_id: str, after: int) -> JobLog:
    """A job's history after the entry ``after``, at most MAX_ENTRIES of it."""
    jobs.load(conn, job_id)
    rows = conn.execute(
        select(events).where(events.c.job_id == job_id, events.c.id > after).order_by(events.c.id).limit(MAX_ENTRIES)
    )
    return JobLog(entries=tuple(map(entry_of, rows)))


def worker_views(conn: Connection, worker_id: str | None = None) -> tuple[WorkerView, ...]:
    """All workers, or one."""
    query = select(workers_table).order_by(workers_table.c.name, workers_table.c.id)
    if worker_id is not None:
        query = query.where(workers_table.c.id == worker_id)
    holders = (
        select(leases.c.worker_id, func.count()).where(leases.c.status == LeaseStatus.HELD).group_by(leases.c.worker_id)
    )
    held = {row[0]: row[1] for row in conn.execute(holders)}
    known = standings.standings(conn)
    return tuple(
        WorkerView(
            id=row.id,
            name=row.name,
            status=WorkerStatus(row.status),
            capabilities=workers.capabilities(row.capabilities),
            last_seen=row.last_seen,
            tasks_accepted=row.tasks_accepted,
            tasks_failed=row.tasks_failed,
            held_tasks=held.get(row.id, 0),
            owner=workers.owner_of(row)[:12],
            standing=known.get(row.id) or standings.standing(NEW),
            pause_requested=row.pause_requested,
        )
        for row in conn.execute(query)
    )
