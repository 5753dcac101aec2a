"""Whether bytes are worth compressing on their way, and the compressing.

An uncompressed .blend shrinks to a third, and most images not at all; zlib takes some 100 MB a second. So on a line of
100 Mbit/s the one is sent in less than half of the time, while within a machine, or a hall, compressing only delays.
Neither is known before it is measured: the bytes by samples of the file, the line by what was sent before.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from .connection import Connection

LEAST = 4 << 20
"""Bytes below which a transfer is over before it could be judged."""

PROBE = 1 << 20
"""Bytes by which a line's rate is measured."""

CODING = "gzip"
_LEVEL = 1
"""The fastest. Level 6 takes four times as long for 2 % less (measured on a mesh)."""
_GZIP = 31
"""zlib's number for its largest window in gzip's wrapping."""

_SAMPLES, _SAMPLE = 4, 1 << 16
_MARGIN = 1.3
"""Compressing is to be faster by this factor: it takes a processor that others may need."""


@dataclass(frozen=True)
class Density:
    """What compressing makes of a file."""

    ratio: float
    """Bytes over compressed bytes."""
    speed: float
    """Bytes compressed in a second."""

    def pays(self, rate: float) -> bool:
        """Whether compressing and sending takes less time than sending, on a line of ``rate`` bytes a second."""
        return 1 / rate > _MARGIN * (1 / self.speed + 1 / (self.ratio * rate))

    @property
    def may_pay(self) -> bool:
        """Whether there is a line on which it would."""
        return self.ratio > _MARGIN


def density(path: Path, size: int) -> Density:
    """Measured on some places of the file, which is of ``size`` bytes; OSError if it can't be read."""
    pieces = []
    with path.open("rb") as file:
        for number in range(_SAMPLES):
            file.seek((size - _SAMPLE) * number // (_SAMPLES - 1) if size > _SAMPLE else 0)
            pieces.append(file.read(_SAMPLE))
    began = time.perf_counter()
    small = sum(len(zlib.compress(piece, _LEVEL)) for piece in pieces)
    seconds = max(1e-6, time.perf_counter() - began)
    total = sum(map(len, pieces))
    return Density(total / max(1, small), total / seconds)


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces as one gzip stream."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


class Packing:
    """Decides piece by piece of one upload whether it goes compressed."""

    def __init__(self, connection: Connection, path: Path, size: int) -> None:
        self._connection = connection
        self._density = density(path, size) if size >= LEAST else None
        self._possible = self._density is not None and self._density.may_pay

    def end_of_piece(self, offset: int, size: int) -> int:
        """Where the next piece ends: with the file, but before it if the line is to be measured first."""
        measured = not self._possible or self._connection.upload_rate is not None or size - offset < LEAST
        return size if measured else offset + PROBE

    @property
    def pays(self) -> bool:
        rate = self._connection.upload_rate
        return self._possible and rate is not None and self._density is not None and self._density.pays(rate)

    def refused(self, response: requests.Response) -> bool:
        """Whether the dispatcher wants it as it is; then it gets it so."""
        refused = self._possible and response.status_code in (400, 411, 415)
        self._possible = self._possible and not refused
        return refused
