"""What a comparison of two images came to: measures, the tolerance they were held against, a verdict."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import MAX_COUNT, Wire
from .regions import Region

Verdict = Literal["match", "mismatch", "inconclusive"]
"""Inconclusive gives no credit and no penalty: honest work and a cheat could both look like that."""


LEAST_BUSY = 0.01
"""Of a picture with fewer busy pixels, a single one that differs would tell too much."""


class Tolerance(Wire):
    """Up to ``few`` an image may pass, from ``many`` on it is refused; between them nothing can be told.

    All are fractions: of pixels, of a block's pixels, or of a channel's mean.
    """

    origin: Literal["default", "exact", "calibrated"] = "default"
    """``exact`` is for two renders of one class: every bit must be equal. ``calibrated`` comes from two honest ones."""
    usable: bool = True
    """False if honest renders differ so much that only gross fraud can be told from them."""
    few: float = Field(ge=0, le=1)
    """Of the pixels that can tell, those that differ more than slightly: see :attr:`PassMeasures.told`."""
    many: float = Field(ge=0, le=1)
    block_few: float = Field(ge=0, le=1)
    """The same within the worst block."""
    block_many: float = Field(ge=0, le=1)
    mean_few: float = Field(ge=0, le=1)
    """How much a colour's mean may be off, either way."""
    mean_many: float = Field(ge=0, le=1)
    other_picture: int = Field(default=22, ge=0, le=65)
    """Bits of 64 from which the hashes of two pictures say that they show something else: an eighth of the samples
    gives up to 8, another build up to 2, a missing object 6 to 20, a blank frame about 32. From 65 on, never."""


class WorstBlock(Wire):
    """The block that differs most, in pixels of ACTUAL's whole frame."""

    region: Region
    fraction: float = Field(ge=0, le=1)
    """Of its pixels, those that differ more than slightly."""
    error: float = Field(ge=0, le=1)
    """Mean difference of its pixels on the scale of ``PassMeasures``, each counted as 1 at most."""


class PassMeasures(Wire):
    """How two images of one pass differ. A pixel differs as much as the channel of it that differs most.

    The scale is 1 for the whole range of code values, and for white in linear floats; of floats beyond white the
    larger is 1. What is not finite, and not the same in both, differs by more than any bound.
    """

    name: str
    """Such as ``ViewLayer.Combined``; ``picture`` where channels have no layer, as in a PNG."""
    channels: tuple[str, ...] = Field(min_length=1)
    pixels: int = Field(ge=1, le=MAX_COUNT)
    bit_equal: float = Field(ge=0, le=1)
    """Fraction of pixels whose every bit is the same."""
    beyond_slight: float = Field(ge=0, le=1)
    """Fraction that differs by more than 1 % of the brighter value (floats), or half of 1/255 (code values); where the
    format loses something itself, by more than 4 %, or 2.5/255."""
    busy: float = Field(default=1, ge=0, le=1)
    """Fraction of EXPECTED's pixels that differ more than slightly from the one to the left or above: where there is no
    noise, no detail and no edge, fewer samples make the same picture. Measured in every second row; 1 if it was not."""
    beyond_1: float = Field(ge=0, le=1)
    """Fraction that differs by more than 1/255."""
    beyond_4: float = Field(ge=0, le=1)
    """Fraction that differs by more than 4/255."""
    largest: float | None = Field(ge=0)
    """The largest difference; None if one is not finite."""
    not_finite: int = Field(ge=0, le=MAX_COUNT)
    """Pixels that differ and are infinite or not a number in one of the images."""
    mean_ratio: dict[str, float | None]
    """By channel, ACTUAL's mean over EXPECTED's, less 1: -0.02 is two percent darker. None if EXPECTED's is no more
    than 0, as in normals."""
    worst_block: WorstBlock | None
    """None if every pixel is equal."""
    sea_equal: float = Field(ge=0, le=1)
    """Fraction of bit-equal pixels outside the blocks in which differences crowd."""

    @property
    def told(self) -> float:
        """``beyond_slight`` as a part of the busy pixels, 1 at most."""
        return min(1.0, self.beyond_slight / max(self.busy, LEAST_BUSY))


class PerceptualDistances(Wire):
    """Of the pictures as a screen shows them, in bits of 64: 0 is the same to the hash, 32 is chance."""

    whole: int = Field(ge=0, le=64)
    grid_mean: float = Field(ge=0, le=64)
    """Over the cells of a grid, each with a hash of its own; cells that show only noise are far from anything."""
    grid_worst: int = Field(ge=0, le=64)
    grid_worst_region: Region
    """In pixels of ACTUAL's whole frame."""


class Comparison(Wire):
    """The outcome of ``renderbros verify``, and evidence in a dispute."""

    verdict: Verdict
    reason: str
    """A sentence for people."""
    region: Region
    """What was compared, in pixels of ACTUAL's whole frame."""
    passes: tuple[PassMeasures, ...] = Field(min_length=1)
    """The picture (or the first Combined) first, then every other pass that both have."""
    perceptual: PerceptualDistances
    tolerance: Tolerance
    only_expected: tuple[str, ...] = ()
    """Channels that ACTUAL lacks."""
    only_actual: tuple[str, ...] = ()
