"""Which of the formats that a render has a file is, by its first bytes.

An image library tries every reader it has until one takes a file: also those that no render needs, and that few people
have ever looked into. What has none of these signatures never gets there.
"""

from __future__ import annotations

from pathlib import Path

from ..protocol.results import Container

_SIGNATURES: tuple[tuple[bytes, Container], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x76\x2f\x31\x01", "openexr"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"BM", "bmp"),
    (b"#?", "hdr"),
    (b"SDPX", "dpx"),
    (b"XPDS", "dpx"),
    (b"\x80\x2a\x5f\xd7", "cineon"),
    (b"\xd7\x5f\x2a\x80", "cineon"),
    (b"\x01\xda", "sgi"),
    (b"\0\0\0\x0cjP  ", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
)
_HEAD = 18
"""Bytes: a Targa's whole header."""
_TARGA_KINDS = frozenset({2, 3, 10, 11})
"""True colour and grey, each plain or run-length encoded; a render has no palette."""
_TARGA_BITS = frozenset({8, 16, 24, 32})


def container_of(path: Path) -> Container | None:
    """What ``path`` claims to be; None for what no render is."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for signature, container in _SIGNATURES:
        if head.startswith(signature):
            return container
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    # A Targa has no signature, only a header that makes sense.
    if len(head) == _HEAD and head[1] == 0 and head[2] in _TARGA_KINDS and head[16] in _TARGA_BITS:
        return "targa"
    return None
