"""Unpacks what clients send compressed, a piece at a time, and no further than it may grow."""

from __future__ import annotations

import zlib
from collections.abc import Callable

CODING = "gzip"

MOST_GROWTH = 100
"""Bytes that one compressed byte may become: a bomb grows by 1000, a scene by less than 10. Who has a file that grows
by more sends it as it is."""

_FREE = 1 << 20
"""Bytes that may come of nearly nothing, such as from a stream's first lines."""

_PIECE = 1 << 20
"""Bytes unpacked at a time."""

_GZIP = 31
"""zlib's number for gzip's wrapping."""


class BadCoding(Exception):
    """The compressed bytes are broken, or grow beyond all measure."""


class Bomb(BadCoding):
    """What was made of it so far is nothing that anybody will go on with."""


class Inflater:
    """Called with compressed bytes, it calls ``write`` with what is in them; BadCoding, and what ``write`` raises."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._unpacker = zlib.decompressobj(_GZIP)
        self._taken = self._made = 0

    def __call__(self, data: bytes | bytearray) -> None:
        self._taken += len(data)
        left = bytes(data)
        while left:
            if self._unpacker.eof:
                raise BadCoding("there are bytes after the end of the compressed stream")
            try:
                piece = self._unpacker.decompress(left, _PIECE)
            except zlib.error as error:
                raise BadCoding(f"not a gzip stream: {error}") from error
            self._made += len(piece)
            if self._made > _FREE + MOST_GROWTH * self._taken:
                raise Bomb(f"compressed by more than a factor of {MOST_GROWTH}: send it as it is")
            if piece:
                self._write(piece)
            left = self._unpacker.unconsumed_tail or self._unpacker.unused_data

    @property
    def whole(self) -> bool:
        """Whether the stream has come to its end."""
        return self._unpacker.eof
