"""Which of the tiles at hand are rendered at once: those that make up a rectangle.

A tile costs more than its pixels: the call, and with adaptive sampling a margin all around it. A block of tiles pays
for both once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ..protocol.leases import Task
from ..protocol.regions import Region, fill, hull
from ..protocol.states import TaskKind

_MARGIN = 8
"""Pixels around a block that it is judged by: an even square has the least edge."""


def is_tile(task: Task) -> bool:
    """Whether ``task`` may be rendered together with others of its frame."""
    return task.kind is TaskKind.RENDER and task.linear


def alike(one: Task, other: Task) -> bool:
    """Whether two tiles are of one frame."""
    return is_tile(one) and is_tile(other) and (one.job_id, one.frame) == (other.job_id, other.frame)


def best_block(regions: Sequence[Region], most: int) -> list[int]:
    """Which of ``regions``, up to ``most``, to render at once: indices, rising, the first of all among them.

    Of all rectangles that some of them make up, the one with the least edge for its area.
    """
    best, best_share = [0], _share(regions[0])
    for pair in combinations(range(len(regions)), 2) if most > 1 else ():
        # A rectangle has a tile at its upper left and one at its lower right.
        whole = hull([regions[i] for i in pair])
        share = _share(whole)
        if share <= best_share or regions[0].intersection(whole) != regions[0]:
            continue
        within = [i for i, region in enumerate(regions) if _is_in(region, whole)]
        if len(within) <= most and fill([regions[i] for i in within], whole):
            best, best_share = within, share
    return best


def _share(region: Region) -> float:
    """Of the pixels that are rendered for ``region``, margin and all, those that are its own."""
    return region.width * region.height / ((region.width + 2 * _MARGIN) * (region.height + 2 * _MARGIN))


def _is_in(region: Region, whole: Region) -> bool:
    return whole.x0 <= region.x0 and region.x1 <= whole.x1 and whole.y0 <= region.y0 and region.y1 <= whole.y1
