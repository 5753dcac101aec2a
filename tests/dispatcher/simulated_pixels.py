"""Pictures that are only known by what is in them: what the simulated farm compares instead of images.

Where two of them differ, the measures are of the size that real renders showed, and the real judge says what follows.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, cast

from renderbros_addon.dispatcher.blobs import BlobStore
from renderbros_addon.imaging.attention import Weights
from renderbros_addon.imaging.checker import ImageChecker
from renderbros_addon.imaging.judge import DEFAULT_TOLERANCE, EXACT, judge
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.verdicts import Comparison, PassMeasures, PerceptualDistances, Tolerance, WorstBlock

ODD_PAIRS = 0.005
"""Of honest pairs of different builds, those that the default tolerance can't tell."""


@dataclass(frozen=True)
class Cheat:
    """What is wrong with pixels. Equal cheats make equal pixels; ``name`` has all that makes them so."""

    name: str
    gross: bool = False
    """It shows another picture, as black frames do; fewer samples don't."""
    spot: Region | None = None
    """Only these pixels of the frame are touched."""

    def touches(self, where: Region) -> bool:
        return self.spot is None or self.spot.intersection(where) is not None


@dataclass(frozen=True)
class Scene:
    """How honest renders of a job differ."""

    hair: bool = False
    """Builds differ nearly everywhere."""
    drifts: bool = False
    """No two renders are alike."""
    parts_differ: Region | None = None
    """Where a part rendered alone has other pixels than in the whole."""


@dataclass(frozen=True)
class Pixels:
    """A rendered region of a frame."""

    job_id: str
    frame: int
    region: Region
    render_class: str | None
    cheat: Cheat | None = None
    nonce: int = 0
    """Tells renders of a scene that drifts apart."""

    @property
    def wrong(self) -> bool:
        return self.cheat is not None and self.cheat.touches(self.region)

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()


class Gallery:
    """Every picture that was ever handed in, by the digest of its file. It stands for the blob store."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._pixels: dict[str, Pixels] = {}

    def add(self, pixels: Pixels) -> str:
        if pixels.cheat is not None and not pixels.wrong:
            pixels = replace(pixels, cheat=None)
        digest = f"{next(self._numbers):064x}"
        self._pixels[digest] = pixels
        return digest

    def __getitem__(self, sha256: str) -> Pixels:
        return self._pixels[sha256]

    def local_copy(self, sha256: str, _: Path) -> Path:
        return Path(sha256)

    def as_blobs(self) -> BlobStore:
        return cast(BlobStore, self)


class Eye:
    """Compares pictures of a gallery. It stands for the process that decodes images."""

    def __init__(self, gallery: Gallery, scenes: dict[str, Scene], random: Random) -> None:
        self._gallery = gallery
        self._scenes = scenes
        self._random = random

    def as_checker(self) -> ImageChecker:
        return cast(ImageChecker, self)

    def attention(self, image: Path, neighbour: Path | None) -> Weights:
        """Nothing is more worth a look than anything else."""
        del image, neighbour
        return ((1.0,),)

    def compare(
        self, expected: Path, actual: Path, region: Region, *, exact: bool, tolerance: Tolerance | None = None
    ) -> Comparison:
        one, other = self._gallery[expected.name], self._gallery[actual.name]
        where = region.shifted(other.region.x0, other.region.y0)
        differing, apart = self._difference(one, other, where)
        allowed = EXACT if exact else tolerance or DEFAULT_TOLERANCE
        passes, perceptual = (_measures(where, differing),), _distances(where, apart)
        verdict, reason = judge(passes, perceptual, allowed)
        return Comparison(
            verdict=verdict, reason=reason, region=where, passes=passes, perceptual=perceptual, tolerance=allowed
        )

    def _difference(self, one: Pixels, other: Pixels, where: Region) -> tuple[float, int]:
        """The fraction of pixels that differ more than slightly, and the bits between the hashes of the pictures."""
        scene = self._scenes[one.job_id]
        seen = [pixels.cheat if pixels.cheat and pixels.cheat.touches(where) else None for pixels in (one, other)]
        if seen[0] != seen[1]:
            gross = any(cheat is not None and cheat.gross for cheat in seen)
            return (0.9, 32) if gross else (0.65, 4)
        if scene.drifts:
            return 0.7, 4
        if scene.parts_differ and one.region != other.region and scene.parts_differ.intersection(where):
            return 0.3, 2
        if one.render_class == other.render_class:
            return 0.0, 0
        if scene.hair:
            return 0.42, 2
        return (0.07 if self._random.random() < ODD_PAIRS else 0.01), 1


def _measures(where: Region, differing: float) -> PassMeasures:
    worst = WorstBlock(region=where, fraction=min(1.0, 1.2 * differing), error=0.1)
    facts: dict[str, Any] = {"name": "ViewLayer.Combined", "channels": ("R", "G", "B", "A"), "not_finite": 0}
    return PassMeasures(
        **facts,
        pixels=where.width * where.height,
        bit_equal=1 - differing,
        beyond_slight=differing,
        beyond_1=differing,
        beyond_4=differing / 2,
        largest=differing,
        mean_ratio={"R": 0.0, "G": 0.0, "B": 0.0},
        worst_block=worst if differing else None,
        sea_equal=1 - differing,
    )


def _distances(where: Region, apart: int) -> PerceptualDistances:
    return PerceptualDistances(whole=apart, grid_mean=apart, grid_worst=apart, grid_worst_region=where)
