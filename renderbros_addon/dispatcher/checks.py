"""The checks' state machine, and the tasks that make them: ``open -> decided | dropped``.

A check is about one result, its *subject*, all or a part of which another owner's worker renders again. Several may be
about the same subject, and one more, a dispute, about two that disagree. What follows from them is for
``verification.py`` to say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, insert, or_, select, update

from ..protocol.checks import CheckStatus, CheckView
from ..protocol.regions import Region
from ..protocol.states import TaskKind, TaskStatus
from ..protocol.verdicts import Comparison, Verdict
from . import tasks
from .errors import LostRace
from .store import Tx
from .tables import AnyRow, checks, results
from .tables import tasks as tasks_table
from .tables import workers as workers_table

_S = CheckStatus

MAX_VIEWS = 500
"""Checks in one answer, the newest first."""


@dataclass(frozen=True)
class Opinion:
    """What a check found."""

    verdict: Verdict
    sentence: str
    exact: bool
    """Both results came from one class, so every bit had to be equal."""
    comparison: Comparison | None = None
    others: Mapping[int, Verdict] | None = None
    """Of a dispute: the verdicts on the results of the checks before it, by their ids."""


def create(
    tx: Tx,
    subject: AnyRow,
    task: AnyRow,
    region: Region,
    barred: Sequence[str],
    *,
    reason: str,
    wanted_class: str | None,
    dispute: bool = False,
) -> int:
    """Have ``region`` of what ``task`` asks for rendered again, by none of the ``barred`` owners' workers.

    ``subject`` is the result of ``task`` that is checked; ``wanted_class`` the only class of workers to ask, None for
    any. Returns the check's id. The job is locked by the caller.
    """
    whole = region == tasks.region_of(task)
    kind = TaskKind.REPLICA if whole else TaskKind.CHECK
    number = tx.conn.execute(select(func.count()).where(checks.c.job_id == task.job_id)).scalar_one()
    task_id = tasks.create_check(tx, task, subject.id, kind, region, number, barred, wanted_class)
    check_id = tx.conn.execute(
        insert(checks)
        .values(
            job_id=task.job_id,
            subject_id=subject.id,
            worker_id=subject.worker_id,
            task_id=task_id,
            kind=kind,
            dispute=dispute,
            frame=task.frame,
            x0=region.x0,
            y0=region.y0,
            x1=region.x1,
            y1=region.y1,
            reason=reason,
            status=_S.OPEN,
            created_at=tx.now,
            exact=False,
            sentence="",
            kept=False,
        )
        .returning(checks.c.id)
    ).scalar_one()
    tx.emit(
        "check.drawn",
        job_id=task.job_id,
        task_id=task.id,
        worker_id=subject.worker_id,
        frame=task.frame,
        check=check_id,
        region=str(region),
        dispute=dispute,
        reason=reason,
    )
    return int(check_id)


def load(conn: Connection, check_id: int) -> AnyRow:
    return conn.execute(select(checks).where(checks.c.id == check_id)).one()


def of_task(conn: Connection, task_id: str) -> AnyRow | None:
    """The check that a task makes; None for a task that makes none."""
    return conn.execute(select(checks).where(checks.c.task_id == task_id)).first()


def of_subject(conn: Connection, subject_id: int) -> Sequence[AnyRow]:
    return conn.execute(select(checks).where(checks.c.subject_id == subject_id).order_by(checks.c.id)).all()


def region_of(check: AnyRow) -> Region:
    return Region(x0=check.x0, y0=check.y0, x1=check.x1, y1=check.y1)


def _move(tx: Tx, check: AnyRow, new: CheckStatus, **values: Any) -> None:
    moved = tx.conn.execute(
        update(checks)
        .where(checks.c.id == check.id, checks.c.status == _S.OPEN)
        .values(status=new, decided_at=tx.now, **values)
    )
    if moved.rowcount != 1:
        raise LostRace(f"check {check.id} is no longer open")


def decide(
    tx: Tx,
    check: AnyRow,
    result: AnyRow,
    found: Opinion,
) -> None:
    """The checker's ``result`` has been compared with the subject. The event has the intake look at the subject."""
    comparison, others = found.comparison, found.others
    _move(
        tx,
        check,
        _S.DECIDED,
        checker_id=result.worker_id,
        verdict=found.verdict,
        sentence=found.sentence,
        exact=found.exact,
        comparison=None if comparison is None else comparison.model_dump_json(),
        others=None if others is None else json.dumps({str(key): value for key, value in others.items()}),
    )
    tx.emit(
        "check.decided",
        job_id=check.job_id,
        task_id=check.task_id,
        worker_id=check.worker_id,
        frame=check.frame,
        check=check.id,
        subject=check.subject_id,
        checker=result.worker_id,
        verdict=found.verdict,
        found=found.sentence,
    )


def drop(tx: Tx, check: AnyRow, why: str) -> None:
    """Nobody makes this check. Its task, if it is still open, ends; whoever is at it is told to stop by the caller."""
    _move(tx, check, _S.DROPPED, sentence=why)
    tx.emit(
        "check.dropped",
        job_id=check.job_id,
        task_id=check.task_id,
        worker_id=check.worker_id,
        frame=check.frame,
        check=check.id,
        subject=check.subject_id,
        because=why,
    )


def others_of(check: AnyRow) -> dict[int, Verdict]:
    """Of a dispute: the verdicts on the results of the checks before it, by their ids."""
    return {int(key): value for key, value in json.loads(check.others or "{}").items()}


def keep(tx: Tx, check_id: int, result_id: int) -> None:
    """A checker's result is there, whose file will have to be deleted, whatever becomes of the check."""
    tx.conn.execute(update(checks).where(checks.c.id == check_id).values(result_id=result_id, kept=True))


def tidied(tx: Tx, check_id: int) -> None:
    """The checker's file is deleted, or needed for something else."""
    tx.conn.execute(update(checks).where(checks.c.id == check_id).values(kept=False))


def has_matched(conn: Connection, job_id: str, *, parts: bool = False) -> bool:
    """Have two owners made equal pixels in this job? With ``parts``: of a part and the whole that it is of?"""
    query = select(checks.c.id).where(
        checks.c.job_id == job_id, checks.c.status == _S.DECIDED, checks.c.verdict == "match", checks.c.exact
    )
    if parts:
        query = query.where(checks.c.kind == TaskKind.CHECK)
    return conn.execute(query.limit(1)).first() is not None


def doubted_parts(conn: Connection, job_id: str, but: str) -> bool:
    """Has a part that somebody other than worker ``but`` rendered been unlike a whole that others confirmed?"""
    confirming = checks.alias()
    query = select(checks.c.id).where(
        checks.c.job_id == job_id,
        checks.c.kind == TaskKind.CHECK,
        checks.c.verdict == "mismatch",
        checks.c.checker_id != but,
        exists().where(
            confirming.c.subject_id == checks.c.subject_id, confirming.c.dispute, confirming.c.verdict == "match"
        ),
    )
    return conn.execute(query.limit(1)).first() is not None


def unfinished(conn: Connection) -> list[int]:
    """Subjects about which something may have to be done: they wait for a verdict, or a checker's file is left."""
    waiting = select(results.c.id).where(results.c.status == "checking")
    left = select(checks.c.subject_id).where(checks.c.kept)
    found = {*conn.execute(waiting.limit(10_000)).scalars(), *conn.execute(left.distinct().limit(10_000)).scalars()}
    return sorted(found)


def queued(conn: Connection) -> Sequence[AnyRow]:
    """Tasks of open checks that nobody is at, oldest first."""
    return conn.execute(
        select(tasks_table)
        .join(checks, checks.c.task_id == tasks_table.c.id)
        .where(checks.c.status == _S.OPEN, tasks_table.c.status == TaskStatus.QUEUED)
        .order_by(checks.c.id)
        .limit(1000)
    ).all()


def needs_blob(sha256: str) -> ColumnElement[bool]:
    """Is a blob a result that waits for a verdict, or one that it is compared with?"""
    subject = results.alias()
    waits = and_(results.c.sha256 == sha256, results.c.status == "checking")
    compared = and_(
        results.c.sha256 == sha256,
        exists().where(
            checks.c.task_id == results.c.task_id,
            subject.c.id == checks.c.subject_id,
            subject.c.status == "checking",
        ),
    )
    return exists(select(results.c.id).where(or_(waits, compared)))


def counts(conn: Connection, job_id: str) -> dict[str, int]:
    """How many of a job's checks came to which verdict; ``open`` are being made. Dropped ones don't count."""
    rows = conn.execute(
        select(checks.c.status, checks.c.verdict, func.count())
        .where(checks.c.job_id == job_id, checks.c.status != _S.DROPPED)
        .group_by(checks.c.status, checks.c.verdict)
    )
    return {(verdict if status == _S.DECIDED else "open"): number for status, verdict, number in rows}


def views(conn: Connection, *, job_id: str | None = None, worker_id: str | None = None) -> tuple[CheckView, ...]:
    """The latest checks of a job, or of a worker's results, the newest first."""
    checker = workers_table.alias()
    query = (
        select(checks, workers_table.c.name.label("worker_name"), checker.c.name.label("checker_name"))
        .join(workers_table, workers_table.c.id == checks.c.worker_id)
        .outerjoin(checker, checker.c.id == checks.c.checker_id)
        .order_by(checks.c.id.desc())
        .limit(MAX_VIEWS)
    )
    if job_id is not None:
        query = query.where(checks.c.job_id == job_id)
    if worker_id is not None:
        query = query.where(checks.c.worker_id == worker_id)
    return tuple(_view(row) for row in conn.execute(query))


def _view(row: AnyRow) -> CheckView:
    return CheckView(
        id=row.id,
        job_id=row.job_id,
        kind=TaskKind(row.kind),
        frame=row.frame,
        region=region_of(row),
        status=CheckStatus(row.status),
        dispute=row.dispute,
        reason=row.reason,
        worker_id=row.worker_id,
        worker_name=row.worker_name,
        checker_id=row.checker_id,
        checker_name=row.checker_name,
        verdict=row.verdict,
        sentence=row.sentence,
        comparison=None if row.comparison is None else Comparison.model_validate_json(row.comparison),
        created_at=row.created_at,
        decided_at=row.decided_at,
    )
