"""Where two images differ, as a picture: the expected one in dim grey, and differing pixels in colours over it."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
from PIL import Image as pillow

from ..protocol.regions import Region
from .decode import Pixels
from .errors import ImageError
from .measures import BandDifference
from .phash import Grey

EQUAL, UNSEEN, SMALL, LARGE = range(4)
"""Equal to the last bit; up to 1/255; up to 4/255; beyond."""
_COLOURS = np.array([(0, 0, 0), (40, 70, 160), (250, 190, 40), (255, 40, 30)], np.uint8)
_FRAME = (255, 255, 255)
"""Around the worst block, since one red pixel among millions is overlooked."""
_DIM = 3
"""The grey is so many times darker than the image, so that it is not taken for a difference."""


class Heatmap:
    """Gathers bands from the top down, and writes them as one PNG."""

    def __init__(self) -> None:
        self._bands: list[Pixels] = []

    def take(self, grey: Grey, found: BandDifference) -> None:
        """Add a band: EXPECTED in grey, and how it differs."""
        level = np.where(found.differs, UNSEEN, EQUAL).astype(np.uint8)
        level[found.amount > 1 / 255] = SMALL
        level[found.amount > 4 / 255] = LARGE
        picture = _COLOURS[level]
        calm = level == EQUAL
        picture[calm] = (grey[calm] // _DIM)[:, np.newaxis]
        self._bands.append(picture)

    def write(self, path: Path, worst: Region | None) -> None:
        """Write ``path``, whole or not at all; ``worst`` gets a frame around it. ImageError if it can't be written."""
        picture = np.concatenate(self._bands)
        if worst is not None:
            _frame(picture, worst)
        temporary = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}.part")
        try:
            pillow.fromarray(picture).save(temporary, format="PNG")
            temporary.replace(path)
        except OSError as error:
            raise ImageError(f"{path.name} can't be written: {error.strerror or error}") from error
        finally:
            temporary.unlink(missing_ok=True)


def _frame(picture: Pixels, inside: Region) -> None:
    """A line of one pixel just outside of ``inside``, where the picture reaches so far."""
    height, width = picture.shape[:2]
    x0, x1 = max(0, inside.x0 - 1), min(width, inside.x1 + 1)
    y0, y1 = max(0, inside.y0 - 1), min(height, inside.y1 + 1)
    for edge, outside in ((y0, inside.y0 > 0), (y1 - 1, inside.y1 < height)):
        if outside:
            picture[edge, x0:x1] = _FRAME
    for edge, outside in ((x0, inside.x0 > 0), (x1 - 1, inside.x1 < width)):
        if outside:
            picture[y0:y1, edge] = _FRAME
