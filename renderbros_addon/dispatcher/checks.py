"""The checks' state machine, and the tasks that make them: ``open -> decided | dropped``.

A check is about one result, its *subject*, all or a part of which another owner's worker renders again. Several may be
about the same subject, and further ones, disputes, where those disagree with it. What follows from them is for
``verification.py`` to say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, func, insert, or_, select, update

from ..protocol.checks import CheckStatus, CheckView
from ..protocol.regions import Region
from ..protocol.states import TaskKind
from ..protocol.verdicts import Comparison, Verdict
from . import tasks
from .errors import LostRace
from .prepared import Prepared
from .store import Tx
from .tables import AnyRow, checks, results
from .tables import workers as workers_table

_S = CheckStatus

MAX_VIEWS = 500
"""Checks in one answer, the newest first."""


EQUAL = (checks.c.status == _S.DECIDED) & (checks.c.verdict == "match") & checks.c.exact
"""The condition that two owners have made the same pixels to the last bit."""


@dataclass(frozen=True)
class Opinion:
    """What a check found."""

    verdict: Verdict
    sentence: str
    exact: bool
    """Both results came from one class, so every bit had to be equal."""
    comparison: Comparison | None = None
    others: Mapping[int, Verdict] | None = None
    """Of a dispute: the verdicts on the results of the checks before it that differ from the subject, by their ids."""


def create(
    tx: Tx,
    subject: AnyRow,
    task: AnyRow,
    region: Region,
    barred: Sequence[str],
    *,
    reason: str,
    wanted_class: str | None,
    wanted_worker: str | None,
    dispute: bool = False,
) -> int:
    """Have ``region`` of what ``task`` asks for rendered again, by none of the ``barred`` owners' workers.

    ``subject`` is the result of ``task`` that is checked; ``wanted_class`` the only class of workers to ask, None for
    any, and ``wanted_worker`` the one that was drawn. Returns the check's id. The job is locked by the caller.
    """
    whole = region == tasks.region_of(task)
    kind = TaskKind.REPLICA if whole else TaskKind.CHECK
    number = tx.conn.execute(select(func.count()).where(checks.c.job_id == task.job_id)).scalar_one()
    task_id = tasks.create_check(tx, task, subject.id, kind, region, number, barred, wanted_class, wanted_worker)
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


_OF_TASK = Prepared(select(checks).where(checks.c.task_id == bindparam("of")))
_OF_SUBJECT = Prepared(select(checks).where(checks.c.subject_id == bindparam("of")).order_by(checks.c.id))


def of_task(conn: Connection, task_id: str) -> AnyRow | None:
    """The check that a task makes; None for a task that makes none."""
    return _OF_TASK.first(conn, of=task_id)


def of_subject(conn: Connection, subject_id: int) -> Sequence[AnyRow]:
    return _OF_SUBJECT.all(conn, of=subject_id)


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


def decide(tx: Tx, check: AnyRow, result: AnyRow, found: Opinion) -> None:
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
    _tell(tx, "check.decided", check, checker=result.worker_id, verdict=found.verdict, found=found.sentence)


def drop(tx: Tx, check: AnyRow, why: str) -> None:
    """Nobody makes this check. Its task, if it is still open, ends; whoever is at it is told to stop by the caller."""
    _move(tx, check, _S.DROPPED, sentence=why)
    _tell(tx, "check.dropped", check, because=why)


def _tell(tx: Tx, event: str, check: AnyRow, **detail: object) -> None:
    tx.emit(
        event,
        job_id=check.job_id,
        task_id=check.task_id,
        worker_id=check.worker_id,
        frame=check.frame,
        check=check.id,
        subject=check.subject_id,
        **detail,
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


def was_matched(conn: Connection, subject_id: int) -> bool:
    """Has another owner's render of a result, or of a part of it, had equal pixels?"""
    query = select(checks.c.id).where(checks.c.subject_id == subject_id, EQUAL)
    return conn.execute(query.limit(1)).first() is not None


def last_passed(conn: Connection, worker_id: str, number: int) -> int:
    """Id of the worker's ``number``-th last result that a check found right; 0 if there are not so many."""
    query = (
        select(checks.c.subject_id)
        .join(results, results.c.id == checks.c.subject_id)
        .where(checks.c.worker_id == worker_id, checks.c.verdict == "match", results.c.status == "accepted")
        .distinct()
        .order_by(checks.c.subject_id.desc())
        .offset(number - 1)
        .limit(1)
    )
    return conn.execute(query).scalar() or 0


def proven(subject_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Has another owner's render of all of a result been like it?"""
    whole = checks.c.kind == TaskKind.REPLICA
    return exists().where(checks.c.subject_id == subject_id, whole, checks.c.verdict == "match")


def unfinished(conn: Connection) -> list[int]:
    """Subjects about which something may have to be done: they wait for a verdict, or a checker's file is left."""
    waiting = select(results.c.id).where(results.c.status == "checking")
    left = select(checks.c.subject_id).where(checks.c.kept)
    found = {*conn.execute(waiting.limit(10_000)).scalars(), *conn.execute(left.distinct().limit(10_000)).scalars()}
    return sorted(found)


def needs_blob(sha256: str) -> ColumnElement[bool]:
    """Is a blob a result that waits for a verdict, or one that it is compared with?"""
    subject = results.alias()
    waits = and_(results.c.sha256 == sha256, results.c.status == "checking")
    compared = and_(
        results.c.sha256 == sha256,
        results.c.status.in_(("pending", "accepted")),
        exists().where(
            checks.c.task_id == results.c.task_id,
            subject.c.id == checks.c.subject_id,
            subject.c.status == "checking",
        ),
    )
    return exists(select(results.c.id).where(or_(waits, compared)))


_COUNTS = Prepared(
    select(checks.c.status, checks.c.verdict, func.count().label("number"))
    .where(checks.c.job_id == bindparam("of"), checks.c.status != _S.DROPPED)
    .group_by(checks.c.status, checks.c.verdict)
)


def counts(conn: Connection, job_id: str) -> dict[str, int]:
    """How many of a job's checks came to which verdict; ``open`` are being made. Dropped ones don't count."""
    rows = _COUNTS.all(conn, of=job_id)
    return {(verdict if status == _S.DECIDED else "open"): number for status, verdict, number in rows}


def views(
    conn: Connection, *, job_id: str | None = None, worker_id: str | None = None, most: int = MAX_VIEWS
) -> tuple[CheckView, ...]:
    """The latest checks of a job, or of a worker's results, the newest first, at most ``most``."""
    checker = workers_table.alias()
    query = (
        select(checks, workers_table.c.name.label("worker_name"), checker.c.name.label("checker_name"))
        .join(workers_table, workers_table.c.id == checks.c.worker_id)
        .outerjoin(checker, checker.c.id == checks.c.checker_id)
        .order_by(checks.c.id.desc())
        .limit(most)
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
