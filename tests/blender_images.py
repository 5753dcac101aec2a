"""Reading rendered files in tests, by OpenImageIO alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio


def channels_of(path: Path) -> dict[str, Any]:
    """Every channel of every part, by name: arrays of (height, width) in the file's own type."""
    file = oiio.ImageInput.open(str(path))
    assert file is not None, oiio.geterror()
    found: dict[str, Any] = {}
    part = 0
    while file.seek_subimage(part, 0):
        spec = file.spec()
        pixels = file.read_image(part, 0, 0, spec.nchannels, spec.format)
        assert pixels is not None, file.geterror()
        for index, name in enumerate(spec.channelnames):
            found[name] = pixels[:, :, index]
        part += 1
    file.close()
    return found


DENOISED_NOISE = 1e-4
"""Relative. Called twice in different surroundings, OpenImageDenoise sums up in another order: 3e-5 was seen."""


def assert_same_pixels(path: Path, own: Path, float_noise: float = 0.0) -> None:
    """Equal to the last bit, or within ``float_noise``: then integers may be rounded otherwise here and there."""
    expected, actual = channels_of(own), channels_of(path)
    assert expected.keys() == actual.keys()
    for name, pixels in expected.items():
        assert pixels.dtype == actual[name].dtype
        if not float_noise:
            assert np.array_equal(pixels, actual[name], equal_nan=True), name
        elif pixels.dtype.kind == "f":
            assert np.allclose(pixels, actual[name], rtol=float_noise, atol=float_noise / 10), name
        else:
            off = np.abs(pixels.astype(int) - actual[name].astype(int))
            assert off.max() <= 1, name
            assert np.count_nonzero(off) <= 0.001 * off.size, name
