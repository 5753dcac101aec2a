"""Frames that are not finished, as far as they have come: a file of floats that a Blender takes in at one go."""

from __future__ import annotations

import contextlib
import math
import tempfile
from pathlib import Path

import numpy as np

from ..client.errors import NotFound
from ..client.http import DispatcherClient
from ..imaging.channels import picture_of
from ..imaging.decode import ImageFile, Pixels
from ..protocol.desk import Unfinished
from ..protocol.jobs import TileView

MAX_PIXELS = 1 << 21
"""Of a picture: a larger frame is shown smaller, since taking in more would hold Blender up (10 ms for so many)."""


class Picture:
    """One frame of a job, shown while its tiles come in; ``width`` and ``height`` are the frame's."""

    def __init__(self, job: str, frame: int, width: int, height: int, of_tiles: int, folder: Path) -> None:
        self.job, self.frame, self.of_tiles = job, frame, of_tiles
        self._every = max(1, math.ceil(math.sqrt(width * height / MAX_PIXELS)))
        """Of so many columns and rows one is shown."""
        self._pixels = np.zeros((len(range(0, height, self._every)), len(range(0, width, self._every)), 4), np.float32)
        self._known: set[str] = set()
        self._folder = folder
        self._count = 0
        self._last: list[Path] = []

    def take(self, client: DispatcherClient, tiles: tuple[TileView, ...]) -> Unfinished | None:
        """Bring the tiles that are new; the picture with them, None if none came."""
        new = 0
        for tile in tiles:
            if tile.output.sha256 in self._known:
                continue
            with tempfile.TemporaryDirectory(dir=self._folder) as place:
                path = Path(place) / "tile.exr"
                try:
                    client.download(tile.output.sha256, tile.output.size, path)
                except NotFound:
                    continue  # The frame is finished by now.
                self._put(tile, path)
            self._known.add(tile.output.sha256)
            new += 1
        return self._written() if new else None

    def _put(self, tile: TileView, path: Path) -> None:
        region, every = tile.region, self._every
        with ImageFile(path) as image:
            names = picture_of(image.channels)
            for part in image.parts:
                channels = {name: 3 if name == names.alpha else i for i, name in enumerate(names.names)}
                columns = [(i, channels[name]) for i, name in enumerate(part.channels) if name in channels]
                for y, rows in image.bands(part) if columns else ():
                    first = -(region.y0 + y) % every
                    left = -region.x0 % every
                    seen: Pixels = rows[first::every, left::every]
                    if not seen.size:
                        continue
                    top, x = (region.y0 + y + first) // every, (region.x0 + left) // every
                    target = self._pixels[top : top + seen.shape[0], x : x + seen.shape[1]]
                    for column, channel in columns:
                        target[..., channel] = seen[..., column]
                    if names.alpha is None:
                        target[..., 3] = 1.0
                    if len(names.colour) == 1:
                        target[..., 1] = target[..., 2] = target[..., 0]

    def _written(self) -> Unfinished:
        self._count += 1
        path = self._folder / f"{self.job}-{self.frame}-{self._count}.rgba"
        # Blender's first row is the bottom one.
        np.ascontiguousarray(self._pixels[::-1]).tofile(path)
        # Blender may still be reading the one before.
        self._last.append(path)
        while len(self._last) > 2:
            with contextlib.suppress(OSError):
                self._last.pop(0).unlink()
        height, width = self._pixels.shape[:2]
        return Unfinished(
            job=self.job,
            frame=self.frame,
            path=str(path),
            width=width,
            height=height,
            tiles=len(self._known),
            of_tiles=self.of_tiles,
        )
