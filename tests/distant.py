"""A TCP link as long and as narrow as a real one, on this machine."""

from __future__ import annotations

import asyncio
import contextlib

from links import Link

_BUFFERED = 0.05
"""Seconds of sending that a narrow link takes in beforehand, as a router's queue does."""


class DistantLink(Link):
    """Passes bytes on, each ``delay`` seconds late.

    Both ways are late, so a round trip takes twice ``delay``; so does the opening of a connection before its first
    byte goes, as a handshake would. ``rate`` is in bytes a second, each way, shared by all connections; None sets no
    bound. Bytes on their way do not hold up those behind them, other than by ``rate``.
    """

    def __init__(self, upstream: tuple[str, int], delay: float, rate: float | None = None) -> None:
        self.delay = delay
        self.rate = rate
        self.connections = 0
        self._free = {"up": 0.0, "down": 0.0}
        super().__init__(upstream)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            there = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.close()
            return
        opened = self._loop.time() + 2 * self.delay
        # Ended by us, it must not seem to have failed.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(
                self._pass_on("up", reader, there[1], opened), self._pass_on("down", there[0], writer, opened)
            )

    async def _pass_on(self, way: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter, opened: float) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = asyncio.create_task(self._deliver(under_way, sink))
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                sent = max(self._loop.time(), opened)
                if self.rate:
                    sent = max(sent, self._free[way]) + len(data) / self.rate
                    self._free[way] = sent
                    await asyncio.sleep(sent - self._loop.time() - _BUFFERED)
                under_way.put_nowait((sent + self.delay, data))
        under_way.put_nowait((self._loop.time() + self.delay, b""))
        await delivering

    async def _deliver(self, under_way: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(due - self._loop.time())
                if not data:
                    break
                sink.write(data)
                await sink.drain()
        sink.close()
