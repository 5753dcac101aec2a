"""How much the pixels of two images differ, how many do, and where: gathered band by band. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..protocol.regions import Region
from ..protocol.verdicts import PassMeasures, WorstBlock
from .decode import Pixels
from .judge import CROWD

BLOCK = 16
"""Side of the blocks in which differences are counted, in pixels: a 32x32 tamper fills at least one wherever it lies,
and a block still has pixels enough for a fraction that means something."""

SLIGHT, SLIGHT_LOSSY = 0.01, 0.04
"""Of the brighter value, for floats; see ``PassMeasures.beyond_slight``."""
DARKEST = 1e-3
"""Floats darker than that, where white is 1, are compared as if they were that bright: nobody sees them."""
SLIGHT_CODE, SLIGHT_CODE_LOSSY = 0.5 / 255, 2.5 / 255
"""Of the whole range, for code values. A JPEG of 4.5 and of 5.2 differ by more than half a step in up to 10 % of the
pixels, and by more than 4 steps in 0.04 %: it spreads each last bit over a block of its own."""

_LEAST_AREA = BLOCK * BLOCK // 2
# At the right and bottom edges blocks are cut; a sliver of which one pixel differs has no fraction worth the name.


@dataclass(frozen=True)
class BandDifference:
    """How much each pixel of a band differs; all of shape (height, width)."""

    differs: npt.NDArray[np.bool_]
    """In any bit."""
    slight: npt.NDArray[np.bool_]
    """By more than slightly."""
    amount: npt.NDArray[np.float32]
    """On the scale of :class:`~..protocol.verdicts.PassMeasures`; infinite where finite meets what is not."""


def differences(expected: Pixels, actual: Pixels, *, lossy: bool = False) -> BandDifference:
    """Compare two bands of shape (height, width, channels) and of one dtype: uint8, uint16, uint32, float16, float32.

    Symmetric in its arguments. ``lossy`` says that the images were stored in a format that loses something.
    """
    bits = f"u{expected.dtype.itemsize}"
    unequal = np.ascontiguousarray(expected).view(bits) != np.ascontiguousarray(actual).view(bits)
    differs = unequal.any(axis=2)
    amount = np.zeros(differs.shape, np.float32)
    slight = np.zeros(differs.shape, np.bool_)
    if differs.any():
        # Of honest renders few pixels get here: the slow part is theirs alone.
        amount[differs], slight[differs] = _amounts(expected[differs], actual[differs], lossy)
    return BandDifference(differs, slight, amount)


def _amounts(expected: Pixels, actual: Pixels, lossy: bool) -> tuple[Pixels, Pixels]:
    """Of pixels in a row, shape (pixels, channels): how much they differ, and whether by more than slightly."""
    if expected.dtype.kind != "f":
        scale = float(np.iinfo(expected.dtype).max)
        codes = np.abs(expected.astype(np.float64) - actual.astype(np.float64)).max(axis=1) / scale
        return codes.astype(np.float32), codes > (SLIGHT_CODE_LOSSY if lossy else SLIGHT_CODE)
    a, b = expected.astype(np.float32, copy=False), actual.astype(np.float32, copy=False)
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(a - b)
        larger = np.maximum(np.abs(a), np.abs(b))
        # Infinite on both sides, or not a number on both, is the same; anything else that is not finite is not.
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        broken = ~same & ~np.isfinite(larger)
        # At most 2, of values with opposite signs; the difference of the largest floats overflows.
        amounts = np.minimum(difference / np.maximum(larger, np.float32(1)), np.float32(2))
        bound = np.float32(SLIGHT_LOSSY if lossy else SLIGHT) * np.maximum(larger, np.float32(DARKEST))
        slight = (difference > bound) & ~same
    amounts[same] = 0
    amounts[broken] = np.inf
    return amounts.max(axis=1), (slight | broken).any(axis=1)


class PassMeter:
    """Gathers the measures of one pass from bands that start on multiples of :data:`BLOCK`, from the top down."""

    def __init__(
        self,
        name: str,
        channels: tuple[str, ...],
        width: int,
        height: int,
        *,
        lossy: bool = False,
        picture: bool = False,
    ) -> None:
        """``picture``: busy pixels are to be counted. Those of a lossy format are its artefacts, and are not."""
        self._busy = 0 if picture and not lossy and height > 1 else None
        self._name, self._channels, self._lossy = name, channels, lossy
        self._width, self._height = width, height
        shape = (-(-height // BLOCK), -(-width // BLOCK))
        self._differing: npt.NDArray[Any] = np.zeros(shape, np.int64)
        self._slight: npt.NDArray[Any] = np.zeros(shape, np.int64)
        self._error: npt.NDArray[Any] = np.zeros(shape, np.float64)
        self._beyond = [0, 0]
        self._largest = 0.0
        self._broken = 0
        self._sums: npt.NDArray[Any] = np.zeros((2, len(channels)))

    def take(self, y: int, expected: Pixels, actual: Pixels) -> BandDifference:
        """Add the band that starts at row ``y``; arguments as of :func:`differences`, which it returns."""
        found = differences(expected, actual, lossy=self._lossy)
        self._sums += _finite_sums(expected, actual)
        if self._busy is not None:
            self._busy += _count_busy(expected)
        if found.differs.any():
            rows = slice(y // BLOCK, y // BLOCK + -(-len(expected) // BLOCK))
            self._differing[rows] += _by_block(found.differs)
            self._slight[rows] += _by_block(found.slight)
            self._error[rows] += _by_block(np.minimum(found.amount, 1.0), np.float64)
            # A step of code values divided by 255 or 65535 is off by a rounding or two of float32.
            bounds = (1 / 255 * (1 + 1e-6), 4 / 255 * (1 + 1e-6))
            self._beyond = [
                n + int((found.amount > bound).sum()) for n, bound in zip(self._beyond, bounds, strict=True)
            ]
            self._largest = max(self._largest, float(found.amount.max()))
            self._broken += int(np.isinf(found.amount).sum())
        return found

    def measures(self, origin: tuple[int, int]) -> PassMeasures:
        """What came of it; ``origin`` is where the pixel 0,0 lies in the whole frame, as x, y."""
        pixels = self._width * self._height
        area = self._areas()
        fraction = self._slight / np.maximum(area, min(_LEAST_AREA, pixels))
        calm = fraction < CROWD
        sea = int(area[calm].sum())
        return PassMeasures(
            name=self._name,
            channels=self._channels,
            pixels=pixels,
            bit_equal=1 - int(self._differing.sum()) / pixels,
            beyond_slight=int(self._slight.sum()) / pixels,
            busy=1.0 if self._busy is None else self._busy / (self._height // 2 * self._width),
            beyond_1=self._beyond[0] / pixels,
            beyond_4=self._beyond[1] / pixels,
            largest=self._largest if math.isfinite(self._largest) else None,
            not_finite=self._broken,
            mean_ratio=self._mean_ratios(),
            worst_block=self._worst(fraction, area, origin),
            sea_equal=1 - int(self._differing[calm].sum()) / sea if sea else 0.0,
        )

    def _areas(self) -> npt.NDArray[Any]:
        """Pixels of each block."""
        rows, columns = self._slight.shape
        tall = np.minimum(BLOCK, self._height - BLOCK * np.arange(rows))
        wide = np.minimum(BLOCK, self._width - BLOCK * np.arange(columns))
        return np.asarray(np.outer(tall, wide))

    def _worst(self, fraction: Pixels, area: Pixels, origin: tuple[int, int]) -> WorstBlock | None:
        if not self._differing.any():
            return None
        error = self._error / area
        # By how many pixels differ; among equals, by how much they do. That may be nothing, as of -0.0 and 0.0.
        weight = np.where(self._differing > 0, fraction + 1e-6 * error, -1)
        row, column = (int(i) for i in np.unravel_index(np.argmax(weight), weight.shape))
        x, y = column * BLOCK, row * BLOCK
        inside = Region(x0=x, y0=y, x1=min(x + BLOCK, self._width), y1=min(y + BLOCK, self._height))
        where = inside.shifted(*origin)
        return WorstBlock(
            region=where, fraction=float(fraction[row, column]), error=min(1.0, float(error[row, column]))
        )

    def _mean_ratios(self) -> dict[str, float | None]:
        ratios: dict[str, float | None] = {}
        for name, expected, actual in zip(self._channels, *self._sums.tolist(), strict=True):
            ratio = 0.0 if actual == expected else actual / expected - 1 if expected > 0 else math.inf
            ratios[name] = ratio if math.isfinite(ratio) else None
        return ratios


def _count_busy(pixels: Pixels) -> int:
    """How many pixels in every second row of a band, from its second on, differ more than slightly from the one to the
    left or above. An edge is never between such rows only: it makes busy the row where it begins and the next."""
    if pixels.dtype == np.float16:
        pixels = pixels.astype(np.float32)  # which is faster
    rows = pixels[1::2]
    busy = _slightly_apart(rows, pixels[: 2 * len(rows) : 2])
    busy[:, 1:] |= _slightly_apart(rows[:, 1:], rows[:, :-1])
    return int(busy.sum())


def _slightly_apart(a: Pixels, b: Pixels) -> npt.NDArray[np.bool_]:
    """Whether pixels of one picture differ as much as :func:`differences` calls more than slightly."""
    if a.dtype.kind != "f":
        # By a step of 8 bits, or by half of one if there are more.
        least = np.iinfo(a.dtype).max * SLIGHT_CODE
        return np.asarray((np.maximum(a, b) - np.minimum(a, b) > least).any(axis=2))
    with np.errstate(invalid="ignore", over="ignore"):
        larger = np.maximum(np.maximum(np.abs(a), np.abs(b)), a.dtype.type(DARKEST))
        return np.asarray((np.abs(a - b) > a.dtype.type(SLIGHT) * larger).any(axis=2))


def _finite_sums(expected: Pixels, actual: Pixels) -> npt.NDArray[Any]:
    """Of each channel, over the pixels in which both are finite: shape (2, channels)."""
    with np.errstate(all="ignore"):
        sums = np.stack([image.sum(axis=(0, 1), dtype=np.float64) for image in (expected, actual)])
        if np.isfinite(sums).all():
            return np.asarray(sums)
        finite = np.isfinite(expected) & np.isfinite(actual)
        return np.stack([image.sum(axis=(0, 1), dtype=np.float64, where=finite) for image in (expected, actual)])


def _by_block(pixels: npt.NDArray[Any], dtype: type = np.int64) -> npt.NDArray[Any]:
    """Sums over blocks; those at the right and bottom edges may be cut."""
    height, width = pixels.shape
    across = np.add.reduceat(pixels, np.arange(0, width, BLOCK), axis=1, dtype=dtype)
    return np.asarray(np.add.reduceat(across, np.arange(0, height, BLOCK), axis=0, dtype=dtype))
