"""What is odd about a finished frame: level 3, and the rest of level 0. It proves nothing, and has others look."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, and_, bindparam, exists, func, not_, or_, select

from ..imaging.expected import out_of_line, unexpected
from ..protocol.jobs import JobSpec
from ..protocol.results import Output
from ..protocol.states import TaskKind
from . import expectations, jobs, tasks
from .prepared import Prepared
from .results import ResultStatus
from .tables import AnyRow, checks, frames, job_blobs, results

PREVIEW, NEIGHBOURS, TWIN = "not as expected", "unlike its neighbours", "seen before"
"""What reasons begin with; by that it is known how often they came to nothing."""

FALSE_ALARMS = 5
"""Suspicions of a kind that may come to nothing in a job before that kind is believed no more, until one does not."""


def suspicion(conn: Connection, task: AnyRow, result: AnyRow, output: Output) -> str | None:
    """Why others should look at a result whose files are good, in a sentence; None if nothing is odd about it."""
    if task.kind in tasks.CHECKS or task.linear:
        return None
    spec = jobs.spec_by_id(conn, task.job_id)
    looks: tuple[tuple[str, Callable[[], str | None]], ...] = (
        (PREVIEW, lambda: _unlike_preview(conn, task, output)),
        (NEIGHBOURS, lambda: _unlike_neighbours(conn, spec, task, output)),
        (TWIN, lambda: _seen_before(conn, result, output)),
    )
    for kind, look in looks:
        found = look()
        if found is not None and _believed(conn, task.job_id, kind):
            return f"{kind}: {found}"
    return None


def _unlike_preview(conn: Connection, task: AnyRow, output: Output) -> str | None:
    expected = expectations.of_frame(conn, task.job_id, task.frame)
    if expected is None or output.grid is None:
        return None
    return unexpected(output.phash, output.grid, output.blank, expected)


def _unlike_neighbours(conn: Connection, spec: JobSpec, task: AnyRow, output: Output) -> str | None:
    at = task.ordinal  # of a whole frame or its finish: its place among the frames
    if output.grid is None or not 0 < at < len(spec.frames) - 1:
        return None
    # The one after it first: it is rarely there.
    after = _grid(conn, task.job_id, spec.frames[at + 1])
    before = None if after is None else _grid(conn, task.job_id, spec.frames[at - 1])
    return None if before is None or after is None else out_of_line(before, output.grid, after)


_OUTPUT = Prepared(
    select(frames.c.output).where(frames.c.job_id == bindparam("of"), frames.c.frame == bindparam("number"))
)


def _grid(conn: Connection, job_id: str, frame: int) -> str | None:
    text = _OUTPUT.scalar(conn, of=job_id, number=frame)
    return None if text is None else Output.model_validate_json(text).grid


def _twins() -> Prepared:
    theirs, ours = job_blobs.alias(), job_blobs.alias()
    submitted_again = and_(
        results.c.frame == bindparam("frame"),
        exists().where(
            theirs.c.job_id == results.c.job_id, ours.c.job_id == bindparam("job"), theirs.c.sha256 == ours.c.sha256
        ),
    )
    elsewhere = or_(
        and_(results.c.job_id != bindparam("job"), not_(submitted_again)), results.c.frame != bindparam("frame")
    )
    return Prepared(
        select(results.c.job_id, results.c.frame, results.c.worker_id)
        .where(
            results.c.pixel_digest == bindparam("digest"),
            results.c.status == ResultStatus.ACCEPTED,
            results.c.subject_id.is_(None),
            elsewhere,
        )
        .limit(1)
    )


_TWINS = _twins()


def _twin_of(conn: Connection, result: AnyRow, output: Output) -> AnyRow | None:
    """An accepted result with the same pixels in another job or frame: a copy, or a static shot. Suspicion, not guilt.

    The same frame of another job that brought the same files is a shot submitted again: it has to have these pixels.
    """
    return _TWINS.first(conn, digest=output.pixel_digest, job=result.job_id, frame=result.frame)


def _seen_before(conn: Connection, result: AnyRow, output: Output) -> str | None:
    twin = _twin_of(conn, result, output)
    return None if twin is None else f"frame {twin.frame} of job {twin.job_id} has the same pixels"


def _believed(conn: Connection, job_id: str, kind: str) -> bool:
    """Whether suspicions of a kind have come to something in a job, or not often come to nothing."""
    rows = conn.execute(
        select(checks.c.verdict, func.count())
        .where(checks.c.job_id == job_id, checks.c.kind == TaskKind.REPLICA, checks.c.reason.startswith(kind))
        .group_by(checks.c.verdict)
    )
    found: dict[str | None, int] = {row[0]: row[1] for row in rows}
    return found.get("match", 0) < FALSE_ALARMS or found.get("mismatch", 0) > 0
