"""Where a picture has noise, detail and motion: what costs samples, and where a cheat saves them. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .attention import MOST_BLOCKS
from .errors import ImageError
from .phash import Grey

_LEAST_SIDE = 8
"""Pixels of a block, where the picture has so many: in fewer there is nothing to average."""

Map = NDArray[np.float64]


def attention_map(picture: Grey, neighbour: Grey | None = None) -> Map:
    """Weights of the blocks of ``picture``, of shape (rows, columns) with at most 32 of each; their sum is 1.

    A block's weight is its share of the differences between neighbouring pixels, and as much again its share of the
    differences from ``neighbour``, the picture of a frame before or after, if that is given and differs at all. The
    weights are equal where the picture is flat all over. ImageError if the two pictures differ in size.
    """
    if neighbour is not None and neighbour.shape != picture.shape:
        raise ImageError(
            f"a frame of {picture.shape[1]}x{picture.shape[0]} pixels has no neighbour of "
            f"{neighbour.shape[1]}x{neighbour.shape[0]}"
        )
    height, width = picture.shape
    rows, columns = (max(1, min(MOST_BLOCKS, side // _LEAST_SIDE)) for side in (height, width))
    detail, motion = np.zeros((rows, columns)), np.zeros((rows, columns))
    lefts = [width * column // columns for column in range(columns)]
    for row in range(rows):
        # A row of blocks at a time, since differences take four times the picture's bytes.
        y0, y1 = height * row // rows, height * (row + 1) // rows
        band = picture[y0 : min(y1 + 1, height)].astype(np.int16)
        across, down = np.abs(np.diff(band[: y1 - y0], axis=1)), np.abs(np.diff(band, axis=0))
        steps = down.sum(axis=0, dtype=np.int64)
        steps[:-1] += across.sum(axis=0, dtype=np.int64)
        detail[row] = np.add.reduceat(steps, lefts)
        if neighbour is not None:
            moved = np.abs(band[: y1 - y0] - neighbour[y0:y1])
            motion[row] = np.add.reduceat(moved.sum(axis=0, dtype=np.int64), lefts)
    shares = [found / found.sum() for found in (detail, motion) if found.sum() > 0]
    if not shares:
        return np.full((rows, columns), 1 / (rows * columns))
    return np.asarray(sum(shares) / len(shares))
