"""What frames are expected to look like, by their submitter's previews."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, insert, select

from ..protocol.expectations import ExpectedFrame
from .prepared import Prepared
from .tables import expectations

_OF_FRAME = Prepared(
    select(expectations.c.content).where(
        expectations.c.job_id == bindparam("of"), expectations.c.frame == bindparam("number")
    )
)


def add(conn: Connection, job_id: str, expected: Sequence[ExpectedFrame]) -> int:
    """Keep what is expected of frames of which nothing was; the number of those."""
    there = set(conn.execute(select(expectations.c.frame).where(expectations.c.job_id == job_id)).scalars())
    new = [one for one in expected if one.frame not in there]
    if new:
        conn.execute(
            insert(expectations),
            [{"job_id": job_id, "frame": one.frame, "content": one.model_dump_json()} for one in new],
        )
    return len(new)


def of_frame(conn: Connection, job_id: str, frame: int) -> ExpectedFrame | None:
    text = _OF_FRAME.scalar(conn, of=job_id, number=frame)
    return None if text is None else ExpectedFrame.model_validate_json(text)
