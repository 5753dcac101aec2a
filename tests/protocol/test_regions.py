"""Regions and tile grids: exact cover, whatever the sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from renderbros_addon.protocol.regions import MAX_SIDE, Region, TileGrid

sides = st.integers(1, 300)
grids = st.builds(TileGrid, columns=st.integers(1, 256), rows=st.integers(1, 256))


@st.composite
def regions(draw: st.DrawFn, side: int = MAX_SIDE) -> Region:
    x0, y0 = draw(st.integers(0, side - 1)), draw(st.integers(0, side - 1))
    return Region(x0=x0, y0=y0, x1=draw(st.integers(x0 + 1, side)), y1=draw(st.integers(y0 + 1, side)))


@given(sides, sides, grids)
@settings(max_examples=20)
def test_tiles_cover_each_pixel_once(width: int, height: int, grid: TileGrid):
    count = np.zeros((height, width), int)
    for tile in grid.regions(width, height):
        count[tile.y0 : tile.y1, tile.x0 : tile.x1] += 1
    assert (count == 1).all()


@given(st.integers(1, MAX_SIDE), st.integers(1, MAX_SIDE), grids)
@settings(max_examples=15)
def test_tiles_are_even_and_in_order(width: int, height: int, grid: TileGrid):
    tiles = grid.regions(width, height)
    assert len(tiles) == min(grid.columns, width) * min(grid.rows, height)
    assert [(t.y0, t.x0) for t in tiles] == sorted((t.y0, t.x0) for t in tiles)
    for lengths in ({t.width for t in tiles}, {t.height for t in tiles}):
        assert min(lengths) >= 1
        assert max(lengths) - min(lengths) <= 1
    assert sum(t.width * t.height for t in tiles) == width * height
    assert sorted(map(str, grid.in_blocks(width, height))) == sorted(map(str, tiles))


@given(grids)
def test_a_grid_is_read_as_it_is_written(grid: TileGrid):
    assert TileGrid.parse(str(grid)) == grid
    assert TileGrid.parse(str(grid).upper()) == grid


@given(regions())
def test_a_region_survives_the_wire(region: Region):
    assert Region.model_validate_json(region.model_dump_json()) == region
    assert (region.width, region.height) == (region.x1 - region.x0, region.y1 - region.y0)


@given(regions(side=40), regions(side=40))
def test_an_intersection_is_the_pixels_in_both(a: Region, b: Region):
    def pixels(region: Region | None) -> set[tuple[int, int]]:
        if region is None:
            return set()
        return {(x, y) for x in range(region.x0, region.x1) for y in range(region.y0, region.y1)}

    assert pixels(a.intersection(b)) == pixels(a) & pixels(b)
    assert a.intersection(b) == b.intersection(a)


@given(regions(side=1000), st.integers(0, 1000), st.integers(0, 1000))
def test_a_shift_and_back(region: Region, dx: int, dy: int):
    moved = region.shifted(dx, dy)
    assert (moved.width, moved.height) == (region.width, region.height)
    assert moved.shifted(-dx, -dy) == region


def test_a_shift_over_the_edge_is_refused():
    with pytest.raises(ValidationError):
        Region.full(4, 4).shifted(-1, 0)
    with pytest.raises(ValidationError):
        Region.full(4, 4).shifted(0, MAX_SIDE)


@pytest.mark.parametrize(
    "corners", [(0, 0, 0, 1), (0, 0, 1, 0), (2, 0, 1, 1), (-1, 0, 1, 1), (0, 0, MAX_SIDE + 1, 1), (0, 0, 1.5, 1)]
)
def test_what_is_no_region(corners: tuple[float, float, float, float]):
    with pytest.raises(ValidationError):
        Region.model_validate(dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True)))


@pytest.mark.parametrize(
    "text", ["", "2", "x", "2x", "x2", "0x1", "1x0", "257x1", "-1x2", "2x2x2", "2 x 2", "٢x٢", "²x2", "auto", "1e1x1"]
)
def test_what_is_no_grid(text: str):
    with pytest.raises(ValueError, match=r"tiles"):
        TileGrid.parse(text)


@given(st.text(max_size=12))
def test_any_text_is_a_grid_or_a_plain_error(text: str):
    try:
        grid = TileGrid.parse(text)
    except ValueError:
        return
    assert str(grid) == "x".join(str(int(number)) for number in text.lower().split("x"))
