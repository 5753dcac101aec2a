"""The cases of the equality bench, and which of them are enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from itertools import combinations, pairwise, product
from typing import Any

from renderbros_addon.protocol.regions import Region, TileGrid

FRAME = 3
"""The frame that is compared, in the middle of the scenes' motion."""

SCENES = ("product", "interior", "meadow", "titles", "layered")

DENOISERS: dict[str, dict[str, str]] = {
    "off": {},
    "accurate": {"denoising_input_passes": "RGB_ALBEDO_NORMAL", "denoising_prefilter": "ACCURATE"},
    "fast": {"denoising_input_passes": "RGB_ALBEDO_NORMAL", "denoising_prefilter": "FAST"},
    "albedo": {"denoising_input_passes": "RGB_ALBEDO", "denoising_prefilter": "NONE"},
    "colour": {"denoising_input_passes": "RGB"},
}
"""Settings of Cycles by name; all of them with OpenImageDenoise."""

COMPOSITORS = ("off", "glow", "lens", "depth", "mattes", "denoise node")

SPLITS = ("2x2", "3x5", "7x1", "pixels")
"""Grids, and one with rows and columns of a single pixel."""


@dataclass(frozen=True)
class Case:
    """One file to be rendered in both ways."""

    scene: str
    denoiser: str
    compositor: str
    adaptive: bool
    blur: bool
    split: str

    @property
    def exact(self) -> bool:
        """Whether tiles must give the very same pixels: nothing is computed on the assembled frame."""
        return self.denoiser == self.compositor == "off"

    def regions(self, width: int, height: int) -> tuple[Region, ...]:
        """The tiles of a frame of so many pixels."""
        if self.split != "pixels":
            return TileGrid.parse(self.split).regions(width, height)
        xs, ys = (0, 1, width // 2, width // 2 + 1, width), (0, height // 3, height // 3 + 1, height - 1, height)
        return tuple(Region(x0=x0, y0=y0, x1=x1, y1=y1) for y0, y1 in pairwise(ys) for x0, x1 in pairwise(xs))

    def as_row(self) -> dict[str, Any]:
        """Its fields by name."""
        return asdict(self)


def every_case(scenes: Sequence[str] = SCENES) -> list[Case]:
    """Each combination of each value."""
    switch = (False, True)
    return [Case(*values) for values in product(scenes, DENOISERS, COMPOSITORS, switch, switch, SPLITS)]


def enough(cases: Sequence[Case], strength: int) -> list[Case]:
    """A few of ``cases`` in which each combination of ``strength`` values occurs: single values for 1, pairs for 2.

    Faults come from one setting or from two that meet, hardly ever from five at once. What must be exact is chosen
    by itself, so that there is some of it.
    """
    exact = _covering([case for case in cases if case.exact], strength)
    others = _covering([case for case in cases if not case.exact], strength)
    return sorted([*exact, *others], key=lambda case: SCENES.index(case.scene))


def _covering(cases: Sequence[Case], strength: int) -> list[Case]:
    """Greedy and without chance: the same cases each time."""
    missing = {met for case in cases for met in _combinations(case, strength)}
    chosen: list[Case] = []
    while missing:
        best = max(cases, key=lambda case: sum(met in missing for met in _combinations(case, strength)))
        chosen.append(best)
        missing.difference_update(_combinations(best, strength))
    return chosen


def _combinations(case: Case, strength: int) -> Iterator[tuple[tuple[int, Any], ...]]:
    return combinations(enumerate(astuple(case)), strength)
