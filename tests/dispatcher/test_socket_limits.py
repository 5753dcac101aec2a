"""How much and how many a WebSocket's client may send and hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from dispatcher.pictures import enrolment
from dispatcher.running import OPERATOR, enrolled, running, until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher import api_events
from renderbros_addon.dispatcher.rates import Limit, Limited
from renderbros_addon.protocol.access import Role

BURST = 60


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    limits = {Limited.REQUESTS: Limit(5, BURST)}
    with running(tmp_path_factory.mktemp("sockets") / "data", limits=limits) as url:
        yield url


def account(url: str) -> str:
    """A token of somebody new, whose buckets are full."""
    with DispatcherClient(url, OPERATOR) as operator, DispatcherClient(url) as anyone:
        return anyone.redeem(operator.invite(Role.SUBMITTER).code, "somebody").token


def hearing(url: str, token: str) -> ClientConnection:
    headers = {"Authorization": f"Bearer {token}"}
    return connect(f"{url.replace('http', 'ws')}/api/v1/events", additional_headers=headers, proxy=None)


def alive(socket: ClientConnection) -> bool:
    return socket.ping().wait(5)


def test_a_message_too_large_is_not_taken_in(url: str) -> None:
    worker = enrolled(url, enrolment("large", "an owner of large things")).token
    with hearing(url, worker) as socket:
        padded = {"type": "progress", "lease_id": "0" * 24, "more": "x" * (2 * api_events.MAX_MESSAGE)}
        socket.send(json.dumps(padded))
        assert alive(socket), "it is ignored"
        socket.send("x" * (2 << 20))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize("role", ["worker", "viewer"])
@pytest.mark.parametrize("size", [2, 2 * api_events.MAX_MESSAGE], ids=["small", "large"])
def test_who_says_too_much_is_cut_off(url: str, role: str, size: int) -> None:
    name = f"{role} {size}"
    token = account(url) if role == "viewer" else enrolled(url, enrolment(name, f"an owner of {name}")).token
    with hearing(url, token) as socket, pytest.raises(ConnectionClosed):
        chatter(socket, "x" * size)


def chatter(socket: ClientConnection, message: str) -> None:
    for _ in range(BURST + 100):
        socket.send(message)
    socket.recv(timeout=5)


def test_so_many_and_no_more(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_events, "SOCKETS_AT_ONCE", 3)
    mine, theirs = account(url), account(url)
    with ExitStack() as held:
        sockets = [held.enter_context(hearing(url, mine)) for _ in range(3)]
        with pytest.raises(InvalidStatus):
            hearing(url, mine)
        with hearing(url, theirs) as other:
            assert alive(other)
        sockets[0].close()

        def free() -> bool:
            try:
                held.enter_context(hearing(url, mine))
            except InvalidStatus:
                return False
            return True

        until("the place of the one that left is free", free, 5)
