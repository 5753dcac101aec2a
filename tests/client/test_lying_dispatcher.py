"""A dispatcher that sends what would fill a client's memory or disk, or leave files where they don't belong."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from dispatcher.pictures import claimed

from renderbros_addon.cli.errors import CommandError
from renderbros_addon.cli.fetching import Fetcher
from renderbros_addon.client import connection
from renderbros_addon.client.blobs import download, size_of
from renderbros_addon.client.connection import Connection
from renderbros_addon.client.errors import ClientError, DispatcherUnreachable, WrongDigest
from renderbros_addon.client.http import DispatcherClient

JOB = "0123456789abcdef01234567"
MIB = 1 << 20


class Liar(BaseHTTPRequestHandler):
    """Does as ``answer`` says, on a real socket; what the client does meanwhile is its own affair."""

    protocol_version = "HTTP/1.1"
    answer: Callable[[Liar], None]

    def do_GET(self) -> None:
        try:
            type(self).answer(self)
        except OSError:
            self.close_connection = True

    do_HEAD = do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    def head(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def body(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.head(status, Content_Length=str(len(content)), **headers)
        self.wfile.write(content)


@contextmanager
def lying(answer: Callable[[Liar], None]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Told", (Liar,), {"answer": answer}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def endless(liar: Liar) -> None:
    liar.head(Transfer_Encoding="chunked")
    while True:
        liar.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def endless_error(liar: Liar) -> None:
    liar.send_response(400)
    liar.send_header("Content-Type", "application/problem+json")
    liar.send_header("Transfer-Encoding", "chunked")
    liar.end_headers()
    while True:
        liar.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def packed_bomb(liar: Liar) -> None:
    liar.body(BOMB, Content_Encoding="gzip")


def twice_packed(liar: Liar) -> None:
    liar.body(gzip.compress(BOMB), Content_Encoding="gzip, gzip")


BOMB = gzip.compress(bytes(256 * MIB), 1)


def dripping(liar: Liar) -> None:
    liar.head(Content_Length="1000000")
    while True:
        liar.wfile.write(b" ")
        threading.Event().wait(0.02)


@pytest.mark.parametrize("answer", [endless, endless_error, packed_bomb, twice_packed, dripping])
def test_an_answer_without_an_end(answer: Callable[[Liar], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_ANSWER", 8 * MIB)
    monkeypatch.setattr(connection, "LONGEST_ANSWER", 0.3)
    before = psutil.Process().memory_info().rss
    with (
        lying(answer) as url,
        DispatcherClient(url, retry_for=0.0, timeout=(2.0, 1.0)) as client,
        pytest.raises(DispatcherUnreachable, match=r"longer than|come to an end"),
    ):
        client.jobs()
    assert psutil.Process().memory_info().rss - before < 100 * MIB


@pytest.mark.parametrize("answer", [endless, endless_error, packed_bomb])
def test_a_file_without_an_end(answer: Callable[[Liar], None], tmp_path: Path) -> None:
    with lying(answer) as url, pytest.raises(ClientError):
        download(Connection(url, retry_for=0.0), hashlib.sha256(b"").hexdigest(), 1000, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("told", ["9" * 5000, "-1", "²", "1e3", ""])
def test_sizes_that_are_none(told: str, tmp_path: Path) -> None:
    def answer(liar: Liar) -> None:
        liar.send_response(206)
        liar.wfile.write(b"")
        for name, value in (("Content-Range", f"bytes 0-{told}/{told}"), ("Upload-Offset", told)):
            liar._headers_buffer.append(f"{name}: {value}\r\n".encode())  # type: ignore[attr-defined]
        liar.send_header("Connection", "close")
        liar.end_headers()

    with lying(answer) as url:
        for call in (size_of, lambda there, sha: download(there, sha, 10, tmp_path / "file")):
            with pytest.raises(ClientError):
                call(Connection(url, retry_for=0.0), "0" * 64)
    assert list(tmp_path.iterdir()) == []


def frames(name: str, size: int, sha256: str) -> bytes:
    output = claimed(container="png").output.model_dump(mode="json") | {"sha256": sha256, "size": size}
    file = {"name": name, "output": output}
    return json.dumps({"frames": [{"frame": 1, "status": "done", "files": [file]}]}).encode()


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("../out.png", 5),
        ("/srv/out.png", 5),
        ("a/../../out.png", 5),
        ("C:\\out.png", 5),
        (".bashrc", 5),
        ("frame.png\x00.sh", 5),
        ("frame.png", 1 << 52),
        ("frame.png", 5),
    ],
)
def test_fetch_leaves_nothing_that_is_not_a_frame(name: str, size: int, tmp_path: Path) -> None:
    """The last one's content is another than was told."""
    home = tmp_path / "home" / "deeper"
    home.mkdir(parents=True)
    with (
        lying(offering(name, size)) as url,
        DispatcherClient(url, retry_for=0.0) as client,
        pytest.raises((ClientError, CommandError)),
    ):
        Fetcher(client, JOB, home / "out").fetch()
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def offering(name: str, size: int, content: bytes = b"other") -> Callable[[Liar], None]:
    def answer(liar: Liar) -> None:
        if "/blobs/" in liar.path:
            liar.body(content, Content_Type="application/octet-stream")
        elif "/frames" in liar.path:
            liar.body(frames(name, size, hashlib.sha256(b"right").hexdigest()))
        else:
            liar.body(b"{}", 404)

    return answer


def test_what_is_a_frame_is_left(tmp_path: Path) -> None:
    """The control: what is offered differs by nothing but its name and its bytes."""
    with lying(offering("a/frame.png", 5, b"right")) as url, DispatcherClient(url, retry_for=0.0) as client:
        Fetcher(client, JOB, tmp_path / "out").fetch()
    assert (tmp_path / "out" / "a" / "frame.png").read_bytes() == b"right"


def test_wrong_bytes_are_told(tmp_path: Path) -> None:
    with lying(lambda liar: liar.body(b"wrong")) as url, pytest.raises(WrongDigest):
        download(Connection(url, retry_for=0.0), "0" * 64, 5, tmp_path / "file")
