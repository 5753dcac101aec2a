"""Where to look: regions of a picture, drawn so that nobody can know which, and more often where a cheat would pay.

A cheat saves time where there is noise, detail and motion, but one that is never looked at elsewhere would cheat there:
half of the draws go by a map of these (:mod:`.attention_map`), the other half know nothing of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from random import Random

from ..protocol.regions import Region

Weights = tuple[tuple[float, ...], ...]
"""Rows of the weights of equal blocks of a picture, none negative; how they compare is all that counts."""

MOST_BLOCKS = 32
"""Along a side of a picture."""

BLIND_SHARE = 0.5
"""Of the draws: every place of the picture is as likely in them, whatever the map says, which comes out of a process
that has decoded an image nobody trusts."""

_TRIES = 20
"""To find a region that has no pixel in common with those drawn before."""


def draw_regions(
    weights: Weights, within: Region, size: tuple[int, int], count: int, random: Random
) -> tuple[Region, ...]:
    """``count`` regions inside ``within``, all different, that lie apart where there is room.

    ``weights`` are spread evenly over ``within``. Regions are ``size`` (width, height) pixels large, or as large as
    ``within`` along a side that is shorter; fewer come back where there are no more places to put them. ``random`` is a
    ``secrets.SystemRandom()`` wherever somebody may gain from knowing what is drawn.

    ValueError for weights that are none, or a size or count below 1.
    """
    if min(*size, count) < 1:
        raise ValueError(f"regions have at least one pixel, and at least one is drawn, not {count} of {size}")
    blocks = _Blocks(weights, within)
    width, height = min(size[0], within.width), min(size[1], within.height)
    places = (within.width - width + 1) * (within.height - height + 1)
    drawn: list[Region] = []
    while len(drawn) < min(count, places):
        region = None
        for _ in range(_TRIES):
            found = _place(blocks, within, width, height, random)
            if found not in drawn:
                region = found
                if not any(found.intersection(other) for other in drawn):
                    break
        drawn.append(region or _first_free(drawn, within, width, height))
    return tuple(drawn)


def _place(blocks: _Blocks, within: Region, width: int, height: int, random: Random) -> Region:
    """A region that has a pixel in common with a block, any such place being as likely: so are the block's pixels."""
    aimed = within if random.random() < BLIND_SHARE else blocks.draw(random)
    x = random.randrange(aimed.x0 - width + 1, aimed.x1)
    y = random.randrange(aimed.y0 - height + 1, aimed.y1)
    # What would reach over the edge is moved inside, or pixels there would be seen less often than others.
    x = min(max(x, within.x0), within.x1 - width)
    y = min(max(y, within.y0), within.y1 - height)
    return Region(x0=x, y0=y, x1=x + width, y1=y + height)


def _first_free(drawn: Sequence[Region], within: Region, width: int, height: int) -> Region:
    """Where luck found no place that was not drawn yet: almost all are."""
    taken = {(region.x0, region.y0) for region in drawn}
    x, y = next(
        (x, y)
        for y in range(within.y0, within.y1 - height + 1)
        for x in range(within.x0, within.x1 - width + 1)
        if (x, y) not in taken
    )
    return Region(x0=x, y0=y, x1=x + width, y1=y + height)


class _Blocks:
    """The blocks of a picture at ``within`` that can be drawn by their weights."""

    def __init__(self, weights: Weights, within: Region) -> None:
        flat = [weight for row in weights for weight in row]
        if not flat or any(len(row) != len(weights[0]) for row in weights) or len(weights[0]) == 0:
            raise ValueError("weights are rows of equal length, at least one")
        if not all(math.isfinite(weight) and weight >= 0 for weight in flat):
            raise ValueError("weights are finite and not negative")
        self._within = within
        self._rows, self._columns = len(weights), len(weights[0])
        # Where all are 0 there is nothing to choose by.
        self._sums = list(accumulate(flat if any(flat) else [1.0] * len(flat)))

    def draw(self, random: Random) -> Region:
        [number] = random.choices(range(len(self._sums)), cum_weights=self._sums)
        row, column = divmod(number, self._columns)
        x0, x1 = _part(self._within.width, column, self._columns)
        y0, y1 = _part(self._within.height, row, self._rows)
        return Region(x0=x0, y0=y0, x1=x1, y1=y1).shifted(self._within.x0, self._within.y0)


def _part(length: int, number: int, parts: int) -> tuple[int, int]:
    """The pixels that the part ``number`` of ``parts`` lies on, at least one."""
    start = min(length * number // parts, length - 1)
    return start, max(start + 1, length * (number + 1) // parts)
