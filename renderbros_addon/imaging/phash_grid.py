"""Perceptual hashes of the cells of a grid over a picture, all at once.

Each equals :func:`~.phash.phash` of its cell, and so ``imagehash.phash``; the grid is of the frame and not of pixels,
so that a small preview and the frame have the same cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as pillow

from .phash import Grey, low_frequencies

CELL = 32
"""Pixels along a side of a cell once the picture is scaled: what a hash is taken of."""
COLUMNS, ROWS = 8, 8

Bits = npt.NDArray[np.bool_]


def phash_grid(grey: Grey, columns: int = COLUMNS, rows: int = ROWS) -> Bits:
    """The hashes of a grey picture of shape (height, width), of any size: bits of shape (rows, columns, 8, 8)."""
    whole = pillow.fromarray(grey).resize((columns * CELL, rows * CELL), pillow.Resampling.LANCZOS)
    cells = np.asarray(whole, np.float64).reshape(rows, CELL, columns, CELL).swapaxes(1, 2)
    low = low_frequencies(cells)
    return np.asarray(low > np.median(low, axis=(2, 3), keepdims=True))


def grid_text(grid: Bits) -> str:
    """``grid`` as :data:`~..protocol.results.HashGrid` has it: each cell as imagehash prints it, row by row."""
    return np.packbits(grid).tobytes().hex()


def grid_distances(expected: Bits, actual: Bits) -> npt.NDArray[Any]:
    """Bits that differ, 0 to 64, for each cell of two grids of one shape: shape (rows, columns)."""
    return np.asarray((expected != actual).sum(axis=(2, 3)))
