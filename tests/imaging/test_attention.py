"""Where to look: more where there is something to see, and everywhere now and then."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderbros_addon.imaging.attention import draw_regions
from renderbros_addon.imaging.attention_map import attention_map
from renderbros_addon.imaging.errors import ImageError
from renderbros_addon.protocol.regions import Region


def flat(height: int, width: int) -> np.ndarray:
    return np.full((height, width), 90, np.uint8)


def test_noise_draws_attention():
    picture = flat(144, 256)
    picture[100:120, 200:220] += np.random.default_rng(1).integers(0, 20, (20, 20), np.uint8)
    found = attention_map(picture)
    assert found.shape == (18, 32)
    assert found.sum() == pytest.approx(1)
    # All but the steps up to it, which count where they start.
    assert 0.95 < found[12:15, 25:28].sum() < 1


def test_motion_draws_as_much_attention_as_detail():
    picture = flat(64, 64)
    picture[:, ::2] = 95
    neighbour = picture.copy()
    neighbour[40:48, 16:24] += 30
    found = attention_map(picture, neighbour)
    assert found[5, 2] == pytest.approx(0.5 + 0.5 / 64, rel=0.02)
    assert attention_map(picture, picture) == pytest.approx(attention_map(picture))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 300), (37, 1), (2161, 97)])
def test_flat_pictures_of_any_size_draw_attention_evenly(height: int, width: int):
    found = attention_map(flat(height, width), flat(height, width))
    assert max(found.shape) <= 32
    assert np.ptp(found) == 0
    assert found.sum() == pytest.approx(1)


def test_a_neighbour_of_another_size():
    with pytest.raises(ImageError, match="8x16 pixels has no neighbour of 16x8"):
        attention_map(flat(16, 8), flat(8, 16))


@st.composite
def regions(draw: st.DrawFn) -> Region:
    x0, y0 = draw(st.integers(0, 50)), draw(st.integers(0, 50))
    return Region(x0=x0, y0=y0, x1=x0 + draw(st.integers(1, 60)), y1=y0 + draw(st.integers(1, 60)))


@given(
    st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(st.floats(0, 1e300), min_size=n, max_size=n), min_size=1)),
    regions(),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.integers(1, 12),
    st.randoms(use_true_random=False),
)
def test_regions_lie_inside_and_differ(
    weights: list[list[float]], within: Region, size: tuple[int, int], count: int, random: random.Random
):
    drawn = draw_regions(tuple(map(tuple, weights)), within, size, count, random)
    width, height = min(size[0], within.width), min(size[1], within.height)
    assert len(set(map(str, drawn))) == len(drawn)
    assert len(drawn) == min(count, (within.width - width + 1) * (within.height - height + 1))
    for region in drawn:
        assert (region.width, region.height) == (width, height)
        assert region.intersection(within) == region


def test_half_of_the_draws_go_by_the_map_and_every_pixel_has_its_chance():
    weights = tuple(tuple(float((row, column) == (2, 5)) for column in range(8)) for row in range(6))
    within, dice = Region(x0=10, y0=20, x1=90, y1=80), random.Random(1)
    looked = np.zeros((60, 80), int)
    for _ in range(8000):
        [region] = draw_regions(weights, within, (8, 6), 1, dice)
        looked[region.y0 - 20 : region.y1 - 20, region.x0 - 10 : region.x1 - 10] += 1
    # Half of the 8000 meet the block, of 10 by 10 pixels, in any of 17 by 15 ways; half the whole in 87 by 65.
    blind = 4000 * 8 * 6 / (87 * 65)
    assert looked[20:30, 50:60].mean() == pytest.approx(4000 * 8 * 6 / (17 * 15) + blind, rel=0.05)
    assert looked[38:50, 10:40].mean() == pytest.approx(blind, rel=0.15)
    assert looked.min() > blind / 3


def test_regions_lie_apart_where_there_is_room():
    dice = random.Random(2)
    for _ in range(50):
        drawn = draw_regions(((1.0,),), Region.full(200, 100), (16, 16), 6, dice)
        assert not any(a.intersection(b) for i, a in enumerate(drawn) for b in drawn[:i])


@pytest.mark.parametrize("weights", [(), ((),), ((1.0,), (1.0, 2.0)), ((-1.0,),), ((float("nan"),),)])
def test_weights_that_are_none(weights: tuple[tuple[float, ...], ...]):
    with pytest.raises(ValueError, match="weights are"):
        draw_regions(weights, Region.full(8, 8), (2, 2), 1, random.Random(1))
