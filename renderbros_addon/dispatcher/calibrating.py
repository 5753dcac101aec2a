"""What honest renders by two classes may differ by: learnt from a job's own checks, used in its later ones."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from ..imaging.judge import calibrated
from ..protocol.verdicts import Comparison, Tolerance
from . import checks, results
from .store import Tx
from .tables import AnyRow, calibrations


def is_exact(one: AnyRow, other: AnyRow) -> bool:
    """Must two results of the same thing be equal to the last bit?"""
    return one.render_class is not None and one.render_class == other.render_class


def calibration_key(one: AnyRow, other: AnyRow) -> tuple[str, str] | None:
    """The classes of two results, in order; None if one has none, or both are of one."""
    classes = sorted({one.render_class, other.render_class} - {None})
    return (classes[0], classes[1]) if len(classes) == 2 else None


def tolerance(conn: Connection, one: AnyRow, other: AnyRow) -> Tolerance | None:
    """What honest renders of this job by these two classes were found to differ by, if that is known."""
    key = calibration_key(one, other)
    if key is None:
        return None
    text = conn.execute(
        select(calibrations.c.tolerance).where(
            calibrations.c.job_id == one.job_id,
            calibrations.c.one_class == key[0],
            calibrations.c.other_class == key[1],
        )
    ).scalar()
    return None if text is None else Tolerance.model_validate_json(text)


def learn(tx: Tx, subject: AnyRow, check: AnyRow, heard: Sequence[AnyRow]) -> None:
    """A result that was right and one of another class that differs from it show what is honest between the two."""
    theirs = results.load(tx.conn, check.result_id)
    key = calibration_key(subject, theirs)
    if key is None or check.exact or check.comparison is None or not _is_honest_pair(tx, check, heard):
        return
    found = Comparison.model_validate_json(check.comparison)
    tolerance = calibrated(found.passes[0], found.perceptual.whole)
    one, other = key
    mine = (calibrations.c.job_id == subject.job_id) & (calibrations.c.one_class == one)
    tx.conn.execute(delete(calibrations).where(mine, calibrations.c.other_class == other))
    tx.conn.execute(
        insert(calibrations).values(
            job_id=subject.job_id,
            one_class=one,
            other_class=other,
            tolerance=tolerance.model_dump_json(),
            at=tx.now,
        )
    )


def _is_honest_pair(tx: Tx, check: AnyRow, heard: Sequence[AnyRow]) -> bool:
    """Does a check that differs from a result found right show what is honest between two classes?

    Only if the result was confirmed within its class, and another owner's render within the check's class equals the
    check's: what one checker alone sent may be anything.
    """
    if not any(other.exact and other.verdict == "match" for other in heard):
        return False
    theirs = results.load(tx.conn, check.result_id)
    for other in heard:
        first, second = sorted((check, other), key=lambda one: int(one.id))
        alike = other.id != check.id and checks.others_of(second).get(first.id) == "match"
        if alike and is_exact(theirs, results.load(tx.conn, other.result_id)):
            return True
    return False
