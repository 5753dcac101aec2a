"""Writing an image part by part, band by band, so that a whole file or none appears."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..protocol.on_disk import sync_folder
from ..protocol.results import Container
from .decode import ImageFile, Part, Pixels
from .errors import ImageError

_LOSSLESS = ("none", "rle", "zip", "zips", "piz", "htj2k")
# What describes the source's own storage and would contradict the new file's.
_OF_THE_SOURCE = ("view", "openexr:chunkCount", "oiio:RowsPerChunk", "openexr:dwaCompressionLevel", "oiio:subimages")


def spec_like(part: Part, width: int, height: int) -> Any:
    """An ImageSpec with the part's channels, types and metadata for ``width`` by ``height`` pixels from 0,0.

    A lossy compression becomes ``zip``: pixels that were decoded must not be changed again.
    """
    # Here, because not every renderer needs it.
    import OpenImageIO as oiio

    spec = oiio.ImageSpec(part.spec)
    for axis, length in (("width", width), ("height", height)):
        setattr(spec, axis, length)
        setattr(spec, f"full_{axis}", length)
    spec.x = spec.y = spec.full_x = spec.full_y = 0
    spec.tile_width = spec.tile_height = spec.tile_depth = 0
    spec.channelnames = part.channels
    for name in _OF_THE_SOURCE:
        spec.erase_attribute(name)
    if _text(spec, "compression").partition(":")[0] not in _LOSSLESS:
        spec.attribute("compression", "zip")
    _pin_date(spec)
    return spec


def float_spec(width: int, height: int, channels: Sequence[str]) -> Any:
    """An ImageSpec without metadata: float32, ZIP."""
    import OpenImageIO as oiio

    spec = oiio.ImageSpec(width, height, len(channels), "float")
    spec.channelnames = tuple(channels)
    spec.attribute("compression", "zip")
    _pin_date(spec)
    return spec


def _pin_date(spec: Any) -> None:
    # OpenImageIO would add the time of writing, and the same tiles would make another file each time.
    if not _text(spec, "DateTime"):
        spec.attribute("DateTime", _text(spec, "Date").replace("/", ":") or "1970:01:01 00:00:00")


def _text(spec: Any, name: str) -> str:
    try:
        return str(spec.get_string_attribute(name))
    except UnicodeDecodeError:
        return ""  # From a header that nobody sane wrote: as good as absent.


class _NotWritten(Exception):
    """OpenImageIO's reason, for want of the name that people know the file by."""


class ImageWriter:
    """An image being written: its parts in order, each from the top row down."""

    def __init__(self, path: Path, container: Container, specs: Sequence[Any]) -> None:
        import OpenImageIO as oiio

        self._path, self._specs, self._part = path, specs, 0
        self._output: Any = oiio.ImageOutput.create(container)
        whole = tuple(specs) if len(specs) > 1 else specs[0]
        if self._output is None or not self._output.open(str(path), whole):
            raise self._error()

    def next_part(self) -> None:
        """Go on to the next of the specs."""
        self._part += 1
        if not self._output.open(str(self._path), self._specs[self._part], "AppendSubimage"):
            raise self._error()

    def write(self, y: int, rows: Pixels) -> None:
        """Rows from ``y`` on: shape (rows, width, channels)."""
        if not self._output.write_scanlines(y, y + len(rows), 0, np.ascontiguousarray(rows)):
            raise self._error()

    def close(self) -> None:
        if not self._output.close():
            raise self._error()

    def abandon(self) -> None:
        """Let go of the file, finished or not: Windows removes no file that is held."""
        with suppress(Exception):
            self._output.close()

    def _error(self) -> _NotWritten:
        import OpenImageIO as oiio

        reason = oiio.geterror() if self._output is None else self._output.geterror()
        return _NotWritten(reason.strip() or "no reason given")


def new_exr(out: Path, specs: Sequence[Any]) -> AbstractContextManager[ImageWriter]:
    """:func:`new_image` for an EXR."""
    return new_image(out, "openexr", specs)


@contextmanager
def new_image(out: Path, container: Container, specs: Sequence[Any], *, durable: bool = True) -> Iterator[ImageWriter]:
    """A writer whose file becomes ``out`` when the block ends well, on disk to the last byte; else nothing stays.

    A file that is not to be ``durable`` is whole as well, but a machine that loses power may lose it.
    """
    temporary = out.with_name(f".{out.name[:100]}.{uuid.uuid4().hex}.part")
    writer: ImageWriter | None = None
    try:
        writer = ImageWriter(temporary, container, specs)
        yield writer
        writer.close()
        _verify(temporary, specs)
        if durable:
            _sync(temporary)
        temporary.replace(out)
        if durable:
            sync_folder(out.parent)
    except (OSError, _NotWritten) as error:
        raise ImageError(f"{out.name} can't be written: {error}".replace(temporary.name, out.name)) from error
    finally:
        if writer is not None:
            writer.abandon()
        temporary.unlink(missing_ok=True)


def _verify(path: Path, specs: Sequence[Any]) -> None:
    """Read the headers and the last rows back: a full disk shows there, if nowhere before."""
    try:
        with ImageFile(path) as file:
            written = [(part.channels, part.width, part.height) for part in file.parts]
            if written != [(tuple(spec.channelnames), spec.width, spec.height) for spec in specs]:
                raise _NotWritten("what was written is not what was asked for")
            for part in file.parts:
                file.rows(part, part.height - 1, part.height)
    except ImageError as error:
        raise _NotWritten(f"what was written can't be read back: {error}") from error


def _sync(path: Path) -> None:
    # Windows flushes only files that are open for writing.
    with path.open("rb+") as file:
        os.fsync(file.fileno())
