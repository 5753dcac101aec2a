"""Passes out of multilayer files: the right ones, of one part or many, as floats, inside a window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderbros_addon.imaging.decode import read_channels
from renderbros_addon.imaging.errors import ImageError
from renderbros_addon.imaging.passes import header_texts, read_window
from renderbros_addon.protocol.regions import Region

FULL = Region.full(64, 48)


def combined(layer: str) -> list[str]:
    return [f"{layer}.Combined.{letter}" for letter in "RGBA"]


@pytest.mark.parametrize("file", ["layers.exr", "layers_half.exr"])
def test_a_window_holds_the_files_own_values_as_floats(rendered: Path, file: str) -> None:
    source = read_channels(rendered / file).channels
    window = Region(x0=5, y0=7, x1=60, y1=41)
    for region in (FULL, window):
        found = read_window(rendered / file, combined("ViewLayer"), region)
        assert set(found) == set(combined("ViewLayer"))
        for name, values in found.items():
            assert values.dtype == np.float32
            assert (values == source[name][region.y0 : region.y1, region.x0 : region.x1]).all()


def test_layers_in_parts_or_in_one(write: Any, noise: Any, tmp_path: Path) -> None:
    one, two = noise(6, 5, 4), noise(6, 5, 4, seed=9)
    parted = write(tmp_path / "parted.exr", [(combined("One"), one), (combined("Two.b"), two)])
    joined = write(tmp_path / "joined.exr", [(combined("One") + combined("Two.b"), np.concatenate([one, two], axis=2))])
    region = Region.full(one.shape[1], one.shape[0])
    for source in (parted, joined):
        for layer, pixels in (("One", one), ("Two.b", two)):
            found = read_window(source, combined(layer), region)
            assert (np.stack([found[name] for name in combined(layer)], -1) == pixels).all()
        with pytest.raises(ImageError, match=r"no channel 'Three\.Combined"):
            read_window(source, combined("Three"), region)


def test_what_is_not_there_is_named(rendered: Path) -> None:
    with pytest.raises(ImageError, match="does not hold"):
        read_window(rendered / "layers.exr", combined("ViewLayer"), Region.full(64, 49))
    with pytest.raises(ImageError, match="png, not openexr"):
        read_window(rendered / "alpha.png", ["R"], FULL)
    with pytest.raises(ImageError, match="png, not openexr"):
        header_texts(rendered / "alpha.png", ("cycles.",))


def test_only_the_texts_asked_for(rendered: Path) -> None:
    found = header_texts(rendered / "layers.exr", ("cycles.",))
    assert found
    assert all(name.startswith("cycles.") and isinstance(value, str) for name, value in found.items())
