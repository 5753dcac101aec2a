"""Slow, endless and too many connections, over real sockets: each is given up in its time, and the log tells of it."""

from __future__ import annotations

import hashlib
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
import requests
from dispatcher.running import OPERATOR, running, until
from websockets.sync.client import connect

from renderbros_addon.dispatcher import api_blobs, connections, limits
from renderbros_addon.dispatcher.connections import ConnectionLimits, Gate

AS_OPERATOR = {"Authorization": f"Bearer {OPERATOR}"}
MOST = 8


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Where a dispatcher listens that is very impatient."""
    impatient = ConnectionLimits(head_seconds=0.4, idle_seconds=1, stall_seconds=0.6, per_address=MOST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SILENT_SECONDS", 0.4)
        patch.setattr(api_blobs, "SILENCE", 0.4)
        patch.setattr(connections, "TELL_EVERY", 0.0)
        with running(tmp_path_factory.mktemp("connections") / "data", connections=impatient) as url:
            yield "127.0.0.1", int(url.rsplit(":", 1)[1])


def drip(end: socket.socket, piece: bytes, seconds: float = 3.0) -> bytes:
    """Send ``piece`` again and again, ten times a second, until the other side is done; what it said."""
    said = b""
    end.settimeout(0.1)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(ConnectionError):
            end.sendall(piece)
        try:
            more = end.recv(1 << 16)
        except TimeoutError:
            continue
        except ConnectionError:
            return said
        if not more:
            return said
        said += more
    raise AssertionError(f"still open after {seconds} s: {said!r}")


def healthy(address: tuple[str, int]) -> None:
    assert requests.get(f"http://{address[0]}:{address[1]}/healthz", timeout=5).ok


REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b"POST /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n{"
UPLOAD = (
    f"PUT /api/v1/blobs/{'a' * 64} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR}\r\n"
    "Content-Length: 100000\r\n\r\n"
).encode()
TOO_LARGE = b"POST /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "piece", "answer", "why"),
    [
        (b"", b"", b"408", "no request came"),
        (b"GET / HTTP/1.1\r\nX-Slow: ", b"x", b"408", "no request came"),
        (REQUEST + b"GET / HTTP/1.1\r\n", b"X: y\r\n", b"408", "no request came"),
        (b"GET / HTTP/1.1\r\nX-Long: ", b"x" * 30_000, b"431", "more bytes"),
        (BODY, b"", b"408", "a body stalled"),
        (UPLOAD, b"", b"408", "an upload stalled"),
        (UPLOAD, b"x", b"408", "an upload stalled"),
        (TOO_LARGE, b"x", b"413", "no request came"),
    ],
)
def test_who_is_slow_is_given_up(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture, begin: bytes, piece: bytes, answer: bytes, why: str
) -> None:
    with socket.create_connection(address) as end:
        end.sendall(begin)
        said = drip(end, piece)
        assert answer in said
        healthy(address)
    assert why in caplog.text


def test_who_reads_no_answer_is_given_up(address: tuple[str, int], caplog: pytest.LogCaptureFixture) -> None:
    data = bytes(24 << 20)
    sha256 = hashlib.sha256(data).hexdigest()
    place = f"http://{address[0]}:{address[1]}/api/v1/blobs/{sha256}"
    assert requests.put(place, data=data, headers=AS_OPERATOR, timeout=20).status_code == 201
    with socket.socket() as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        end.connect(address)
        head = f"GET /api/v1/blobs/{sha256} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR}\r\n\r\n"
        end.sendall(head.encode())
        until("it is given up", lambda: "was not read" in caplog.text, 10)
    got = requests.get(place, headers=AS_OPERATOR, timeout=20)
    assert len(got.content) == len(data), "who reads gets it all"


def test_one_address_has_so_many_connections(address: tuple[str, int], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "renderbros.security")
    url = f"ws://{address[0]}:{address[1]}/api/v1/events"
    with ExitStack() as stack:
        for _ in range(MOST):
            stack.enter_context(connect(url, additional_headers=AS_OPERATOR, proxy=None))
        with socket.create_connection(address) as end:
            assert b"503" in drip(end, REQUEST)
        assert "at once are the most" in caplog.text
        assert [getattr(record, "address", "") for record in caplog.records][-1] == address[0]

    def free() -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"http://{address[0]}:{address[1]}/healthz", timeout=5).ok
        return False

    check: Callable[[], bool] = free
    until("their places are free again", check, 5)


def test_addresses_of_one_network_share_their_places() -> None:
    gate = Gate(ConnectionLimits(per_address=2))
    assert gate.enter("2001:db8::1")
    assert gate.enter("2001:db8::2:0:0:1")
    assert not gate.enter("2001:db8::3%eth0")
    assert gate.enter("2001:db8:0:1::1"), "this is another network"
    gate.leave("2001:db8::1")
    assert gate.enter("2001:db8::3")
    assert gate.enter("::ffff:192.0.2.1")
    assert gate.enter("192.0.2.1")
    assert not gate.enter("::ffff:192.0.2.1")
    assert gate.enter("192.0.2.2")


def test_who_was_answered_and_stays_is_given_up(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as end:
        end.sendall(REQUEST)
        assert b"200 OK" in drip(end, b"", 3)
