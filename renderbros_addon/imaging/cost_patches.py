"""Finding out where a frame's cost lies, by measuring parts of it: the costlier a part, the finer it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..protocol.costs import CostMap
from ..protocol.regions import Region

Floats = NDArray[np.float64]

SMALLEST_SIDE = 4
"""Pixels of a preview: a side shorter than twice this is not halved."""

SMALLEST_SHARE = 1 / 512
"""Of the whole: a patch that costs less is fine enough for any number of tiles."""


@dataclass(frozen=True)
class Patch:
    """A part of a preview and what it costs, in seconds of processing."""

    region: Region
    cost: float


def refine(root: Region, measure: Callable[[Region], float], *, noise: float, go_on: Callable[[], bool]) -> list[Patch]:
    """Patches that cover ``root``, made by halving the costliest one again and again while ``go_on()``.

    ``measure`` tells the seconds that a region takes, and is off by up to ``noise``: nothing that costs little more
    than that is halved. Two halves are scaled so that they make up their whole, which was measured with a smaller
    relative error.
    """
    patches = [Patch(root, max(0.0, measure(root)))]
    least = max(2 * noise, SMALLEST_SHARE * patches[0].cost)
    while go_on():
        divisible = [patch for patch in patches if patch.cost > least and _halves(patch.region)]
        if not divisible:
            break
        costliest = max(divisible, key=lambda patch: patch.cost)
        patches.remove(costliest)
        parts = _halves(costliest.region)
        costs = [max(0.0, measure(part)) for part in parts]
        measured = sum(costs)
        for part, cost in zip(parts, costs, strict=True):
            share = cost / measured if measured else _area(part) / _area(costliest.region)
            patches.append(Patch(part, share * costliest.cost))
    return patches


def _halves(region: Region) -> tuple[Region, ...]:
    """The region cut across its longer side; nothing if that is too short."""
    x0, y0, x1, y1 = region.x0, region.y0, region.x1, region.y1
    if max(region.width, region.height) < 2 * SMALLEST_SIDE:
        return ()
    if region.width >= region.height:
        middle = (x0 + x1) // 2
        return Region(x0=x0, y0=y0, x1=middle, y1=y1), Region(x0=middle, y0=y0, x1=x1, y1=y1)
    middle = (y0 + y1) // 2
    return Region(x0=x0, y0=y0, x1=x1, y1=middle), Region(x0=x0, y0=middle, x1=x1, y1=y1)


def _area(region: Region) -> int:
    return region.width * region.height


def cost_map(
    patches: Sequence[Patch], frame: Region, columns: int, rows: int, *, scale: float, overhead: float, margin: int
) -> CostMap:
    """The patches as a map of ``frame`` (in the same pixels), each cost times ``scale``; what they leave out is free.

    A patch's cost is spread evenly over its pixels; a cell gets what lies in it.
    """
    xs = np.linspace(frame.x0, frame.x1, columns + 1)
    ys = np.linspace(frame.y0, frame.y1, rows + 1)
    cells = np.zeros((rows, columns))
    for patch in patches:
        across = _overlaps(xs, patch.region.x0, patch.region.x1)
        down = _overlaps(ys, patch.region.y0, patch.region.y1)
        cells += np.outer(down, across) * (patch.cost * scale / _area(patch.region))
    # Four digits are more than the measurement has, and keep the job's description short.
    rounded = tuple(float(f"{cell:.4g}") for cell in cells.ravel())
    return CostMap(columns=columns, rows=rows, cells=rounded, overhead=float(f"{overhead:.4g}"), margin=margin)


def _overlaps(edges: Floats, start: int, end: int) -> Floats:
    """How much of ``start`` to ``end`` lies between each two neighbouring edges."""
    inside = np.clip(edges, start, end)
    return np.diff(inside)
