"""Real faults for tests: a TCP proxy that cuts, stalls, delays and refuses."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Literal, Self

Way = Literal["up", "down"]


class FaultyProxy:
    """Listens on a loopback port and passes bytes on to ``upstream`` (host, port), until told to misbehave.

    ``up`` is from client to server. Faults hold for connections made from then on, except :meth:`stall`,
    :meth:`resume` and :meth:`cut_all`, which take effect at once.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.upstream = upstream
        self.connections = 0
        self.passed: dict[Way, int] = {"up": 0, "down": 0}
        self.delay = 0.0
        self.refuse = False
        self._cuts: dict[Way, list[int]] = {"up": [], "down": []}
        self._go = threading.Event()
        self._go.set()
        self._ended = False
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut_after(self, count: int, way: Way = "down", times: int = 1) -> None:
        """Reset each of the next ``times`` connections that carry more than ``count`` bytes ``way``, right there."""
        with self._lock:
            self._cuts[way] = [count] * times

    def stall(self) -> None:
        """Pass nothing on, and keep connections open."""
        self._go.clear()

    def resume(self) -> None:
        self._go.set()

    def cut_all(self) -> None:
        """Reset every connection that is open."""
        with self._lock:
            doomed = list(self._open)
        for end in doomed:
            _reset(end)

    def close(self) -> None:
        self._ended = True
        # A thread in accept() is not woken by closing the socket on every system; a connection is.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._listener.close()
        self._go.set()
        self.cut_all()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._ended:
                client.close()
                return
            self.connections += 1
            if self.refuse:
                _reset(client)
                continue
            try:
                server = socket.create_connection(self.upstream, timeout=5)
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            for way, source, sink in (("up", client, server), ("down", server, client)):
                thread = threading.Thread(target=self._pass_on, args=(way, source, sink), daemon=True)
                thread.start()
                self._threads.append(thread)

    def _pass_on(self, way: Way, source: socket.socket, sink: socket.socket) -> None:
        here = 0
        try:
            while data := source.recv(1 << 16):
                if self.delay:
                    time.sleep(self.delay)
                self._go.wait()
                with self._lock:
                    cut = bool(self._cuts[way]) and here + len(data) > self._cuts[way][0]
                    if cut:
                        data = data[: self._cuts[way].pop(0) - here]
                sink.sendall(data)
                here += len(data)
                self.passed[way] += len(data)
                if cut:
                    # What was sent must arrive before the reset: a reset discards what is still on its way.
                    time.sleep(0.1)
                    _reset(source)
                    _reset(sink)
                    return
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            _reset(source)
            _reset(sink)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _reset(end: socket.socket) -> None:
    """Close with RST, as a dying host or an impatient middlebox does."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # close() alone sends nothing while another thread is in recv() on it.
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
