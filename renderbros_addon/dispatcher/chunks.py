"""Runs of consecutive frames: which frames are set aside for which worker, so that its scene stays warm.

A worker leases its chunk frame by frame. When it is through, it opens the next one where nobody is at work, and when
there is none it takes the back half of what somebody else has left. A chunk is a preference, never a claim: which
worker has a task is said by its lease alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import ceil

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from .available import Available
from .prepared import Prepared, param
from .store import Tx
from .tables import chunks
from .tasks import mean_seconds

CHUNK_SECONDS = 300.0
"""Rendering in one chunk whose size is automatic: frames come home nearly in order, also where there are thousands."""

FEWEST = 4
"""Frames in such a chunk, however long one takes, as long as there are enough for everybody."""

RECENT = 20
"""Results that a frame's time is taken from."""

MOST_SEEN = 10_000
"""Open frames that are looked at for a half to take."""

_END = 1 << 30
"""Beyond every ordinal."""


_MINE = Prepared(select(chunks).where(chunks.c.job_id == bindparam("of"), chunks.c.worker_id == bindparam("by")))
_OF_JOB = Prepared(select(chunks).where(chunks.c.job_id == bindparam("of")))
_OF_OWNER = (chunks.c.job_id == bindparam("of")) & (chunks.c.worker_id == bindparam("by"))
_ADVANCE = Prepared(
    update(chunks).where(_OF_OWNER, chunks.c.at < bindparam("next")).values(at=param(chunks.c.at, "next"))
)
_CUT = Prepared(update(chunks).where(_OF_OWNER).values(stop=param(chunks.c.stop, "middle")))
_DELETE = Prepared(delete(chunks).where(_OF_OWNER))
_INSERT = Prepared(insert(chunks).values({column.name: param(column) for column in chunks.c}))


@dataclass(frozen=True)
class Chunk:
    """A worker's chunk, by ordinals of its frames: from ``start`` up to ``stop``, of which ``at`` comes next."""

    worker_id: str
    start: int
    at: int
    stop: int


def of_worker(conn: Connection, job_id: str, worker_id: str) -> Chunk | None:
    """The worker's chunk of a job."""
    row = _MINE.first(conn, of=job_id, by=worker_id)
    return None if row is None else Chunk(row.worker_id, row.start, row.at, row.stop)


def of_job(conn: Connection, job_id: str) -> dict[str, Chunk]:
    """By worker."""
    rows = _OF_JOB.all(conn, of=job_id)
    return {row.worker_id: Chunk(row.worker_id, row.start, row.at, row.stop) for row in rows}


def advance(tx: Tx, job_id: str, worker_id: str, at: int) -> None:
    """A worker got the frames of its chunk before ``at``."""
    _ADVANCE.run(tx.conn, of=job_id, by=worker_id, next=at)


def open_next(
    tx: Tx,
    job_id: str,
    worker_id: str,
    available: Available,
    rivals: Collection[str],
    asked: int | None,
) -> Chunk | None:
    """Set frames aside for a worker whose chunk is used up; None if no frame is ``available`` to it.

    ``rivals`` are the workers that the job is shared among: what is set aside for others than those is given up.
    ``asked`` is the number of frames that the submitter wants in a chunk. The caller holds the job's lock alone.
    """
    all_chunks = of_job(tx.conn, job_id)
    gone = [other for other in all_chunks if other not in rivals or other == worker_id]
    for other in gone:
        _DELETE.run(tx.conn, of=job_id, by=other)
    others = [chunk for chunk in all_chunks.values() if chunk.worker_id not in gone and chunk.at < chunk.stop]
    opened = _unstarted(tx.conn, job_id, worker_id, available, others, max(1, len(rivals)), asked)
    if opened is None:
        opened = _half_of_another(tx, job_id, worker_id, available, others)
    if opened is not None:
        _INSERT.run(tx.conn, job_id=job_id, **asdict(opened))
    return opened


def _unstarted(
    conn: Connection,
    job_id: str,
    worker_id: str,
    available: Available,
    others: Sequence[Chunk],
    rivals: int,
    asked: int | None,
) -> Chunk | None:
    """From the first frame that is in nobody's chunk: one that came back, or one that nobody has begun."""
    most = asked or most_by_time(mean_seconds(conn, job_id, RECENT))
    first: int | None = None
    free = 0
    for start, stop in gaps(others):
        found = available.ordinals(start, stop, 1)
        if not found:
            continue
        first = found[0] if first is None else first
        # As far as it makes a difference, and by its ends: to count what is free of a large job takes milliseconds.
        if asked or free >= 2 * rivals * most:
            break
        free += available.last(start, stop) - found[0] + 1
    if first is None:
        return None
    size = asked or automatic(most, free, rivals)
    return Chunk(worker_id, first, first, end_of_run(first, size, others))


def gaps(others: Iterable[Chunk]) -> Iterator[tuple[int, int]]:
    """The ranges of ordinals, rising, that are in nobody's rest of a chunk."""
    start = 0
    for chunk in sorted(others, key=lambda chunk: chunk.at):
        if chunk.at > start:
            yield start, chunk.at
        start = max(start, chunk.stop)
    yield start, _END


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
    tx: Tx, job_id: str, worker_id: str, available: Available, others: Sequence[Chunk]
) -> Chunk | None:
    split = halved(available.ordinals(0, _END, MOST_SEEN), others)
    if split is None:
        return None
    victim, middle = split
    _CUT.run(tx.conn, of=job_id, by=victim.worker_id, middle=middle)
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
