"""Finding where the cost lies, with a frame whose cost is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from renderbros_addon.imaging.cost_patches import SMALLEST_SIDE, cost_map, refine, spread
from renderbros_addon.protocol.regions import Region

ROOT = Region(x0=10, y0=5, x1=74, y1=45)


@pytest.fixture
def density() -> np.ndarray:
    """Seconds for each pixel of a preview of 80 by 50: dear in a corner of ROOT."""
    pixels = np.full((50, 80), 0.001)
    pixels[5:15, 60:74] = 0.2
    return pixels


def test_patches_are_small_where_it_is_dear(density: np.ndarray) -> None:
    def measure(region: Region) -> float:
        return float(density[region.y0 : region.y1, region.x0 : region.x1].sum())

    turns = itertools.count()
    patches = refine(ROOT, measure, noise=0.0, go_on=lambda: next(turns) < 24)
    assert len(patches) == 25
    seen = np.zeros(density.shape, int)
    for patch in patches:
        region = patch.region
        seen[region.y0 : region.y1, region.x0 : region.x1] += 1
    assert (seen[5:45, 10:74] == 1).all()
    assert seen.sum() == 64 * 40
    assert sum(patch.cost for patch in patches) == pytest.approx(measure(ROOT))
    dearest = max(patches, key=lambda patch: patch.cost)
    assert dearest.cost < measure(ROOT) / 7
    assert max(patch.region.width for patch in patches) >= 16
    assert min(min(patch.region.width, patch.region.height) for patch in patches) >= SMALLEST_SIDE

    found = cost_map(3 * spread(patches, Region.full(80, 50)), overhead=0.01, margin=8)
    cells = np.array(found.cells).reshape(50, 64)
    expected = 3 * density.copy()
    expected[:5] = expected[45:] = 0  # outside of ROOT nothing is rendered
    expected[:, :10] = expected[:, 74:] = 0
    assert cells.sum() == pytest.approx(expected.sum(), rel=1e-3)
    assert cells[5:15, 48:].sum() == pytest.approx(expected[5:15, 60:].sum(), rel=0.1)
    assert (found.overhead, found.margin) == (0.01, 8)


def test_what_drowns_in_noise_is_left_alone() -> None:
    calls: list[Region] = []

    def measure(region: Region) -> float:
        calls.append(region)
        return 0.003

    assert len(refine(ROOT, measure, noise=0.002, go_on=lambda: True)) == 1
    assert calls == [ROOT]


def test_a_frame_that_measures_as_nothing_is_one_patch() -> None:
    [patch] = refine(ROOT, lambda region: -0.001, noise=0.0, go_on=lambda: True)
    assert patch.cost == 0.0
