"""How many tiles a job by cost gets, and where they are cut: decided once, when it is queued."""

from __future__ import annotations

import json
import math
import statistics
from functools import lru_cache

from sqlalchemy import Connection, select

from ..imaging.cutting import cut, most_tiles
from ..protocol.costs import CostMap
from ..protocol.jobs import JobSpec
from ..protocol.regions import Region
from ..protocol.results import RenderStats
from ..protocol.states import WorkerStatus
from ..protocol.workers import Capabilities
from . import matching
from .tables import AnyRow, leases, results, tasks, workers

MOST_A_WORKER = 4
"""Tiles of a frame for each worker, at most."""

OVERHEAD_SHARE = 0.1
"""Of a tile's time, that may go into what it takes beyond its pixels."""

WORKERS_UNKNOWN = 4
"""Taken to come where none that fits is there yet."""

MOST_TASKS = 100_000
"""Of a job by cost, unless it has as many frames."""

RECENT = 200
"""Results that the overhead is measured on, the latest."""

FEWEST = 5
"""Of them, for a measurement."""


def decide(conn: Connection, job: AnyRow, spec: JobSpec) -> str | None:
    """The tiles of each frame of ``job`` as its row keeps them; None for a job that is not cut by cost."""
    if spec.cost is None:
        return None
    width, height, frames = spec.scene.width, spec.scene.height, len(spec.frames)
    wanted = tile_count(
        workers_for(conn, job) or WORKERS_UNKNOWN,
        seconds=math.fsum(spec.cost.cells),
        overhead=max(spec.cost.overhead, measured_overhead(conn) or 0.0),
        frames=frames,
    )
    number = min(wanted, most_tiles(width, height), max(1, MOST_TASKS // frames))
    return _as_text(spec.cost, width, height, number)


def tile_count(workers: int, *, seconds: float, overhead: float, frames: int) -> int:
    """Tiles for each of ``frames`` frames that take ``seconds``, where a tile takes ``overhead`` beside its pixels.

    With a perfect map and equal workers, one tile a worker is best. Maps are not perfect and workers not equal, so
    there are up to MOST_A_WORKER: whoever is done early takes another. Fewer where the overhead would come to more
    than OVERHEAD_SHARE of a tile, but one a worker all the same, as long as a tile is more work than overhead. And
    fewer in a job of several frames, where whoever is done early takes a tile of the next.
    """
    most = math.ceil(MOST_A_WORKER / frames)
    if overhead <= 0:
        return workers * most
    each = int(min(most, seconds * OVERHEAD_SHARE / (overhead * workers)))
    return max(1, int(min(workers * max(1, each), seconds / overhead)))


def workers_for(conn: Connection, job: AnyRow) -> int:
    """How many that can render ``job`` are online, or enrolled and about to ask for their first task."""
    there = conn.execute(
        select(workers.c.capabilities).where(
            workers.c.status.in_((WorkerStatus.ENROLLED, WorkerStatus.ONLINE)), workers.c.pause_requested.is_(False)
        )
    ).scalars()
    return sum(matching.fits(job, Capabilities.model_validate_json(text)) for text in there)


def measured_overhead(conn: Connection) -> float | None:
    """What a tile has lately taken beyond Blender's rendering of it, in seconds; None if too few say.

    It is the time between two results of a worker, less the rendering of the second, where the worker had the second
    in hand already when it sent the first: then it did not wait for work.
    """
    rows = conn.execute(
        select(results.c.worker_id, results.c.received_at, results.c.stats, leases.c.created_at, tasks.c.linear)
        .join(leases, leases.c.id == results.c.lease_id)
        .join(tasks, tasks.c.id == results.c.task_id)
        .order_by(results.c.id.desc())
        .limit(RECENT)
    ).all()
    before: dict[str, AnyRow] = {}
    found: list[float] = []
    for row in reversed(rows):
        last = before.get(row.worker_id)
        before[row.worker_id] = row
        if row.linear and last is not None and row.created_at <= last.received_at:
            stats = RenderStats.model_validate_json(row.stats)
            between = (row.received_at - last.received_at).total_seconds()
            # The results of a block come together, and tell nothing of a tile's own time.
            if stats.at_once == 1:
                found.append(max(0.0, between - stats.render_seconds))
    return statistics.median(found) if len(found) >= FEWEST else None


@lru_cache(maxsize=32)
def _as_text(cost: CostMap, width: int, height: int, number: int) -> str:
    # Cached because a transaction that lost a race is tried again.
    return json.dumps([[tile.x0, tile.y0, tile.x1, tile.y1] for tile in cut(cost, width, height, number)])


@lru_cache(maxsize=256)
def parse_cuts(text: str) -> tuple[Region, ...]:
    """The tiles as a job's row keeps them."""
    return tuple(Region(x0=x0, y0=y0, x1=x1, y1=y1) for x0, y0, x1, y1 in json.loads(text))
