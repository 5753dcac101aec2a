"""The 64-bit perceptual hash, and the 8-bit grey picture that it is taken of.

The value is that of ``imagehash.phash`` (the algorithm of
https://www.hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html), without the scipy that it imports.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image as pillow

Grey = npt.NDArray[np.uint8]

_HASH_SIDE = 8
_PICTURE_SIDE = 4 * _HASH_SIDE
_STEPS = 1 << 20
# Fine enough that the table never errs by more than 1/600 of an 8-bit level.


def to_8bit(values: npt.NDArray[Any]) -> Grey:
    """``values`` as a screen shows them: integers scaled, floats clipped to 0..1 and encoded by the sRGB curve.

    Any shape; uint8, uint16, uint32, float16 or float32, finite. Returns the same shape.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16:
        return np.asarray((values.astype(np.uint32) * 255 + 32767) // 65535, np.uint8)
    if values.dtype == np.uint32:
        return np.asarray(values >> 24, np.uint8)
    steps = np.clip(values.astype(np.float32, copy=False), 0.0, 1.0) * np.float32(_STEPS - 1)
    # A table instead of a power per pixel: faster, and the same on every machine.
    return _srgb_table().take((steps + np.float32(0.5)).astype(np.int32))


@cache
def _srgb_table() -> Grey:
    """IEC 61966-2-1, from linear 0..1 in ``_STEPS`` even steps to 8 bits."""
    linear = np.linspace(0.0, 1.0, _STEPS)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(encoded * 255), np.uint8)


def grey_rows(colour: npt.NDArray[Any]) -> Grey:
    """Rows of shape (height, width, 1 or 3), dtypes as :func:`to_8bit`, as the luma that Pillow's mode L has."""
    shown = to_8bit(colour)
    if shown.shape[2] == 1:
        return np.ascontiguousarray(shown[:, :, 0])
    return np.asarray(pillow.fromarray(np.ascontiguousarray(shown)).convert("L"))


def phash(grey: Grey) -> imagehash.ImageHash:
    """The pHash of a grey picture of shape (height, width): an ``imagehash.ImageHash`` of 8 by 8 bits."""
    small = pillow.fromarray(grey).resize((_PICTURE_SIDE, _PICTURE_SIDE), pillow.Resampling.LANCZOS)
    low = low_frequencies(np.asarray(small, np.float64))
    return imagehash.ImageHash(low > np.median(low))


def low_frequencies(cells: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The 8 by 8 lowest terms of the DCT of squares of 32 by 32: shape (..., 32, 32) becomes (..., 8, 8)."""
    cosines = _cosines()
    # Rounded, so that terms which are zero but for the order of additions fall on one side of the median everywhere.
    return np.round(cosines @ cells @ cosines.T, 6)


@cache
def _cosines() -> npt.NDArray[np.float64]:
    """The first rows of the unnormalised DCT-II matrix: ``2 cos(pi k (2 n + 1) / (2 N))``, as scipy.fftpack has it."""
    k = np.arange(_HASH_SIDE)[:, np.newaxis]
    n = np.arange(_PICTURE_SIDE)[np.newaxis, :]
    return np.asarray(2.0 * np.cos(np.pi * k * (2 * n + 1) / (2 * _PICTURE_SIDE)), np.float64)
