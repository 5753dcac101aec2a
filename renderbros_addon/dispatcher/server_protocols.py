"""HTTP and WebSockets as uvicorn speaks them, within the limits of ``connections.py``."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol
from websockets.exceptions import InvalidState

from .connections import ConnectionLimits, Gate

MOST_HEAD = 64 << 10
"""Bytes of a request's head; ours have some hundred."""

_HEAD = "HTTP/1.1 {}\r\nConnection: close\r\nContent-Length: 0\r\n{}\r\n"


def protocols(limits: ConnectionLimits) -> tuple[type[asyncio.Protocol], type[asyncio.Protocol]]:
    """The HTTP and WebSocket protocols of one server, for uvicorn's configuration."""
    gate = Gate(limits)

    class Socket(AutoWebSocketsProtocol):  # type: ignore[misc,valid-type]
        """A WebSocket, which takes the place over of the request that it began as. It has pings of its own."""

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            gate.leave(_address(self.transport))

        def shutdown(self) -> None:
            # The other side may be taking its leave just now, which uvicorn does not look for: then that is the end.
            with contextlib.suppress(InvalidState):
                super().shutdown()
            self.transport.close()

    class Http(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
        _refused = _upgraded = _in_head = False
        _head = 0
        _head_timer: asyncio.TimerHandle | None = None
        _stall_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            self._at = _address(transport)
            if not gate.enter(self._at):
                self._refused = True
                transport.write(_HEAD.format("503 Service Unavailable", "Retry-After: 5\r\n").encode())
                transport.close()
                return
            super().connection_made(transport)
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            if not self._refused:
                self._stop_timers()
                gate.leave(self._at)
                super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._refused or self.transport.is_closing():
                return
            super().data_received(data)
            if self._upgraded:
                return
            if self._in_head:
                self._head += len(data)
                if self._head > MOST_HEAD:
                    self._give_up("a head of more bytes than any request has", "431 Request Header Fields Too Large")
                    return
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop_waiting()  # From here on it is the application's, which has limits of its own.
            elif self._head_timer is None:
                self._await_head()

        def handle_websocket_upgrade(self, *given: Any) -> None:
            self._upgraded = True
            self._stop_timers()
            super().handle_websocket_upgrade(*given)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            # Whoever was answered before all of its request had come may send the rest, but not for ever.
            if self.cycle.more_body and self._head_timer is None:
                self._await_head()

        # Callbacks of httptools. (h11 has a limit of its own for heads.)

        def on_message_begin(self) -> None:
            self._in_head, self._head = True, 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            super().on_headers_complete()

        # Answers that nobody reads

        def pause_writing(self) -> None:
            if self._refused:
                return
            super().pause_writing()
            if self._stall_timer is None:
                self._stall_timer = self.loop.call_later(limits.stall_seconds, self._is_stalled)

        def resume_writing(self) -> None:
            if self._refused:
                return
            super().resume_writing()
            if self._stall_timer is not None:
                self._stall_timer.cancel()
                self._stall_timer = None

        # Time

        def _await_head(self) -> None:
            self._head_timer = self.loop.call_later(limits.head_seconds, self._is_late)

        def _stop_waiting(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _stop_timers(self) -> None:
            self._stop_waiting()
            if self._stall_timer is not None:
                self._stall_timer.cancel()
                self._stall_timer = None

        def _is_late(self) -> None:
            self._give_up(f"no request came in {limits.head_seconds:g} s", "408 Request Timeout")

        def _is_stalled(self) -> None:
            gate.tell(f"an answer was not read for {limits.stall_seconds:g} s", self._at)
            self.transport.abort()

        def _give_up(self, why: str, status: str) -> None:
            self._stop_timers()
            if not self.transport.is_closing():
                gate.tell(why, self._at)
                self.transport.write(_HEAD.format(status, "").encode())
                self.transport.close()

    return Http, Socket


def _address(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else "unknown"
