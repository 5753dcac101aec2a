"""How far a frame made of tiles is from Blender's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from renderbros_addon.imaging.decode import Pixels, read_channels

MAX_LEVEL = 1
"""Of 255, in any 8-bit pixel, where the assembled frame is denoised or composited."""
MIN_IDENTICAL = 0.9999
"""Share of the 8-bit pixels."""


@dataclass(frozen=True)
class Difference:
    """Between two pairs of pictures, an 8-bit one and one of floats each."""

    max_level: int
    """The farthest that a channel of a pixel is off, in levels of 255."""
    identical: float
    """Share of the pixels that are equal in all channels."""
    max_absolute: float
    """Of the floats."""
    max_relative: float
    """Of the floats: by Blender's own value, or by 0.01 where that is darker."""

    def meets(self, *, exact: bool) -> bool:
        """Whether that is near enough."""
        if exact:
            return self.max_level == 0 and self.identical == 1 and self.max_absolute == 0
        return self.max_level <= MAX_LEVEL and self.identical >= MIN_IDENTICAL


def difference(own: Path, ours: Path) -> Difference:
    """Compare ``own``.png and ``own``.exr with those of ``ours``; ValueError if they differ in kind or size."""
    levels = [_pixels(stem.with_suffix(".png"), np.dtype(np.uint8)) for stem in (own, ours)]
    floats = [_pixels(stem.with_suffix(".exr"), np.dtype(np.float32)) for stem in (own, ours)]
    for expected, actual in (levels, floats):
        if expected.shape != actual.shape:
            raise ValueError(f"the frame has the shape {actual.shape}, Blender's own {expected.shape}")
    off = np.abs(levels[0].astype(np.int16) - levels[1])
    # PNG has colour divided by alpha, so float noise grows without bound where alpha is next to none. A pixel that
    # both round to fully transparent shows no colour, and its floats are compared all the same.
    off[(levels[0][:, :, 0] == 0) & (levels[1][:, :, 0] == 0)] = 0
    # What is infinite or no number in both is equal.
    same = (floats[0] == floats[1]) | (np.isnan(floats[0]) & np.isnan(floats[1]))
    with np.errstate(invalid="ignore"):
        gap = np.where(same, 0.0, np.abs(floats[0].astype(np.float64) - floats[1]))
    gap = np.where(np.isnan(gap), np.inf, gap)
    relative = gap / np.maximum(np.nan_to_num(np.abs(floats[0])), 0.01)
    return Difference(
        max_level=int(off.max()),
        identical=float((off.max(axis=2) == 0).mean()),
        max_absolute=float(gap.max()),
        max_relative=float(relative.max()),
    )


def _pixels(path: Path, kind: np.dtype[np.uint8] | np.dtype[np.float32]) -> Pixels:
    channels = read_channels(path).channels
    if any(plane.dtype != kind for plane in channels.values()):
        raise ValueError(f"{path.name} has pixels of another type than {kind}")
    # By name alpha comes first.
    return np.stack([channels[name] for name in sorted(channels)], axis=2)
