"""A link to the dispatcher that goes wrong on demand: it delays, cuts, truncates, repeats and corrupts."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Literal

from links import Link

Way = Literal["up", "down"]
What = Literal["delay", "cut", "truncate", "repeat", "corrupt", "hold"]

_REQUEST = re.compile(rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE) /\S* HTTP/1\.1\r\n")
_UPLOAD = re.compile(rb"PUT /api/v1/blobs/")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LONGEST_HOLD = 30.0


@dataclass(eq=False)
class Trouble:
    """Something to go wrong once: with the next bytes that pass ``way``.

    ``delay`` holds them for ``seconds``; ``cut`` passes a part and resets the connection; ``truncate`` passes a part
    and closes it in good order; ``corrupt`` changes one byte; ``repeat`` sends a request a second time, over a
    connection of its own whose answer nobody gets, and anything else twice in a row. ``hold`` stops in the middle of
    the next upload until ``go`` is set.
    """

    what: What
    way: Way
    chance: random.Random
    seconds: float = 0.0
    struck: threading.Event = field(default_factory=threading.Event)
    at: float = 0.0
    """Monotonic time at which it struck."""
    go: threading.Event = field(default_factory=threading.Event)

    def strike(self) -> None:
        self.at = time.monotonic()
        self.struck.set()


class TroubledLink(Link):
    """Passes bytes on both ways, with the troubles that it is given."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._troubles: list[Trouble] = []
        super().__init__(upstream)

    def trouble(self, trouble: Trouble) -> None:
        self._loop.call_soon_threadsafe(self._troubles.append, trouble)

    def forget(self, trouble: Trouble) -> None:
        """One that has not struck is not to."""

        def drop() -> None:
            with contextlib.suppress(ValueError):
                self._troubles.remove(trouble)

        self._loop.call_soon_threadsafe(drop)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, to_there = await asyncio.open_connection(*self._upstream)
        except OSError:
            _reset(writer)
            return
        both = (writer, to_there)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(
                self._pass_on("up", reader, to_there, both), self._pass_on("down", there, writer, both)
            )
        for end in both:
            end.close()

    async def _pass_on(
        self,
        way: Way,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        both: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
    ) -> None:
        held: Trouble | None = None
        copy: bytearray | None = None
        try:
            while data := await source.read(1 << 16):
                if held is not None:
                    data = await self._hold(held, data, sink)
                    held = None
                trouble = self._next(way, data)
                if trouble is None:
                    pass
                elif trouble.what == "hold":
                    held = trouble
                elif trouble.what == "delay":
                    trouble.strike()
                    await asyncio.sleep(trouble.seconds)
                elif trouble.what == "corrupt":
                    data = _with_a_wrong_byte(data, trouble.chance)
                    trouble.strike()
                elif trouble.what == "repeat" and way == "up" and _REQUEST.match(data):
                    copy = bytearray()
                    trouble.strike()
                elif trouble.what == "repeat":
                    trouble.strike()
                    data += data
                else:
                    sink.write(data[: trouble.chance.randrange(len(data))])
                    await sink.drain()
                    await asyncio.sleep(0.02)  # A reset discards what is still on its way.
                    trouble.strike()
                    for end in both:
                        if trouble.what == "cut":
                            _reset(end)
                        else:
                            end.close()
                    return
                sink.write(data)
                await sink.drain()
                if copy is not None:
                    copy += data
                    if _is_whole(copy):
                        self._repeating = asyncio.create_task(self._repeat(bytes(copy)))
                        copy = None
            sink.write_eof()
        except (OSError, RuntimeError):
            for end in both:
                _reset(end)

    def _next(self, way: Way, data: bytes) -> Trouble | None:
        for trouble in self._troubles:
            fits = _UPLOAD.match(data) if trouble.what == "hold" else True
            if trouble.way == way and fits:
                self._troubles.remove(trouble)
                return trouble
        return None

    async def _hold(self, trouble: Trouble, data: bytes, sink: asyncio.StreamWriter) -> bytes:
        sink.write(data[: len(data) // 2])
        await sink.drain()
        trouble.strike()
        deadline = time.monotonic() + _LONGEST_HOLD
        while not trouble.go.is_set() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return data[len(data) // 2 :]

    async def _repeat(self, request: bytes) -> None:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(*self._upstream)
            writer.write(request)
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1 << 16), 5)
            writer.close()


def _with_a_wrong_byte(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    changed[chance.randrange(len(changed))] ^= chance.randrange(1, 256)
    return bytes(changed)


def _is_whole(request: bytes | bytearray) -> bool:
    head, end, body = bytes(request).partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


def _reset(end: asyncio.StreamWriter) -> None:
    """Close with RST, as a dying host or an impatient middlebox does."""
    with contextlib.suppress(OSError, AttributeError):
        raw = end.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.transport.abort()
