"""Tiles of equal cost: exact cover whatever the map, and balance where the frame allows it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderbros_addon.imaging.cutting import MAX_TILES, MIN_SIDE, cut, most_tiles
from renderbros_addon.protocol.costs import CostMap
from renderbros_addon.protocol.regions import Region, TileGrid


def cost_map(cells: np.ndarray, **facts: float) -> CostMap:
    rows, columns = cells.shape
    return CostMap(
        columns=columns, rows=rows, cells=tuple(map(float, cells.ravel())), **({"overhead": 0.0} | facts)
    )  # fmt: skip


def hard_corner(columns: int = 32, rows: int = 18) -> np.ndarray:
    """Nine tenths of the cost in the top right sixteenth."""
    cells = np.full((rows, columns), 0.1 / (columns * rows))
    corner = cells[: rows // 4, -columns // 4 :]
    corner += 0.9 / corner.size
    return cells


def costs(cells: np.ndarray, width: int, height: int, tiles: tuple[Region, ...], margin: int = 0) -> list[float]:
    """What each tile costs, by adding up pixels."""
    rows, columns = cells.shape
    fine = np.kron(cells, np.full((height // rows, width // columns), rows * columns / (width * height)))
    return [
        float(fine[max(0, t.y0 - margin) : t.y1 + margin, max(0, t.x0 - margin) : t.x1 + margin].sum()) for t in tiles
    ]


def imbalance(costs: list[float]) -> float:
    return max(costs) / (sum(costs) / len(costs))


maps = st.builds(
    lambda columns, rows, seed, power, margin: cost_map(
        np.random.default_rng(seed).random((rows, columns)) ** power, margin=margin
    ),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(0, 1000),
    st.sampled_from([0, 1, 30]),
    st.sampled_from([0, 8]),
)


@given(maps, st.integers(1, 400), st.integers(1, 400), st.data())
@settings(max_examples=60)
def test_tiles_cover_each_pixel_once(cost: CostMap, width: int, height: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, most_tiles(width, height)))
    tiles = cut(cost, width, height, count)
    assert len(tiles) == count
    seen = np.zeros((height, width), int)
    for tile in tiles:
        seen[tile.y0 : tile.y1, tile.x0 : tile.x1] += 1
        assert tile.width >= min(MIN_SIDE, width)
        assert tile.height >= min(MIN_SIDE, height)
    assert (seen == 1).all()


@given(
    st.integers(1, 24),
    st.floats(-1, 1),
    st.floats(-1, 1),
    st.floats(0, 3),
    st.sampled_from([0, 8]),
)
@settings(max_examples=40)
def test_smooth_maps_are_cut_evenly(count: int, across: float, down: float, bulge: float, margin: int) -> None:
    y, x = np.mgrid[-1:1:18j, -1:1:32j]
    cells = 1.1 + (across * x + down * y) / 2 + bulge * np.exp(-4 * (x**2 + y**2))
    tiles = cut(cost_map(cells, margin=margin), 960, 540, count)
    assert imbalance(costs(cells, 960, 540, tiles, margin)) < 1.25


@pytest.mark.parametrize("count", [2, 3, 7, 16, 64])
def test_a_hard_corner_is_cut_finer(count: int) -> None:
    cells = hard_corner()
    tiles = cut(cost_map(cells), 1920, 1080, count)
    assert imbalance(costs(cells, 1920, 1080, tiles)) < 1.1
    side = math.isqrt(count) or 1
    even = TileGrid(columns=side, rows=-(-count // side)).regions(1920, 1080)
    assert imbalance(costs(cells, 1920, 1080, even)) > 1.5


def test_what_is_rendered_around_a_tile_counts() -> None:
    cells = hard_corner()
    blind = cut(cost_map(cells), 640, 360, 12)
    seeing = cut(cost_map(cells, margin=16), 640, 360, 12)
    assert imbalance(costs(cells, 640, 360, seeing, 16)) < 1.25
    assert max(costs(cells, 640, 360, seeing, 16)) < max(costs(cells, 640, 360, blind, 16))


def test_a_map_without_cost_is_cut_by_area() -> None:
    tiles = cut(cost_map(np.zeros((3, 3))), 100, 100, 4)
    assert {tile.width * tile.height for tile in tiles} == {2500}


def test_the_costliest_tile_comes_first() -> None:
    cells = hard_corner()
    found = costs(cells, 640, 360, cut(cost_map(cells), 640, 360, 8))
    assert found == sorted(found, reverse=True)


def test_there_is_a_limit() -> None:
    assert most_tiles(8, 8) == 1
    assert most_tiles(33, 17) == 2
    assert most_tiles(65536, 65536) == MAX_TILES
    with pytest.raises(ValueError, match="1 to 2 tiles, not 3"):
        cut(cost_map(np.ones((1, 1))), 33, 17, 3)
