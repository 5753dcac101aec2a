"""Reading images, in bands of rows, with every limit checked before a pixel is decoded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image as pillow

from ..protocol.regions import MAX_SIDE
from ..protocol.results import Container, PixelType
from .errors import ImageError
from .signatures import container_of

Pixels = npt.NDArray[Any]

MAX_PIXELS = 1 << 28
"""Width times height of the largest frame read: 16384 squared."""
MAX_CHANNELS = 4096
"""Over all parts of a file; as many as a result may name."""
MAX_PARTS = 1024
MAX_NAME = 255
"""Characters in a channel's name: what OpenEXR allows."""
MAX_ROW_BYTES = 1 << 28
MAX_TILE_ROW_BYTES = 1 << 30
"""Of a row of the tiles that a tiled EXR or TIFF is stored in; unrelated to the farm's tiles."""
BAND_BYTES = 1 << 25
"""Rows are read so many bytes at a time, at least one chunk of the compression."""

CONTAINERS: tuple[Container, ...] = get_args(Container)
DTYPES: dict[PixelType, np.dtype[Any]] = {
    "uint8": np.dtype(np.uint8),
    "uint16": np.dtype(np.uint16),
    "uint32": np.dtype(np.uint32),
    "half": np.dtype(np.float16),
    "float": np.dtype(np.float32),
}
# OpenImageIO calls one of them otherwise.
_TYPES: dict[str, PixelType] = {"uint" if kind == "uint32" else kind: kind for kind in DTYPES}
_NAMES = {DTYPES[kind]: name for name, kind in _TYPES.items()}

# A band starts on a multiple of the tallest chunk that OpenEXR compresses (DWAB), so that none is unpacked twice.
_CHUNK_ROWS = 256


@dataclass(frozen=True)
class Part:
    """One part (subimage) of a file."""

    index: int
    width: int
    height: int
    channels: tuple[str, ...]
    types: tuple[PixelType, ...]
    """Of each channel, as stored."""
    spec: Any
    """OpenImageIO's ImageSpec, with all metadata; None for a file that it can't read."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the rows as read: the stored type, or float32, which holds every half, where both occur."""
        return DTYPES[self.types[0] if len(set(self.types)) == 1 else "float"]

    @property
    def row_bytes(self) -> int:
        return self.width * len(self.channels) * self.dtype.itemsize


@dataclass(frozen=True)
class Image:
    """A decoded file."""

    container: Container
    width: int
    height: int
    channels: dict[str, Pixels]
    """By name; each of shape (height, width), top row first, in the stored dtype."""


class ImageFile:
    """An open image file. Its parts are of one size, their channels' names all differ, none is deep.

    Alpha is as stored: where a format stores colour unassociated with alpha (PNG, TIFF), so it is read.
    """

    container: Container
    width: int
    height: int
    parts: tuple[Part, ...]

    def __init__(self, path: Path, *, max_pixels: int = MAX_PIXELS, max_channels: int = MAX_CHANNELS) -> None:
        """Open ``path`` and read its headers; ImageError if it is no image, broken, or beyond a limit."""
        self.path = path
        self._whole: Pixels | None = None
        if not path.is_file():
            raise ImageError(f"there is no file {path.name}")
        self._input: Any = None
        told = container_of(path)
        if told is None:
            raise ImageError(
                f"{path.name} is no image that can be read: its first bytes are those of no render's format"
            )
        # Here, because a renderer that only looks into scenes or renders whole frames does without.
        import OpenImageIO as oiio

        config = oiio.ImageSpec()
        config.attribute("oiio:UnassociatedAlpha", 1)
        self._input = oiio.ImageInput.open(str(path), config)
        if self._input is None:
            reason = self._why(oiio.geterror)
            if told != "jpeg2000":
                raise ImageError(f"{path.name} is no image that can be read: {reason}")
            self._open_jpeg2000(max_pixels)
            return
        try:
            container = self._input.format_name()
            if container not in CONTAINERS:
                raise ImageError(f"{path.name} is of a format that no render has: {container}")
            self.container = container
            self.parts = tuple(self._parts(max_pixels, max_channels))
        except BaseException:
            self.close()
            raise
        self.width, self.height = self.parts[0].width, self.parts[0].height

    def _parts(self, max_pixels: int, max_channels: int) -> Iterator[Part]:
        seen: set[str] = set()
        size: tuple[int, int] | None = None
        index = 0
        while self._input.seek_subimage(index, 0):
            spec = self._input.spec()
            if index >= MAX_PARTS:
                raise ImageError(f"{self.path.name} has more than {MAX_PARTS} parts")
            _check_size(self.path, spec.width, spec.height, max_pixels)
            if spec.depth > 1 or spec.deep:
                raise ImageError(f"{self.path.name} is a deep or volume image")
            if size is not None and size != (spec.width, spec.height):
                raise ImageError(f"the parts of {self.path.name} differ in size")
            size = (spec.width, spec.height)
            if spec.nchannels < 1 or len(seen) + spec.nchannels > max_channels:
                raise ImageError(f"{self.path.name} has no channels, or more than {max_channels}")
            part = Part(index, spec.width, spec.height, self._names(spec), self._types(spec), spec)
            if spec.tile_height * part.row_bytes > MAX_TILE_ROW_BYTES:
                raise ImageError(f"{self.path.name} is stored in tiles larger than any render has")
            if part.row_bytes > MAX_ROW_BYTES:
                raise ImageError(f"a row of {self.path.name} has {part.row_bytes} bytes, more than {MAX_ROW_BYTES}")
            for name in part.channels:
                if not name.isprintable() or not 1 <= len(name) <= MAX_NAME:
                    raise ImageError(f"{self.path.name} has a channel with a name that no render has: {name[:80]!r}")
                if name in seen:
                    raise ImageError(f"{self.path.name} has two channels of the same name: {name!r}")
                seen.add(name)
            yield part
            index += 1
        if index == 0:
            raise ImageError(f"{self.path.name} holds no image: {self._why(self._input.geterror)}")

    def _names(self, spec: Any) -> tuple[str, ...]:
        # OpenImageIO numbers Cineon's channels by a table of its own and calls Blender's red, green and blue otherwise.
        if self.container == "cineon" and spec.nchannels == 3:
            return ("R", "G", "B")
        try:
            names = tuple(str(name) for name in spec.channelnames)
            view = str(spec.get_string_attribute("view"))
        except UnicodeDecodeError as error:
            raise ImageError(f"{self.path.name} has a channel with a name that no render has") from error
        # Blender 5 has each view of a stereo frame in parts of its own and not in the names; before, LAYER.PASS.VIEW.R.
        return tuple(_with_view(name, view) for name in names) if view else names

    def _types(self, spec: Any) -> tuple[PixelType, ...]:
        formats = spec.channelformats or (spec.format,) * spec.nchannels
        names = [str(kind) for kind in formats]
        types = tuple(_TYPES[name] for name in names if name in _TYPES)
        if len(types) < len(names) or (len(set(types)) > 1 and not set(types) <= {"half", "float"}):
            raise ImageError(f"{self.path.name} has channels of types that no render has: {sorted(set(names))}")
        return types

    def _open_jpeg2000(self, max_pixels: int) -> None:
        # Not every build of OpenImageIO reads JPEG 2000; Pillow does.
        try:
            with pillow.open(self.path, formats=["JPEG2000"]) as image:
                _check_size(self.path, image.width, image.height, max_pixels)
                whole = np.asarray(image)
        except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
            raise ImageError(f"{self.path.name} is a broken JPEG 2000: {error}") from error
        self._whole = whole if whole.ndim == 3 else whole[:, :, np.newaxis]
        names = {1: ("Y",), 2: ("Y", "A"), 3: ("R", "G", "B"), 4: ("R", "G", "B", "A")}.get(self._whole.shape[2])
        kind: PixelType | None = {"uint8": "uint8", "uint16": "uint16"}.get(self._whole.dtype.name)  # type: ignore[assignment]
        if names is None or kind is None:
            raise ImageError(f"{self.path.name} has channels that no render has")
        self.container = "jpeg2000"
        self.height, self.width = whole.shape[:2]
        self.parts = (Part(0, self.width, self.height, names, (kind,) * len(names), None),)

    def _why(self, geterror: Callable[[], str]) -> str:
        try:
            reason = geterror()
        except UnicodeDecodeError:
            reason = "its headers are garbled"
        # One line, and without the folder: the message may travel to people who have no business knowing it.
        first = next(iter(reason.strip().splitlines()), "no reason given")
        return first.replace(str(self.path), self.path.name)[:300]

    @property
    def channels(self) -> tuple[str, ...]:
        """Names over all parts, in the file's order."""
        return tuple(name for part in self.parts for name in part.channels)

    def rows(self, part: Part, y0: int, y1: int) -> Pixels:
        """Rows ``y0 <= y < y1`` of a part, counted from its top: shape (y1 - y0, width, channels), ``part.dtype``."""
        if self._whole is not None:
            return self._whole[y0:y1]
        spec, count = part.spec, len(part.channels)
        wanted = _NAMES[part.dtype]
        top, bottom = spec.y + y0, spec.y + y1
        if spec.tile_width:
            # OpenImageIO reads whole rows of tiles only.
            high = min(spec.y + spec.height, spec.y + -(-y1 // spec.tile_height) * spec.tile_height)
            low = spec.y + y0 // spec.tile_height * spec.tile_height
            read = self._input.read_tiles(part.index, 0, spec.x, spec.x + spec.width, low, high, 0, 1, 0, count, wanted)
            if read is not None:
                read = read.reshape(high - low, spec.width, count)[top - low : bottom - low]
        else:
            read = self._input.read_scanlines(part.index, 0, top, bottom, 0, 0, count, wanted)
        if read is None:
            raise ImageError(f"{self.path.name} is broken: {self._why(self._input.geterror)}")
        return cast(Pixels, read.reshape(y1 - y0, part.width, count))

    def bands(self, part: Part) -> Iterator[tuple[int, Pixels]]:
        """The rows of a part in bands from the top, each with the row it starts at; see :meth:`rows`."""
        step = max(1, BAND_BYTES // part.row_bytes)
        if step > _CHUNK_ROWS:
            step -= step % _CHUNK_ROWS
        else:
            # Below that, halve down from the tallest chunk: most compressions pack 1, 16 or 32 rows.
            step = 1 << (step.bit_length() - 1)
        if part.spec is not None and part.spec.tile_height > 1:
            step = max(1, step // part.spec.tile_height) * part.spec.tile_height
        for y in range(0, part.height, step):
            yield y, self.rows(part, y, min(part.height, y + step))

    def close(self) -> None:
        if self._input is not None:
            with contextlib.suppress(Exception):
                self._input.close()
        self._whole = None

    def __enter__(self) -> ImageFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        self.close()
        return False


def open_exr(path: Path) -> ImageFile:
    """``path`` as an :class:`ImageFile`; ImageError also if it is an image of another format."""
    file = ImageFile(path)
    if file.container != "openexr":
        file.close()
        raise ImageError(f"{path.name} is {file.container}, not openexr")
    return file


def read_channels(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Every channel of every part of ``path``; ImageError as :class:`ImageFile` raises it.

    The whole image lies in memory afterwards; what can work band by band uses :class:`ImageFile`.
    """
    with ImageFile(path, max_pixels=max_pixels) as file:
        channels: dict[str, Pixels] = {}
        for part in file.parts:
            for name, kind in zip(part.channels, part.types, strict=True):
                channels[name] = np.empty((file.height, file.width), DTYPES[kind])
            for y, rows in file.bands(part):
                for i, name in enumerate(part.channels):
                    channels[name][y : y + len(rows)] = rows[:, :, i]
        return Image(file.container, file.width, file.height, channels)


def _with_view(name: str, view: str) -> str:
    before, dot, last = name.rpartition(".")
    return name if not dot or before.endswith(f".{view}") else f"{before}.{view}.{last}"


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ImageError(f"{path.name} is {width}x{height} pixels; a side has 1 to {MAX_SIDE}")
    if width * height > max_pixels:
        raise ImageError(f"{path.name} is {width}x{height} pixels, more than the {max_pixels} allowed")
