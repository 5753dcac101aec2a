"""Pixels to border fractions and back, on Blender's own properties."""

from __future__ import annotations

import bpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderbros_addon.blender.regions import Canvas, canvas_of, fraction_for, pixel_for, set_border
from renderbros_addon.protocol.regions import Region


@given(st.integers(1, 65536).flatmap(lambda side: st.tuples(st.integers(0, side), st.just(side))))
@settings(max_examples=2000)
def test_a_fraction_lands_on_its_pixel(pixel_and_side: tuple[int, int]) -> None:
    pixel, side = pixel_and_side
    assert pixel_for(fraction_for(pixel, side), side) == pixel
    assert 0 <= fraction_for(pixel, side) <= 1


def test_plain_division_would_not_do() -> None:
    wrong = sum(pixel_for(pixel / side, side) != pixel for side in range(2, 400) for pixel in range(side))
    assert wrong > 1000


@given(st.data())
@settings(max_examples=300)
def test_a_border_survives_blenders_properties(data: st.DataObject) -> None:
    render = bpy.context.scene.render
    width, height = data.draw(st.integers(4, 5000)), data.draw(st.integers(4, 5000))
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))
    region = Region(x0=x0, y0=y0, x1=x1, y1=y1)
    set_border(render, region, Canvas(width, height, None, False), crop=True)
    canvas = canvas_of(render)
    assert canvas.border == region
    assert (canvas.width, canvas.height) == (region.width, region.height)
    render.use_border = render.use_crop_to_border = False


@pytest.mark.parametrize(("percentage", "size"), [(100, (61, 43)), (67, (40, 28)), (1, (1, 1)), (150, (91, 64))])
def test_percentage_is_taken_as_blender_takes_it(percentage: int, size: tuple[int, int]) -> None:
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = 61, 43, percentage
    canvas = canvas_of(render)
    assert (canvas.width, canvas.height) == size
