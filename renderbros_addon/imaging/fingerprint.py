"""The facts about an image file that verification rests on: digests, perceptual hash, size, channels."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..protocol.results import Output, PixelType
from .channels import Picture, picture_of
from .decode import DTYPES, MAX_CHANNELS, MAX_PIXELS, ImageFile, Part, Pixels
from .errors import ImageError
from .phash import Grey, grey_rows, phash, to_8bit
from .phash_grid import grid_text, phash_grid

_DIGEST_NAME = b"renderbros pixels 1\n"


def inspect_image(
    path: Path, *, max_pixels: int = MAX_PIXELS, max_channels: int = MAX_CHANNELS, finite: bool = True
) -> Output:
    """Decode ``path`` to the last pixel and tell its facts.

    The pixel digest is the SHA-256 of a line for each channel, sorted by name: its name, its stored type, its width and
    height and the SHA-256 of its values as little-endian bytes, row by row from the top. So it depends on the pixels
    and on nothing else in the file: neither metadata, compression, the order of channels nor their spread over parts.

    The perceptual hashes, of the whole and of a grid's cells, are of the picture (:func:`~.channels.picture_of`) as
    :func:`~.phash.to_8bit` shows it; the grid is taken of it over black, since the colours of pixels that are hardly
    covered say more of the resolution than of what is shown. The file is read in bands; beyond them, a byte a pixel is
    held, or two where something is transparent.

    ImageError if the file is no image, is broken, is beyond a limit of :class:`~.decode.ImageFile`, or, if ``finite``,
    holds a value that is not finite. (Depth is infinite in half floats where there is only sky.)
    """
    with path.open("rb") if path.is_file() else _missing(path) as raw:
        sha256 = hashlib.file_digest(raw, "sha256").hexdigest()
        size = raw.tell()
    with ImageFile(path, max_pixels=max_pixels, max_channels=max_channels) as file:
        picture = picture_of(file.channels)
        look = _Look(file, picture, finite)
        digests: dict[str, str] = {}
        for part in file.parts:
            digests.update(_digest_part(file, part, look, finite))
        return Output(
            sha256=sha256,
            size=size,
            pixel_digest=_combine(digests),
            phash=str(phash(look.grey)),
            grid=grid_text(phash_grid(look.grey if look.covered is None else look.covered)),
            width=file.width,
            height=file.height,
            channels=file.channels,
            pixel_type=look.pixel_type,
            container=file.container,
            blank=look.blank,
        )


def read_grey(path: Path) -> Grey:
    """The picture of ``path`` as people see it, in one byte a pixel: shape (height, width). ImageError as above."""
    with ImageFile(path) as file:
        look = _Look(file, picture_of(file.channels), finite=False)
        for y, rows in file.bands(file.parts[look.home]):
            look.take(y, rows)
        return look.grey


class _Look:
    """Gathers what needs the picture's own channels, from the bands of the part that has them."""

    def __init__(self, file: ImageFile, picture: Picture, finite: bool) -> None:
        self._finite = finite
        home = next(part for part in file.parts if picture.colour[0] in part.channels)
        if not set(picture.names) <= set(home.channels):
            raise ImageError(f"the picture of {file.path.name} is spread over several parts")
        self.home = home.index
        self._colour = [home.channels.index(name) for name in picture.colour]
        self._all = [home.channels.index(name) for name in picture.names]
        types = {home.types[i] for i in self._all}
        self.pixel_type: PixelType | None = types.pop() if len(types) == 1 else None
        self.grey: Grey = np.empty((file.height, file.width), np.uint8)
        self.covered: Grey | None = None
        """Over black; None while that is the same."""
        self._alpha = home.channels.index(picture.alpha) if picture.alpha is not None else None
        self._first: list[Any] | None = None
        self.blank = True

    def take(self, y: int, rows: Pixels) -> None:
        # A slice where possible: fancy indexing of the last axis is slow.
        low, high = min(self._colour), max(self._colour) + 1
        in_order = self._colour == list(range(low, high))
        colour = rows[:, :, low:high] if in_order else rows[:, :, self._colour]
        if not self._finite and colour.dtype.kind == "f":
            colour = np.nan_to_num(colour)
        grey = grey_rows(colour)
        self.grey[y : y + len(rows)] = grey
        self._cover(y, grey, rows)
        if self._first is None:
            self._first = [rows[0, 0, i] for i in self._all]
        self.blank = self.blank and all(
            bool((rows[:, :, i] == value).all()) for i, value in zip(self._all, self._first, strict=True)
        )

    def _cover(self, y: int, grey: Grey, rows: Pixels) -> None:
        # Floats are stored multiplied by alpha.
        if self._alpha is None or rows.dtype.kind == "f":
            return
        alpha = to_8bit(rows[:, :, self._alpha])
        if self.covered is None:
            if bool((alpha == 255).all()):
                return
            self.covered = self.grey.copy()
        self.covered[y : y + len(rows)] = (grey.astype(np.uint16) * alpha + 127) // 255


def _digest_part(file: ImageFile, part: Part, look: _Look, finite: bool) -> dict[str, str]:
    stored = [DTYPES[kind].newbyteorder("<") for kind in part.types]
    hashes = [hashlib.sha256() for _ in part.channels]
    for y, rows in file.bands(part):
        if finite:
            _check_finite(file.path, part, y, rows)
        for i, dtype in enumerate(stored):
            hashes[i].update(np.ascontiguousarray(rows[:, :, i], dtype).data)
        if part.index == look.home:
            look.take(y, rows)
    size = f"{part.width}x{part.height}"
    return {
        name: f"{kind} {size} {pixels.hexdigest()}"
        for name, kind, pixels in zip(part.channels, part.types, hashes, strict=True)
    }


def _combine(digests: dict[str, str]) -> str:
    whole = hashlib.sha256(_DIGEST_NAME)
    for name in sorted(digests):
        # Lengths first, so that no name can pass for the end of another's line.
        encoded = name.encode()
        whole.update(b"%d %b %b\n" % (len(encoded), encoded, digests[name].encode()))
    return whole.hexdigest()


def _check_finite(path: Path, part: Part, y: int, rows: Pixels) -> None:
    if rows.dtype.kind != "f":
        return
    # The sum is finite if all terms are, but for overflow: one pass without a mask for nearly every band.
    with np.errstate(all="ignore"):
        if math.isfinite(float(rows.sum(dtype=np.float64))):
            return
    bad = np.argwhere(~np.isfinite(rows))
    if len(bad):
        row, x, channel = (int(i) for i in bad[0])
        raise ImageError(
            f"{path.name} has {rows[row, x, channel]} in channel {part.channels[channel]!r} "
            f"at pixel {x},{y + row} (and {len(bad) - 1} more such values nearby)"
        )


def _missing(path: Path) -> Any:
    raise ImageError(f"there is no file {path.name}")
