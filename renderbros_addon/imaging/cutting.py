"""Cutting a frame into tiles of equal cost.

The frame is cut in two so that both parts cost the same for each tile they are to become, and each part again. Every
tile is a rectangle and every pixel lies in one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

from ..protocol.costs import CostMap
from ..protocol.regions import Region

MIN_SIDE = 16
"""Pixels: no tile is narrower, where the frame itself is not. Thinner ones would be mostly margin and file header."""

MAX_TILES = 256
"""Of one frame."""

_BOTH_WAYS = 16
"""Up to so many tiles, cutting across and cutting down are both tried to the end and the better one is taken."""

_CLEARLY_BETTER = 0.98
"""A part is cut across its shorter side only if its costliest tile then costs less than this share: square tiles have
the least edge."""


def most_tiles(width: int, height: int) -> int:
    """How many tiles a frame of so many pixels can be cut into."""
    return min(MAX_TILES, _room(width) * _room(height))


def cut(cost: CostMap, width: int, height: int, count: int) -> tuple[Region, ...]:
    """A frame of ``width`` by ``height`` pixels in ``count`` tiles of about equal cost, the costliest first.

    A tile's cost takes in the margin that is rendered around it. Together the tiles cover each pixel once. The same
    map always gives the same tiles. ValueError for more than :func:`most_tiles`.
    """
    if not 1 <= count <= most_tiles(width, height):
        raise ValueError(f"{width}x{height} pixels are cut into 1 to {most_tiles(width, height)} tiles, not {count}")
    load = _load_of(cost, width, height)
    tiles = _split(Region.full(width, height), count, load)[1]
    return tuple(sorted(tiles, key=lambda tile: (-load(tile), tile.y0, tile.x0)))


def _room(side: int) -> int:
    """Tiles that fit beside each other along ``side`` pixels."""
    return max(1, side // MIN_SIDE)


_Load = Callable[[Region], float]


def _load_of(cost: CostMap, width: int, height: int) -> _Load:
    """What the pixels of a region cost, in seconds, margin and all; a cell's cost is spread evenly over it."""
    columns, rows = cost.columns, cost.rows
    total = math.fsum(cost.cells)
    # Where nothing costs anything, area decides; elsewhere this is too little to matter.
    least = total * 1e-6 / len(cost.cells) if total > 0 else 1.0
    # sums[r][c] is the cost of everything above row r and left of column c.
    sums = [[0.0] * (columns + 1)]
    for row in range(rows):
        cells = cost.cells[row * columns : (row + 1) * columns]
        along = accumulate((cell + least for cell in cells), initial=0.0)
        sums.append([above + here for above, here in zip(sums[-1], along, strict=True)])

    def before(x: int, y: int) -> float:
        u, v = x * columns / width, y * rows / height
        c, r = min(int(u), columns - 1), min(int(v), rows - 1)
        u, v = u - c, v - r
        upper = sums[r][c] * (1 - u) + sums[r][c + 1] * u
        lower = sums[r + 1][c] * (1 - u) + sums[r + 1][c + 1] * u
        return upper * (1 - v) + lower * v

    def load(region: Region) -> float:
        x0, y0 = max(0, region.x0 - cost.margin), max(0, region.y0 - cost.margin)
        x1, y1 = min(width, region.x1 + cost.margin), min(height, region.y1 + cost.margin)
        return before(x1, y1) - before(x0, y1) - before(x1, y0) + before(x0, y0)

    return load


def _split(part: Region, count: int, load: _Load) -> tuple[float, list[Region]]:
    """``part`` as ``count`` tiles, after the cost of the costliest of them."""
    if count == 1:
        return load(part), [part]
    ways = [(way, halves) for way in (_Across(part), _Down(part)) if (halves := way.halves(count))]
    ways.sort(key=lambda found: -found[0].length)
    found: tuple[float, list[Region]] | None = None
    for way, (first, second) in ways if count <= _BOTH_WAYS else ways[:1]:
        one, other = way.parts(_balance(way, first, second, load))
        worst_one, tiles_one = _split(one, first, load)
        worst_other, tiles_other = _split(other, second, load)
        worst = max(worst_one, worst_other)
        if found is None or worst < _CLEARLY_BETTER * found[0]:
            found = worst, tiles_one + tiles_other
    if found is None:
        raise ValueError(f"the region {part} has no room for {count} tiles")
    return found


@dataclass(frozen=True)
class _Across:
    """Cutting a part into a left and a right one."""

    part: Region

    @property
    def length(self) -> int:
        return self.part.width

    @property
    def breadth(self) -> int:
        return self.part.height

    def parts(self, at: int) -> tuple[Region, Region]:
        """The two parts, the first ``at`` pixels long."""
        part, middle = self.part, self.part.x0 + at
        return (
            Region(x0=part.x0, y0=part.y0, x1=middle, y1=part.y1),
            Region(x0=middle, y0=part.y0, x1=part.x1, y1=part.y1),
        )

    def halves(self, count: int) -> tuple[int, int] | None:
        """How many tiles each of the two parts becomes: half of ``count`` if there is room; None if there is none."""
        beside, places = _room(self.length), _room(self.breadth)
        for first in (count // 2, places * (beside // 2)):
            second = count - first
            if first > 0 and second > 0 and _needed(first, places) + _needed(second, places) <= beside:
                return first, second
        return None

    def bounds(self, first: int, second: int) -> tuple[int, int]:
        """The least and the greatest length of the first part that leaves room for all tiles."""
        places = _room(self.breadth)
        return MIN_SIDE * _needed(first, places), self.length - MIN_SIDE * _needed(second, places)


class _Down(_Across):
    """Cutting a part into an upper and a lower one."""

    @property
    def length(self) -> int:
        return self.part.height

    @property
    def breadth(self) -> int:
        return self.part.width

    def parts(self, at: int) -> tuple[Region, Region]:
        part, middle = self.part, self.part.y0 + at
        return (
            Region(x0=part.x0, y0=part.y0, x1=part.x1, y1=middle),
            Region(x0=part.x0, y0=middle, x1=part.x1, y1=part.y1),
        )


def _needed(count: int, places: int) -> int:
    """Rows of ``places`` tiles that hold ``count``."""
    return -(-count // places)


def _balance(way: _Across, first: int, second: int, load: _Load) -> int:
    """Where to cut so that the two parts cost the same for each of their tiles, as nearly as whole pixels allow."""

    def each(at: int) -> tuple[float, float]:
        one, other = way.parts(at)
        return load(one) / first, load(other) / second

    low, high = way.bounds(first, second)
    start = low
    while low < high:  # the first place where the first part is the dearer one
        middle = (low + high) // 2
        one, other = each(middle)
        if one < other:
            low = middle + 1
        else:
            high = middle
    return low - 1 if low > start and max(each(low - 1)) < max(each(low)) else low
