"""Regions: half-open rectangles of whole pixels in the output frame, origin top left."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

from pydantic import Field, model_validator

from .base import Wire

MAX_SIDE = 65536
"""Blender's own limit for a render's width or height, in pixels."""


class Region(Wire):
    """Pixels with ``x0 <= x < x1`` and ``y0 <= y < y1``; ``y`` counts downwards from the top row."""

    x0: int = Field(ge=0, le=MAX_SIDE)
    y0: int = Field(ge=0, le=MAX_SIDE)
    x1: int = Field(ge=0, le=MAX_SIDE)
    y1: int = Field(ge=0, le=MAX_SIDE)

    @model_validator(mode="after")
    def _holds_a_pixel(self) -> Region:
        if self.x1 <= self.x0 or self.y1 <= self.y0:
            raise ValueError(f"a region without pixels: {self.x0},{self.y0},{self.x1},{self.y1}")
        return self

    @classmethod
    def full(cls, width: int, height: int) -> Region:
        """The whole of a frame of ``width`` by ``height`` pixels."""
        return cls(x0=0, y0=0, x1=width, y1=height)

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read ``X0,Y0,X1,Y1``, such as ``0,0,64,48``; ValueError says what is wrong."""
        numbers = text.split(",")
        if len(numbers) != 4 or not all(n.isascii() and n.isdigit() and len(n) < 10 for n in numbers):
            raise ValueError(f"a region is written X0,Y0,X1,Y1, such as 0,0,64,48, not {text!r}")
        x0, y0, x1, y1 = map(int, numbers)
        if x1 <= x0 or y1 <= y0 or max(x1, y1) > MAX_SIDE:
            raise ValueError(f"no frame has the region {text!r}: X0 is less than X1, Y0 less than Y1")
        return cls(x0=x0, y0=y0, x1=x1, y1=y1)

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    def shifted(self, dx: int, dy: int) -> Region:
        """The same rectangle, ``dx`` pixels to the right and ``dy`` pixels down."""
        return Region(x0=self.x0 + dx, y0=self.y0 + dy, x1=self.x1 + dx, y1=self.y1 + dy)

    def intersection(self, other: Region) -> Region | None:
        """The pixels in both, or None where there are none."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        x1, y1 = min(self.x1, other.x1), min(self.y1, other.y1)
        return Region(x0=x0, y0=y0, x1=x1, y1=y1) if x0 < x1 and y0 < y1 else None

    def __str__(self) -> str:
        return f"{self.x0},{self.y0},{self.x1},{self.y1}"


def fill(parts: Sequence[Region], whole: Region) -> bool:
    """Whether ``parts`` make up ``whole``: each of its pixels lies in exactly one of them, and no other does."""
    if sum(part.width * part.height for part in parts) != whole.width * whole.height:
        return False
    if any(part.intersection(whole) != part for part in parts):
        return False
    return not any(one.intersection(other) for one, other in combinations(parts, 2))


def hull(regions: Sequence[Region]) -> Region:
    """The smallest region that holds all of ``regions``, of which there is at least one."""
    return Region(
        x0=min(region.x0 for region in regions),
        y0=min(region.y0 for region in regions),
        x1=max(region.x1 for region in regions),
        y1=max(region.y1 for region in regions),
    )


class TileGrid(Wire):
    """A frame cut into ``columns`` by ``rows`` tiles whose sides differ by at most one pixel."""

    columns: int = Field(ge=1, le=256)
    rows: int = Field(ge=1, le=256)

    @classmethod
    def parse(cls, text: str) -> TileGrid:
        """Read ``COLUMNSxROWS``, such as ``2x2``; ValueError says what is wrong."""
        columns, cross, rows = text.lower().partition("x")
        if not cross or not columns.isascii() or not columns.isdigit() or not rows.isascii() or not rows.isdigit():
            raise ValueError(f"tiles are written COLUMNSxROWS, such as 2x2, not {text!r}")
        if not (1 <= int(columns) <= 256 and 1 <= int(rows) <= 256):
            raise ValueError(f"between 1x1 and 256x256 tiles, not {text!r}")
        return cls(columns=int(columns), rows=int(rows))

    def regions(self, width: int, height: int) -> tuple[Region, ...]:
        """The tiles of a frame, row by row from the top left; together they cover each pixel once.

        A grid finer than the frame's pixels gives one tile a pixel along that side, never an empty tile.
        """
        xs, ys = self._lines(width, height)
        return tuple(Region(x0=x0, y0=y0, x1=x1, y1=y1) for y0, y1 in pairwise(ys) for x0, x1 in pairwise(xs))

    def in_blocks(self, width: int, height: int) -> tuple[Region, ...]:
        """The same tiles in an order in which those that follow each other lie together: half of the frame after the
        other, across its longer side, and so on with the halves."""
        xs, ys = self._lines(width, height)
        found: list[Region] = []
        waiting = [(0, len(xs) - 1, 0, len(ys) - 1)]
        while waiting:
            left, right, top, bottom = waiting.pop()
            wide = xs[right] - xs[left] >= ys[bottom] - ys[top]
            if right - left > 1 and (wide or bottom - top == 1):
                middle = (left + right) // 2
                waiting += [(middle, right, top, bottom), (left, middle, top, bottom)]
            elif bottom - top > 1:
                middle = (top + bottom) // 2
                waiting += [(left, right, middle, bottom), (left, right, top, middle)]
            else:
                found.append(Region(x0=xs[left], y0=ys[top], x1=xs[right], y1=ys[bottom]))
        return tuple(found)

    def _lines(self, width: int, height: int) -> tuple[list[int], list[int]]:
        """Where the tiles of a frame are cut: columns and rows, its edges among them."""
        return _cuts(width, min(self.columns, width)), _cuts(height, min(self.rows, height))

    def __str__(self) -> str:
        return f"{self.columns}x{self.rows}"


def _cuts(length: int, parts: int) -> list[int]:
    return [length * i // parts for i in range(parts + 1)]
