"""Images as somebody makes them who wants to break whoever decodes them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
from dispatcher.pictures import HEIGHT, WIDTH, whole_picture, write_exr, write_png

_CHUNKS = 1 << 20


def png(width: int, height: int, data: bytes, *, more: bytes = b"") -> bytes:
    """A PNG whose header and data need not agree; ``more`` comes before the data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def zeros(size: int) -> bytes:
    """So many zeros, packed."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(_CHUNKS)) for _ in range(size // _CHUNKS))
    return packed + packer.flush()


def written(path: Path, spec: oiio.ImageSpec, pixels: np.ndarray) -> bytes:
    out = oiio.ImageOutput.create(str(path))
    assert out is not None
    assert out.open(str(path), spec), out.geterror()
    write = out.write_tiles if spec.tile_width else out.write_image
    if spec.tile_width:
        assert write(0, spec.width, 0, spec.height, 0, 1, pixels), out.geterror()
    else:
        assert write(pixels), out.geterror()
    out.close()
    data = path.read_bytes()
    path.unlink()
    return data


def black(folder: Path, extension: str, width: int, height: int, kind: str = "float", **attributes: object) -> bytes:
    """A large black image that packs to little."""
    tile = int(attributes.pop("tile", 0))  # type: ignore[call-overload]
    spec = oiio.ImageSpec(width, height, 4, kind)
    spec.tile_width = spec.tile_height = tile
    for name, value in attributes.items():
        spec.attribute(name, value)
    dtype = {"float": np.float32, "half": np.float16, "uint8": np.uint8}[kind]
    return written(folder / f"bomb.{extension}", spec, np.zeros((height, width, 4), dtype))


def with_value(folder: Path, value: float) -> bytes:
    pixels = whole_picture(1).copy()
    pixels[3, 5, 1] = value
    path = write_exr(folder / "odd.exr", pixels)
    data = path.read_bytes()
    path.unlink()
    return data


def many_channels(folder: Path, count: int) -> bytes:
    spec = oiio.ImageSpec(WIDTH, HEIGHT, count, "half")
    spec.channelnames = tuple(f"Layer.Pass{number}.R" for number in range(count))
    spec.attribute("compression", "zip")
    return written(folder / "many.exr", spec, np.zeros((HEIGHT, WIDTH, count), np.float16))


def many_parts(folder: Path, count: int) -> bytes:
    path = folder / "parts.exr"
    specs = []
    for number in range(count):
        spec = oiio.ImageSpec(WIDTH, HEIGHT, 1, "half")
        spec.channelnames = (f"P{number}.R",)
        spec.attribute("oiio:subimagename", f"part{number}")
        specs.append(spec)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), tuple(specs))
    for number, spec in enumerate(specs):
        if number:
            assert out.open(str(path), spec, "AppendSubimage")
        out.write_image(np.zeros((HEIGHT, WIDTH, 1), np.float16))
    out.close()
    data = path.read_bytes()
    path.unlink()
    return data


def with_attribute(folder: Path, size: int) -> bytes:
    spec = oiio.ImageSpec(WIDTH, HEIGHT, 4, "float")
    spec.channelnames = ("R", "G", "B", "A")
    spec.attribute("comment", "x" * size)
    return written(folder / "wordy.exr", spec, whole_picture(1))


def deep(folder: Path) -> bytes:
    path = folder / "deep.exr"
    spec = oiio.ImageSpec(WIDTH, HEIGHT, 2, "float")
    spec.channelnames = ("Z", "A")
    spec.deep = True
    data = oiio.DeepData()
    data.init(WIDTH * HEIGHT, 2, (oiio.TypeDesc("float"),) * 2, ("Z", "A"))
    data.set_samples(3, 4)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec)
    assert out.write_deep_image(data)
    out.close()
    found = path.read_bytes()
    path.unlink()
    return found


def elsewhere(folder: Path) -> bytes:
    """Its data window lies left of and above its picture, and is much larger."""
    spec = oiio.ImageSpec(WIDTH, HEIGHT, 4, "float")
    spec.x, spec.y = -(1 << 20), -(1 << 20)
    spec.full_width, spec.full_height = 1 << 21, 1 << 21
    return written(folder / "away.exr", spec, whole_picture(1))


def exr_header(width: int, height: int, **changes: int) -> bytes:
    """An EXR of a header alone, that promises ``width`` by ``height`` pixels."""

    def attribute(name: bytes, kind: bytes, value: bytes) -> bytes:
        return name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value

    x0, y0 = changes.get("x0", 0), changes.get("y0", 0)
    window = struct.pack("<4i", x0, y0, x0 + width - 1, y0 + height - 1)
    channels = b"".join(name + b"\0" + struct.pack("<iiii", 2, 0, 1, 1) for name in (b"A", b"B", b"G", b"R")) + b"\0"
    return b"".join(
        [
            b"\x76\x2f\x31\x01\x02\0\0\0",
            attribute(b"channels", b"chlist", channels),
            attribute(b"compression", b"compression", bytes([changes.get("compression", 3)])),
            attribute(b"dataWindow", b"box2i", window),
            attribute(b"displayWindow", b"box2i", window),
            attribute(b"lineOrder", b"lineOrder", b"\0"),
            attribute(b"pixelAspectRatio", b"float", struct.pack("<f", 1)),
            attribute(b"screenWindowCenter", b"v2f", struct.pack("<2f", 0, 0)),
            attribute(b"screenWindowWidth", b"float", struct.pack("<f", 1)),
            b"\0",
        ]
    )


def jpeg2000(width: int, height: int) -> bytes:
    """A JPEG 2000 codestream whose header promises more than there is."""
    size = struct.pack(">HIIIIIIIIH", 0, width, height, 0, 0, width, height, 0, 0, 3) + b"\x07\x01\x01" * 3
    return b"\xff\x4f\xff\x51" + struct.pack(">H", len(size) + 2) + size + b"\xff\xd9"


def other_formats() -> Iterator[tuple[str, bytes]]:
    """What image libraries know besides, and what is no image at all."""
    noise = np.random.default_rng(7).bytes(3000)
    yield "PSD", b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 4, 16, 32, 8, 3) + noise
    yield "DDS", b"DDS " + struct.pack("<7I", 124, 0x1007, 16, 32, 0, 0, 0) + noise
    yield "ICO", struct.pack("<HHHBBBBHHII", 0, 1, 1, 32, 16, 0, 0, 1, 32, 3000, 22) + noise
    yield "PNM", b"P6 32 16 255\n" + noise
    yield "FITS", b"SIMPLE  =                    T" + b" " * 2900
    yield "IFF", b"FOR4" + struct.pack(">I", 3000) + b"CIMG" + noise
    yield "PDF", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n" + noise
    yield "SVG", b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>'
    yield "film", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + noise
    yield "playlist", b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    yield "camera raw", b"FUJIFILMCCD-RAW 0201FF383501" + noise
    yield "zip", b"PK\3\4" + noise
    yield "noise", noise
    yield "one byte", b"\x89"


def all_of_them(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Each with a name."""
    yield "PNG bomb", png(60_000, 60_000, zeros(256 << 20))
    yield "PNG with more data than its size", png(WIDTH, HEIGHT, zeros(128 << 20))
    yield "PNG of huge size", png((1 << 31) - 1, (1 << 31) - 1, b"")
    yield "PNG of no size", png(0, 0, b"")
    text = chunk(b"zTXt", b"Comment\0\0" + zeros(128 << 20))
    yield "PNG with a bomb for a comment", png(WIDTH, HEIGHT, zlib.compress(bytes((WIDTH * 4 + 1) * HEIGHT)), more=text)
    for compression in ("zip", "piz", "dwab"):
        yield f"EXR bomb, {compression}", black(folder, "exr", 4096, 2048, "half", compression=compression)
    yield "tiled EXR bomb", black(folder, "exr", 4096, 2048, "half", compression="zip", tile=256)
    yield "TIFF bomb", black(folder, "tif", 8192, 4096, "uint8", compression="zip")
    yield "EXR with a header of huge size", exr_header(1 << 30, 1 << 30)
    yield "EXR with a header of no size", exr_header(0, 0)
    yield "EXR with a window of negative size", exr_header(-5, -5)
    yield "EXR with a window that wraps round", exr_header(WIDTH, HEIGHT, x0=(1 << 31) - 10 - WIDTH, y0=-(1 << 31))
    yield "EXR of an unknown compression", exr_header(WIDTH, HEIGHT, compression=77) + bytes(64)
    yield "EXR without data", exr_header(WIDTH, HEIGHT)
    yield "EXR with a window elsewhere", elsewhere(folder)
    yield "EXR of a thousand channels", many_channels(folder, 1000)
    yield "EXR of a thousand parts", many_parts(folder, 1000)
    yield "EXR with a long attribute", with_attribute(folder, 8 << 20)
    yield "deep EXR", deep(folder)
    yield "NaN", with_value(folder, float("nan"))
    yield "infinity", with_value(folder, float("-inf"))
    yield "JPEG 2000 of huge size", jpeg2000(1 << 31, 1 << 31)
    yield "JPEG 2000 without data", jpeg2000(WIDTH, HEIGHT)
    whole = write_exr(folder / "whole.exr", whole_picture(1)).read_bytes()
    picture = write_png(folder / "whole.png", whole_picture(1)).read_bytes()
    for cut in (4, 40, 300, len(whole) // 2, len(whole) - 1):
        yield f"EXR cut at {cut}", whole[:cut]
    for cut in (8, 20, 33, len(picture) // 2, len(picture) - 20):
        yield f"PNG cut at {cut}", picture[:cut]
    yield from other_formats()
