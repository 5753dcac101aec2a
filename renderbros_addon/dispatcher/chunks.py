"""Runs of consecutive frames: which frames are set aside for which worker, so that its scene stays warm.

A worker leases its chunk frame by frame. When it is through, it opens the next one where nobody is at work, and when
there is none it takes the back half of what somebody else has left. A chunk is a preference, never a claim: which
worker has a task is said by its lease alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from math import ceil

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, not_, or_, select, update

from .store import Tx
from .tables import chunks
from .tables import tasks as tasks_table
from .tasks import RENDER_RANK, mean_seconds

CHUNK_SECONDS = 300.0
"""Rendering in one chunk whose size is automatic: frames come home nearly in order, also where there are thousands."""

FEWEST = 4
"""Frames in such a chunk, however long one takes, as long as there are enough for everybody."""

RECENT = 20
"""Results that a frame's time is taken from."""

MOST_SEEN = 10_000
"""Open frames that are looked at for a half to take."""


# Chunks are of what is to be rendered; the rank is named because the index has it before the ordinal.
_RENDER = tasks_table.c.rank == RENDER_RANK


def _between(start: int, stop: int) -> ColumnElement[bool]:
    return and_(_RENDER, tasks_table.c.ordinal >= start, tasks_table.c.ordinal < stop)


@dataclass(frozen=True)
class Chunk:
    """A worker's chunk, by ordinals of its frames: from ``start`` up to ``stop``, of which ``at`` comes next."""

    worker_id: str
    start: int
    at: int
    stop: int

    @property
    def whole(self) -> ColumnElement[bool]:
        """Where its owner looks for frames, which finds those that came back as well."""
        return _between(self.start, self.stop)

    @property
    def rest(self) -> ColumnElement[bool]:
        """What others leave to its owner."""
        return _between(self.at, self.stop)


def of_job(conn: Connection, job_id: str) -> dict[str, Chunk]:
    """By worker."""
    rows = conn.execute(select(chunks).where(chunks.c.job_id == job_id))
    return {row.worker_id: Chunk(row.worker_id, row.start, row.at, row.stop) for row in rows}


def advance(tx: Tx, job_id: str, worker_id: str, at: int) -> None:
    """A worker got the frames of its chunk before ``at``."""
    tx.conn.execute(
        update(chunks).where(chunks.c.job_id == job_id, chunks.c.worker_id == worker_id, chunks.c.at < at).values(at=at)
    )


def open_next(
    tx: Tx,
    job_id: str,
    worker_id: str,
    available: ColumnElement[bool],
    rivals: Collection[str],
    asked: int | None,
) -> Chunk | None:
    """Set frames aside for a worker whose chunk is used up; None if no frame is ``available``.

    ``rivals`` are the workers that the job is shared among: what is set aside for others than those is given up.
    ``asked`` is the number of frames that the submitter wants in a chunk. The caller holds the job's lock alone.
    """
    all_chunks = of_job(tx.conn, job_id)
    gone = [other for other in all_chunks if other not in rivals or other == worker_id]
    tx.conn.execute(delete(chunks).where(chunks.c.job_id == job_id, chunks.c.worker_id.in_(gone)))
    others = [chunk for chunk in all_chunks.values() if chunk.worker_id not in gone and chunk.at < chunk.stop]
    opened = _unstarted(tx.conn, job_id, worker_id, available, others, max(1, len(rivals)), asked)
    if opened is None:
        opened = _half_of_another(tx, job_id, worker_id, available, others)
    if opened is not None:
        tx.conn.execute(insert(chunks).values(job_id=job_id, **asdict(opened)))
    return opened


def _unstarted(
    conn: Connection,
    job_id: str,
    worker_id: str,
    available: ColumnElement[bool],
    others: Sequence[Chunk],
    rivals: int,
    asked: int | None,
) -> Chunk | None:
    """From the first frame that is in nobody's chunk: one that came back, or one that nobody has begun."""
    most = asked or most_by_time(mean_seconds(conn, job_id, RECENT))
    outside = and_(available, not_(or_(*(chunk.rest for chunk in others)))) if others else available
    # Counted only as far as it makes a difference.
    enough = 1 if asked else min(MOST_SEEN, 2 * rivals * most)
    free = _ordinals(conn, outside, enough)
    if not free:
        return None
    size = asked or automatic(most, len(free), rivals)
    return Chunk(worker_id, free[0], free[0], end_of_run(free[0], size, others))


def _ordinals(conn: Connection, wanted: ColumnElement[bool], most: int) -> list[int]:
    query = select(tasks_table.c.ordinal).where(wanted, _RENDER).order_by(tasks_table.c.ordinal).limit(most)
    return list(conn.execute(query).scalars())


def most_by_time(seconds: float | None) -> int:
    """Frames that an automatic chunk has at most, if one takes so many seconds; None while that isn't known."""
    return MOST_SEEN if not seconds else max(FEWEST, min(MOST_SEEN, int(CHUNK_SECONDS / seconds)))


def automatic(most: int, free: int, rivals: int) -> int:
    """Frames in a chunk out of ``free`` ones: half of an even part at most, so that parts get smaller to the end."""
    return max(1, min(most, ceil(free / (2 * rivals))))


def end_of_run(start: int, size: int, others: Iterable[Chunk]) -> int:
    """Where a chunk ends that begins at ``start``: after ``size`` frames, or where somebody else's begins."""
    return min([start + size, *(chunk.at for chunk in others if chunk.at > start)])


def _half_of_another(
    tx: Tx, job_id: str, worker_id: str, available: ColumnElement[bool], others: Sequence[Chunk]
) -> Chunk | None:
    split = halved(_ordinals(tx.conn, available, MOST_SEEN), others)
    if split is None:
        return None
    victim, middle = split
    tx.conn.execute(
        update(chunks).where(chunks.c.job_id == job_id, chunks.c.worker_id == victim.worker_id).values(stop=middle)
    )
    return Chunk(worker_id, middle, middle, victim.stop)


def halved(open_frames: Sequence[int], others: Iterable[Chunk]) -> tuple[Chunk, int] | None:
    """The chunk with the most of ``open_frames`` (which rise) left, and where its back half begins.

    The back half is the larger one: its owner is at work already. None if no chunk has any left.
    """
    best: tuple[Chunk, int] | None = None
    most = 0
    for chunk in others:
        first, end = bisect_left(open_frames, chunk.at), bisect_left(open_frames, chunk.stop)
        if end - first > most:
            most = end - first
            best = chunk, open_frames[first + most // 2]
    return best
