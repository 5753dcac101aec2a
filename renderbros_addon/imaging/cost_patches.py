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

FINEST = 64
"""Cells along a side of a map."""

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


def spread(patches: Sequence[Patch], frame: Region) -> Floats:
    """What each pixel of ``frame`` costs, an array of (height, width): a patch's cost lies evenly on its pixels.

    ``frame`` is in the same pixels as the patches; what they leave out costs nothing.
    """
    pixels = np.zeros((frame.height, frame.width))
    for patch in patches:
        region = patch.region.intersection(frame)
        if region is not None:
            x0, y0, x1, y1 = (a - b for a, b in zip(_corners(region), 2 * (frame.x0, frame.y0), strict=True))
            pixels[y0:y1, x0:x1] = patch.cost / _area(patch.region)
    return pixels


def _corners(region: Region) -> tuple[int, int, int, int]:
    return region.x0, region.y0, region.x1, region.y1


def cost_map(pixels: Floats, *, overhead: float, margin: int) -> CostMap:
    """A map of a frame from what each pixel of its preview costs, in seconds, coarse enough to be sent along."""
    height, width = pixels.shape
    down = _overlaps(min(FINEST, height), height)
    across = _overlaps(min(FINEST, width), width)
    cells = down @ pixels @ across.T
    # Four digits are more than the measurement has, and keep the job's description short.
    rounded = tuple(float(f"{cell:.4g}") for cell in cells.ravel())
    rows, columns = cells.shape
    return CostMap(columns=columns, rows=rows, cells=rounded, overhead=float(f"{overhead:.4g}"), margin=margin)


def _overlaps(cells: int, length: int) -> Floats:
    """How much of each of ``length`` pixels lies in each of ``cells`` equal parts, as (cells, length)."""
    edges = np.linspace(0, length, cells + 1)[:, None]
    starts = np.arange(length)[None, :]
    inside = np.clip(edges, starts, starts + 1)
    return np.diff(inside, axis=0)
