from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Request, Response
from faults import FaultyProxy, free_port
from serving import serving

from renderbros_addon.client import retry
from renderbros_addon.client.errors import (
    ClientError,
    Conflict,
    DispatcherError,
    DispatcherUnreachable,
    NotFound,
    Refused,
    Stopped,
)
from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.protocol.leases import LeaseRequest, Renewal
from renderbros_addon.protocol.problems import CONTENT_TYPE, Problem

RENEWAL = Renewal(seconds=60.0)


class Scripted:
    """Answers renewals by a script of statuses, and records what was asked."""

    def __init__(self) -> None:
        self.script: list[tuple[int, dict[str, str]]] = []
        self.seen: list[tuple[str, str | None, str | None]] = []
        self.delay = 0.0
        self.app = FastAPI()
        self.app.add_api_route("/{path:path}", self._answer, methods=["GET", "POST", "DELETE", "PATCH"])

    @property
    def keys(self) -> list[str | None]:
        return [key for _, key, _ in self.seen]

    def _answer(self, path: str, request: Request) -> Response:
        headers = request.headers
        self.seen.append((f"{request.method} /{path}", headers.get("Idempotency-Key"), headers.get("Authorization")))
        time.sleep(self.delay)
        status, extra = self.script.pop(0) if self.script else (200, {})
        if status == 200:
            return Response(RENEWAL.model_dump_json(), 200, extra, "application/json")
        body = Problem(type="/problems/word", title="a title", status=status, detail="a detail")
        return Response(body.model_dump_json(), status, extra, CONTENT_TYPE)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.02)


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


@pytest.fixture
def port(scripted: Scripted, mount: Callable[[FastAPI], int]) -> int:
    return mount(scripted.app)


@pytest.fixture
def client(port: int) -> Iterator[DispatcherClient]:
    with DispatcherClient(f"http://127.0.0.1:{port}/", "secret", retry_for=20.0) as client:
        yield client


def test_a_call_carries_token_and_key(client: DispatcherClient, scripted: Scripted) -> None:
    for _ in range(2):
        assert client.renew("lease-1") == RENEWAL
    assert scripted.seen[0][0] == "POST /api/v1/leases/lease-1/renew"
    assert scripted.seen[0][2] == "Bearer secret"
    first, second = scripted.keys
    assert first is not None
    assert first != second, "another call is another change"


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_what_may_pass_is_tried_again_under_the_same_key(
    client: DispatcherClient, scripted: Scripted, status: int
) -> None:
    scripted.script = [(status, {})] * 3
    assert client.renew("lease-1") == RENEWAL
    assert len(scripted.seen) == 4
    assert len(set(scripted.keys)) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, DispatcherError),
        (401, Refused),
        (403, Refused),
        (404, NotFound),
        (409, Conflict),
        (410, NotFound),
        (413, DispatcherError),
        (422, DispatcherError),
        (500, DispatcherError),
        (501, DispatcherError),
    ],
)
def test_what_will_not_pass_is_told_at_once(
    client: DispatcherClient, scripted: Scripted, status: int, kind: type[DispatcherError]
) -> None:
    scripted.script = [(status, {})]
    with pytest.raises(DispatcherError) as told:
        client.renew("lease-1")
    assert type(told.value) is kind
    assert told.value.problem.status == status
    assert told.value.word == "word"
    assert str(told.value) == "a title: a detail"
    assert len(scripted.seen) == 1


def test_a_dispatcher_that_stops_under_a_call_is_asked_again(scripted: Scripted) -> None:
    port = free_port()
    client = DispatcherClient(f"http://127.0.0.1:{port}", retry_for=20.0)
    app, waiting, answers = FastAPI(), threading.Event(), []

    @app.post("/{path:path}")
    async def poll(path: str) -> None:
        waiting.set()
        await asyncio.sleep(60)

    caller = threading.Thread(target=lambda: answers.append(client.renew("lease-1")))
    with serving(app, port):
        caller.start()
        assert waiting.wait(10)
    with serving(scripted.app, port):
        caller.join(20)
    assert answers == [RENEWAL]


def test_retry_after_is_honoured(client: DispatcherClient, scripted: Scripted) -> None:
    scripted.script = [(503, {"Retry-After": "1"})]
    began = time.monotonic()
    client.renew("lease-1")
    assert time.monotonic() - began >= 1.0


def test_it_gives_up_when_the_time_is_over(port: int, scripted: Scripted) -> None:
    scripted.script = [(503, {})] * 1000
    client = DispatcherClient(f"http://127.0.0.1:{port}", retry_for=0.3)
    began = time.monotonic()
    with pytest.raises(DispatcherUnreachable, match="a title"):
        client.renew("lease-1")
    assert 0.3 <= time.monotonic() - began < 5
    scripted.script = [(429, {"Retry-After": "3600"})]
    with pytest.raises(DispatcherError) as told:
        client.renew("lease-1")
    assert told.value.problem.status == 429


def test_nobody_there() -> None:
    client = DispatcherClient(f"http://127.0.0.1:{free_port()}", retry_for=0.3)
    with pytest.raises(DispatcherUnreachable, match=r"no answer from http://127\S+: connection refused$"):
        client.jobs()
    nowhere = DispatcherClient("http://nowhere.invalid:8420", retry_for=0.0)
    with pytest.raises(DispatcherUnreachable, match=r"no answer from http://nowhere\.invalid:8420: no such host$"):
        nowhere.jobs()


def test_a_dispatcher_that_comes_up_late_is_waited_for(scripted: Scripted) -> None:
    port = free_port()
    client = DispatcherClient(f"http://127.0.0.1:{port}", retry_for=None)
    answers: list[Renewal] = []
    caller = threading.Thread(target=lambda: answers.append(client.renew("lease-1")))
    caller.start()
    time.sleep(0.3)
    with serving(scripted.app, port):
        caller.join(20)
    assert answers == [RENEWAL]


def test_a_lost_answer_is_asked_for_again_under_the_same_key(scripted: Scripted, port: int) -> None:
    with FaultyProxy(("127.0.0.1", port)) as proxy:
        client = DispatcherClient(proxy.url, retry_for=20.0)
        proxy.cut_after(10, "down", times=2)
        assert client.renew("lease-1") == RENEWAL
    assert len(scripted.seen) == 3, "the dispatcher heard every one of them"
    assert len(set(scripted.keys)) == 1


def test_an_answer_cut_in_its_body(scripted: Scripted, port: int) -> None:
    with FaultyProxy(("127.0.0.1", port)) as proxy:
        client = DispatcherClient(proxy.url, retry_for=20.0)
        client.renew("lease-1")
        whole = proxy.passed["down"]
        client.close()
        proxy.cut_after(whole - 3, "down")
        assert client.renew("lease-1") == RENEWAL
    assert len(scripted.seen) == 3


def test_a_stalled_line_is_left_after_the_read_timeout(scripted: Scripted, port: int) -> None:
    with FaultyProxy(("127.0.0.1", port)) as proxy:
        client = DispatcherClient(proxy.url, timeout=(2.0, 0.3), retry_for=20.0)
        proxy.stall()
        threading.Timer(0.5, proxy.resume).start()
        assert client.renew("lease-1") == RENEWAL
        assert proxy.connections >= 2
        proxy.stall()
        with pytest.raises(DispatcherUnreachable, match="in time"):
            DispatcherClient(proxy.url, timeout=(2.0, 0.2), retry_for=0.0).renew("lease-1")


def test_a_long_poll_outlasts_the_read_timeout(scripted: Scripted, port: int) -> None:
    scripted.delay = 0.6
    client = DispatcherClient(f"http://127.0.0.1:{port}", timeout=(2.0, 0.3), retry_for=0.0)
    with pytest.raises(DispatcherError):  # a renewal is no batch of leases, but it came
        client.lease(LeaseRequest(), wait=1.0)
    with pytest.raises(DispatcherUnreachable):
        client.renew("lease-1")


def test_a_stop_ends_the_retries() -> None:
    stop = threading.Event()
    client = DispatcherClient(f"http://127.0.0.1:{free_port()}", retry_for=None, stop=stop)
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        client.jobs()
    assert time.monotonic() - began < 5
    with pytest.raises(Stopped):
        client.jobs()


def test_an_answer_that_makes_no_sense(client: DispatcherClient) -> None:
    with pytest.raises(DispatcherError, match="does not understand"):
        client.jobs()


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff\xfe"])
def test_errors_that_are_no_problem_documents(body: bytes, mount: Callable[[FastAPI], int]) -> None:
    app = FastAPI()

    @app.get("/{path:path}")
    def page(path: str) -> Response:
        return Response(body, 418, media_type="text/html")

    with pytest.raises(DispatcherError) as told:
        DispatcherClient(f"http://127.0.0.1:{mount(app)}").jobs()
    assert told.value.problem.status == 418
    with pytest.raises(DispatcherError, match=r"no dispatcher answers at http://127\.0\.0\.1:\d+$"):
        DispatcherClient(f"http://127.0.0.1:{mount(FastAPI())}").jobs()


def test_release_of_a_lease_that_is_gone(client: DispatcherClient, scripted: Scripted) -> None:
    scripted.script = [(404, {})]
    client.release("lease-1")
    assert scripted.seen[0][0] == "DELETE /api/v1/leases/lease-1"


def test_health_asks_at_the_root(client: DispatcherClient, scripted: Scripted) -> None:
    client.health()
    assert scripted.seen[0][0] == "GET /readyz"


def test_the_environment_leads_nobody_astray(
    scripted: Scripted, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("default login someone password hidden\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    for host in ("127.0.0.1", "localhost"):
        DispatcherClient(f"http://{host}:{port}", retry_for=0.0).renew("lease-1")
    assert [token for _, _, token in scripted.seen] == [None, None]


def test_netrc_is_not_sent_to_other_hosts_either(
    scripted: Scripted, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a proxy, so that a name that is no loopback ends at our own server."""
    (tmp_path / ".netrc").write_text("default login someone password hidden\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    DispatcherClient("http://farm.invalid:8420", retry_for=0.0).renew("lease-1")
    DispatcherClient("http://farm.invalid:8420", "mine", retry_for=0.0, insecure=True).renew("lease-1")
    assert [token for _, _, token in scripted.seen] == [None, "Bearer mine"]


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8420", "ftp://x", "http://", "http://x:port", "http://a:b@x", "http://x/?q=1", "http://[::1"],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        DispatcherClient(url)


def test_many_threads_share_a_client(client: DispatcherClient, scripted: Scripted) -> None:
    failures: list[ClientError] = []

    def ask() -> None:
        try:
            for _ in range(10):
                client.renew("lease-1")
        except ClientError as error:
            failures.append(error)

    crowd = [threading.Thread(target=ask) for _ in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert not failures
    assert len(scripted.seen) == 80
    assert len(set(scripted.keys)) == 80


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=farm", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def test_tls(scripted: Scripted, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = certificate
    with serving(scripted.app, cert=cert, key=key) as port:
        url = f"https://127.0.0.1:{port}"
        assert DispatcherClient(url, ca=cert).renew("lease-1") == RENEWAL
        began = time.monotonic()
        with pytest.raises(DispatcherUnreachable, match="not trusted"):
            DispatcherClient(url, retry_for=None).renew("lease-1")
        assert time.monotonic() - began < 5, "no retry mends a certificate"
        # A bundle in the environment must not take the place of the one given.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ssl.get_default_verify_paths().openssl_cafile)
        assert DispatcherClient(url, ca=cert).renew("lease-1") == RENEWAL
    assert len(scripted.seen) == 2
