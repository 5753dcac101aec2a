"""A small picture for each frame, by the standard library alone: for renderers and workers that take no time."""

from __future__ import annotations

import random
import struct
import zlib


def tiny_png(frame: int, width: int, height: int) -> bytes:
    """A PNG of RGBA bytes; other frames have other pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    noise = random.Random(frame)
    rows = b"".join(b"\0" + noise.randbytes(width * 4) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts
