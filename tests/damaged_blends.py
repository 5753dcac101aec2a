"""Damaged .blend files by the hundred, made of good ones by a seed: cut short, with bits and fields changed."""

from __future__ import annotations

import gzip
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from renderbros_addon.protocol.jobs import JobFile, SceneSpec
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.renderer import Failed, Inspection, InspectRequest, Rendered, RenderRequest
from renderbros_addon.worker.renderer_process import RendererLost, RendererProcess

TASK_SECONDS = 20.0
"""For one inspection or one frame; the good scenes take a fraction of a second."""


@dataclass(frozen=True)
class Damaged:
    how: str
    content: bytes


@dataclass(frozen=True)
class Outcome:
    """What became of one file in one way of the program."""

    how: str
    way: str
    """``inspect`` or ``render``."""
    what: str
    """``good``, or the failure's code."""
    message: str
    seconds: float


def damaged(scenes: list[bytes], count: int, seed: int) -> Iterator[Damaged]:
    """``count`` files, of each kind of damage as many: uncompressed, and some of them packed."""
    dice = random.Random(seed)
    kinds = list(_DAMAGES.items())
    for number in range(count):
        name, damage = kinds[number % len(kinds)]
        good = dice.choice(scenes)
        packing = ("plain", "gzip", "zstd")[number // len(kinds) % 3]
        if name == "packed bits":
            packing = dice.choice(("gzip", "zstd"))
            yield Damaged(f"{name}, {packing}", _flipped(_packed(good, packing), dice, dice.choice((1, 3, 30))))
        else:
            yield Damaged(f"{name}, {packing}", _packed(damage(bytearray(good), dice), packing))


def _packed(content: bytes, packing: str) -> bytes:
    if packing == "gzip":
        return gzip.compress(content, 1)
    if packing == "zstd":
        try:
            import zstandard
        except ImportError:
            return content
        return zstandard.ZstdCompressor(level=1).compress(content)
    return content


def _header_size(content: bytes | bytearray) -> int:
    return 12 if content[7:8] in b"-_" else int(content[7:9])


def _blocks(content: bytes | bytearray) -> list[tuple[int, int]]:
    """(offset, length of the header) of every block of a file of 64 bits, as written before and since 5.0."""
    at = _header_size(content)
    old = at == 12
    size = 24 if old else 32
    found = []
    while at + size <= len(content):
        found.append((at, size))
        length = struct.unpack_from("<i", content, at + 4)[0] if old else struct.unpack_from("<q", content, at + 16)[0]
        at += size + length
    return found


def _named(content: bytearray, name: bytes) -> int:
    return next(at for at, _ in _blocks(content) if content[at : at + 4] == name)


def _flipped(content: bytes, dice: random.Random, bits: int) -> bytes:
    changed = bytearray(content)
    for _ in range(bits):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _truncated(content: bytearray, dice: random.Random) -> bytes:
    return bytes(
        content[
            : dice.choice((dice.randrange(64), dice.randrange(len(content)), len(content) - 1 - dice.randrange(64)))
        ]
    )


def _bits(content: bytearray, dice: random.Random) -> bytes:
    return _flipped(content, dice, dice.choice((1, 10, 200)))


def _header(content: bytearray, dice: random.Random) -> bytes:
    content[dice.randrange(_header_size(content))] = dice.randrange(256)
    return bytes(content)


def _version(content: bytearray, dice: random.Random) -> bytes:
    digits = content.index(b"v") + 1
    end = _header_size(content)
    said = dice.choice(("000", "100", "240", "279", "280", "300", "404", "406", "502", "999"))
    content[digits:end] = said.rjust(end - digits, "0").encode()
    return bytes(content)


def _subversion(content: bytearray, dice: random.Random) -> bytes:
    """The version's smaller numbers stand in the block GLOB."""
    at = _named(content, b"GLOB")
    for _ in range(4):
        content[at + 24 + dice.randrange(16)] = dice.randrange(256)
    return bytes(content)


def _dna(content: bytearray, dice: random.Random) -> bytes:
    at = _named(content, b"DNA1")
    for _ in range(dice.choice((1, 5, 50))):
        content[dice.randrange(at, len(content))] = dice.randrange(256)
    return bytes(content)


def _field_of_a_block(content: bytearray, dice: random.Random) -> bytes:
    """Of a header: its name, length, address, structure's number, or count."""
    at, size = dice.choice(_blocks(content))
    offset = dice.randrange(0, size, 4)
    value = dice.choice((0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, dice.getrandbits(32)))
    struct.pack_into("<I", content, at + offset, value)
    return bytes(content)


def _pointers(content: bytearray, dice: random.Random) -> bytes:
    """Pointers in a file are the blocks' old addresses: some of them are changed for others, or for nothing."""
    blocks = _blocks(content)
    addresses = [content[at + 8 : at + 16] for at, _ in blocks]
    for _ in range(dice.choice((1, 4, 20))):
        wanted = dice.choice(addresses)
        at = content.find(wanted, dice.randrange(len(content)))
        if at >= 0:
            content[at : at + 8] = dice.choice((dice.choice(addresses), bytes(8), b"\xff" * 8))
    return bytes(content)


def _numbers(content: bytearray, dice: random.Random) -> bytes:
    """Numbers within the blocks of scenes, meshes and objects become large, negative or no numbers at all."""
    wanted = [
        (at, size) for at, size in _blocks(content) if content[at : at + 2] in (b"SC", b"ME", b"OB", b"CA", b"DA")
    ]
    for _ in range(dice.choice((1, 8, 40))):
        at, size = dice.choice(wanted)
        length = (
            struct.unpack_from("<i", content, at + 4)[0]
            if size == 24
            else struct.unpack_from("<q", content, at + 16)[0]
        )
        if length >= 8:
            place = at + size + dice.randrange(0, length - 4, 4)
            value = dice.choice((0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x7FC00000, 0x7F800000, 0, dice.getrandbits(32)))
            struct.pack_into("<I", content, place, value)
    return bytes(content)


_DAMAGES: dict[str, Callable[[bytearray, random.Random], bytes]] = {
    "cut short": _truncated,
    "bits": _bits,
    "header": _header,
    "version": _version,
    "smaller version": _subversion,
    "DNA": _dna,
    "block header": _field_of_a_block,
    "pointers": _pointers,
    "numbers": _numbers,
    "packed bits": lambda content, dice: bytes(content),
}


class Gauntlet:
    """Gives files to the real inspection and to the real render, with a new renderer where one is lost."""

    def __init__(self, start: Callable[[], RendererProcess], folder: Path, series: str) -> None:
        self._start = start
        self._folder = folder
        self._series = series
        self._renderer: RendererProcess | None = None
        self.lost = 0

    def run(self, number: int, file: Damaged, size: tuple[int, int]) -> Iterator[Outcome]:
        """The outcomes of one file, whose good self renders ``size`` pixels."""
        import time

        # A folder of its own, as every job has.
        root = self._folder / str(number)
        (root / "out").mkdir(parents=True)
        blend = root / "scene.blend"
        blend.write_bytes(file.content)
        spec = SceneSpec(
            blend="scene.blend", files=(JobFile(path="scene.blend", sha256="0" * 64, size=len(file.content)),),
            width=size[0], height=size[1], format="PNG", series=(self._series,), engine="CYCLES", allow_missing=True,
        )  # fmt: skip
        for request in (
            InspectRequest(id="i", blend=str(blend)),
            RenderRequest(
                id="r", root=str(root), spec=spec, frame=1, region=Region.full(*size), linear=False,
                out_dir=str(root / "out"),
            ),
        ):  # fmt: skip
            began = time.monotonic()
            try:
                reply = self._up().request(request)  # type: ignore[call-overload]
            except RendererLost as lost:
                self.lost += 1
                self.close()
                what, message = lost.code.value, lost.message
            else:
                if isinstance(reply, Failed):
                    what, message = reply.code.value, reply.message
                else:
                    assert isinstance(reply, Inspection | Rendered)
                    what, message = "good", ""
            yield Outcome(file.how, request.type, what, message, time.monotonic() - began)

    def _up(self) -> RendererProcess:
        if self._renderer is None:
            self._renderer = self._start()
        return self._renderer

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
