from __future__ import annotations

import gzip
import hashlib
import http.client
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from fastapi import FastAPI, HTTPException, Request
from serving import serving

from renderbros_addon.dispatcher import api_blobs
from renderbros_addon.dispatcher.api_blobs import blobs_router
from renderbros_addon.dispatcher.blobs import BlobStore
from renderbros_addon.protocol.problems import CONTENT_TYPE

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 32 << 20
DATA = random.Random(1).randbytes(300_001)
SHA = hashlib.sha256(DATA).hexdigest()


class Site:
    """The blob routes on a real socket."""

    def __init__(self, folder: Path) -> None:
        self.store = BlobStore(str(folder / "blobs"), folder / "spool", LIMIT)
        self.completed: list[str] = []
        self.port = 0
        self.app = FastAPI()
        self.app.include_router(blobs_router(self.store, self.completed.append), prefix="/api/v1")

    def ask(self, method: str, sha: str = SHA, body: bytes | None = None, **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{self.port}/api/v1/blobs/{sha}"
        return requests.request(method, url, data=body, headers=named, timeout=20)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    with serving(site.app) as site.port:
        yield site


def check_problem(answer: requests.Response, status: int, word: str) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    assert answer.json()["type"] == f"/problems/{word}"
    assert answer.json()["status"] == status


def test_put_head_get(site: Site) -> None:
    missing = site.ask("HEAD")
    assert (missing.status_code, missing.headers["Upload-Offset"]) == (404, "0")
    check_problem(site.ask("GET"), 404, "unknown_blob")
    assert site.ask("PUT", body=DATA).status_code == 201
    assert site.completed == [SHA]
    there = site.ask("HEAD")
    assert (there.status_code, there.headers["Content-Length"], there.content) == (200, str(len(DATA)), b"")
    whole = site.ask("GET")
    assert (whole.status_code, whole.content) == (200, DATA)
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert site.ask("GET", If_None_Match=whole.headers["ETag"]).status_code == 304


def test_the_empty_blob(site: Site) -> None:
    sha = hashlib.sha256(b"").hexdigest()
    assert site.ask("PUT", sha, b"").status_code == 201
    assert site.ask("HEAD", sha).headers["Content-Length"] == "0"
    assert site.ask("GET", sha).content == b""
    check_problem(site.ask("GET", sha, Range="bytes=0-"), 416, "bad_range")


def test_sending_it_again_is_fine(site: Site) -> None:
    for _ in range(2):
        assert site.ask("PUT", body=DATA).status_code == 201
    assert site.completed == [SHA, SHA]


LAST = len(DATA) - 1


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, LAST),
        ("bytes=1000-1999", 1000, 1999),
        (f"bytes={LAST}-", LAST, LAST),
        ("bytes=5-999999999", 5, LAST),
        ("bytes=-10", LAST - 9, LAST),
        ("bytes=-999999999", 0, LAST),
        ("Bytes=7-8", 7, 8),
    ],
)
def test_ranges(site: Site, asked: str, first: int, last: int) -> None:
    site.ask("PUT", body=DATA)
    got = site.ask("GET", Range=asked)
    assert got.status_code == 206
    assert got.headers["Content-Range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert got.content == DATA[first : last + 1]
    assert site.ask("GET", Range=asked, If_Range=f'"{SHA}"').status_code == 206
    assert site.ask("GET", Range=asked, If_Range='"older"').content == DATA


@pytest.mark.parametrize("asked", [f"bytes={LAST + 1}-", "bytes=-0", "bytes=9-5", "bytes=999999999-"])
def test_ranges_that_hold_nothing(site: Site, asked: str) -> None:
    site.ask("PUT", body=DATA)
    got = site.ask("GET", Range=asked)
    check_problem(got, 416, "bad_range")
    assert got.headers["Content-Range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=a-b", "bytes=-", "bytes=0-1,5-6", "bytes=" + "9" * 40 + "-"])
def test_ranges_that_are_none_give_everything(site: Site, asked: str) -> None:
    site.ask("PUT", body=DATA)
    assert site.ask("GET", Range=asked).content == DATA


def test_an_upload_in_parts(site: Site) -> None:
    part = site.ask("PUT", body=DATA[:1000], Content_Range=f"bytes 0-999/{len(DATA)}")
    assert (part.status_code, part.headers["Upload-Offset"]) == (202, "1000")
    assert site.ask("HEAD").headers["Upload-Offset"] == "1000"
    wrong = site.ask("PUT", body=DATA[999:], Content_Range=f"bytes 999-{LAST}/{len(DATA)}")
    check_problem(wrong, 409, "conflict")
    assert wrong.headers["Upload-Offset"] == "1000"
    assert site.completed == []
    assert site.ask("PUT", body=DATA[1000:], Content_Range=f"bytes 1000-{LAST}/{len(DATA)}").status_code == 201
    assert site.completed == [SHA]
    assert site.ask("GET").content == DATA


@pytest.mark.parametrize("said", ["bytes 0-9/10", f"bytes 0-{LAST}/5", f"bytes 5-{LAST}/*", "bytes 9-5/10", "nonsense"])
def test_a_content_range_that_does_not_fit(site: Site, said: str) -> None:
    check_problem(site.ask("PUT", body=DATA, Content_Range=said), 400, "bad_request")
    assert site.ask("HEAD").headers["Upload-Offset"] == "0"


def put_packed(site: Site, packed: bytes, sha: str = SHA, size: int = len(DATA), first: int = 0) -> requests.Response:
    said = f"bytes {first}-{size - 1}/{size}"
    return site.ask("PUT", sha, packed, Content_Range=said, Content_Encoding="gzip")


def test_what_comes_compressed_is_kept_as_it_was(site: Site) -> None:
    site.ask("PUT", body=DATA[:1000], Content_Range=f"bytes 0-999/{len(DATA)}")
    assert put_packed(site, gzip.compress(DATA[1000:]), first=1000).status_code == 201
    assert site.ask("GET").content == DATA
    assert site.completed == [SHA]


def test_what_is_compressed_is_not_trusted(site: Site) -> None:
    zeros = bytes(LIMIT - 1)
    bomb = gzip.compress(zeros)
    zeros_sha = hashlib.sha256(zeros).hexdigest()
    check_problem(put_packed(site, bomb, zeros_sha, len(zeros)), 415, "bad_coding")
    assert site.store.kept(zeros_sha) < 8 << 20, "it was unpacked no further than it may grow"
    check_problem(put_packed(site, gzip.compress(DATA)[:-9]), 415, "bad_coding")
    check_problem(put_packed(site, b"no gzip at all"), 415, "bad_coding")
    check_problem(put_packed(site, gzip.compress(DATA[:-1]) + gzip.compress(DATA[-1:])), 415, "bad_coding")
    check_problem(put_packed(site, gzip.compress(DATA + b"more")), 413, "too_large")
    check_problem(put_packed(site, gzip.compress(DATA[::-1])), 422, "wrong_digest")
    check_problem(site.ask("PUT", body=DATA, Content_Encoding="br"), 415, "unknown_coding")
    check_problem(site.ask("PUT", body=gzip.compress(DATA), Content_Encoding="gzip"), 400, "bad_request")
    part = f"bytes 0-9/{len(DATA)}"
    check_problem(site.ask("PUT", body=b"x", Content_Encoding="gzip", Content_Range=part), 400, "bad_request")
    assert site.completed == []
    assert site.ask("PUT", body=DATA).status_code == 201


def test_wrong_bytes(site: Site) -> None:
    check_problem(site.ask("PUT", body=DATA[::-1]), 422, "wrong_digest")
    assert site.ask("HEAD").headers["Upload-Offset"] == "0"
    assert site.completed == []


def test_too_large_is_told_to_a_client_in_mid_send(site: Site) -> None:
    check_problem(site.ask("PUT", body=b"\0" * (LIMIT + 1)), 413, "too_large")


def test_an_upload_needs_a_length(site: Site) -> None:
    url = f"http://127.0.0.1:{site.port}/api/v1/blobs/{SHA}"
    check_problem(requests.put(url, data=iter([DATA]), timeout=20), 411, "length_required")


@pytest.mark.parametrize("name", ["0" * 63, "A" * 64, "..%2f" + "a" * 61, "a" * 64 + "%0a"])
def test_names_that_are_no_digest(site: Site, name: str) -> None:
    for method in ("GET", "HEAD", "PUT"):
        assert site.ask(method, name, DATA if method == "PUT" else None).status_code in (404, 422)


def send_and_vanish(site: Site, count: int) -> socket.socket:
    """Start an upload on a bare socket and send only ``count`` bytes of it."""
    line = socket.create_connection(("127.0.0.1", site.port))
    head = f"PUT /api/v1/blobs/{SHA} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(DATA)}\r\n\r\n"
    line.sendall(head.encode() + DATA[:count])
    return line


def until_kept(site: Site, count: int) -> None:
    deadline = time.monotonic() + 10
    while site.ask("HEAD").headers.get("Upload-Offset") != str(count):
        assert time.monotonic() < deadline, f"kept {site.ask('HEAD').headers} instead of {count}"
        time.sleep(0.02)


def test_what_arrived_before_the_line_broke_is_kept(site: Site) -> None:
    send_and_vanish(site, 123_456).close()
    until_kept(site, 123_456)
    rest = site.ask("PUT", body=DATA[123_456:], Content_Range=f"bytes 123456-{LAST}/{len(DATA)}")
    assert rest.status_code == 201
    assert site.ask("GET").content == DATA


def test_a_client_that_falls_silent_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_blobs, "SILENCE", 0.3)
    with send_and_vanish(site, 1000) as line:
        line.settimeout(10)
        answer = http.client.HTTPResponse(line)
        answer.begin()
        assert answer.status == 408
    until_kept(site, 1000)


def test_a_second_uploader_is_asked_to_wait(site: Site, tmp_path: Path) -> None:
    with send_and_vanish(site, 100_000):
        deadline = time.monotonic() + 10
        while not list(tmp_path.glob("spool/*.part")):
            assert time.monotonic() < deadline, "the first upload never began"
            time.sleep(0.01)
        busy = site.ask("PUT", body=DATA)
        check_problem(busy, 409, "conflict")
        assert busy.headers["Retry-After"] == "1"


def test_a_corrupt_blob_is_never_served_whole(site: Site, tmp_path: Path) -> None:
    data = random.Random(2).randbytes(3_000_000)
    sha = hashlib.sha256(data).hexdigest()
    site.ask("PUT", sha, data)
    (tmp_path / "blobs" / sha[:2] / sha[2:4] / sha).write_bytes(data[::-1])
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        site.ask("GET", sha)
    check_problem(site.ask("GET", sha), 404, "unknown_blob")
    assert site.ask("PUT", sha, data).status_code == 201


def test_a_word_of_completion_that_got_lost_is_said_again(site: Site) -> None:
    """The dispatcher was killed after the blob's publication: its client comes back and finds it whole."""
    site.store.append(SHA, 0, len(DATA), [DATA])
    for _ in range(2):
        assert site.ask("HEAD").status_code == 200
    assert site.completed == [SHA], "once is enough"


def test_a_completion_that_fails_is_tried_again(tmp_path: Path) -> None:
    calls: list[str] = []

    def locked_database(sha256: str) -> None:
        calls.append(sha256)
        if len(calls) == 1:
            raise RuntimeError("database is locked")

    site = Site(tmp_path)
    app = FastAPI()
    app.include_router(blobs_router(site.store, locked_database), prefix="/api/v1")
    with serving(app) as site.port:
        assert site.ask("PUT", body=DATA).status_code == 500
        assert site.ask("HEAD").status_code == 200
    assert calls == [SHA, SHA]


def test_only_the_authorised(tmp_path: Path) -> None:
    def authorize(request: Request) -> None:
        if request.headers.get("Authorization") != "Bearer right":
            raise HTTPException(401)

    site = Site(tmp_path)
    app = FastAPI()
    app.include_router(blobs_router(site.store, site.completed.append, authorize), prefix="/api/v1")
    with serving(app) as site.port:
        for method in ("GET", "HEAD", "PUT"):
            assert site.ask(method).status_code == 401
        assert site.ask("PUT", body=DATA, Authorization="Bearer right").status_code == 201
        assert site.ask("GET", Authorization="Bearer right").content == DATA


def test_a_slow_disk_holds_up_nobody_else(tmp_path: Path) -> None:
    class Slow(BlobStore):
        def size(self, sha256: str) -> int | None:
            assert go.wait(20)
            return super().size(sha256)

    go = threading.Event()
    app = FastAPI()
    app.include_router(blobs_router(Slow(str(tmp_path / "b"), tmp_path / "s", LIMIT), lambda sha: None))

    @app.get("/ping")
    async def ping() -> str:
        return "pong"

    with serving(app) as port:
        waiting = threading.Thread(target=requests.get, args=(f"http://127.0.0.1:{port}/blobs/{SHA}",))
        waiting.start()
        try:
            assert requests.get(f"http://127.0.0.1:{port}/ping", timeout=10).json() == "pong"
            assert waiting.is_alive()
        finally:
            go.set()
            waiting.join()


SERVE = """
import sys, fastapi, uvicorn
from pathlib import Path
from renderbros_addon.dispatcher.blobs import BlobStore
from renderbros_addon.dispatcher.api_blobs import blobs_router
root = Path(sys.argv[1])
app = fastapi.FastAPI()
app.include_router(blobs_router(BlobStore(str(root / "blobs"), root / "spool", 1 << 30), lambda sha: None))
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
Server(uvicorn.Config(app, port=0, log_level="error")).run()
"""


def test_memory_does_not_grow_with_the_blob(tmp_path: Path) -> None:
    block = random.Random(3).randbytes(1 << 20)
    count = 200
    sizes: list[int] = []
    digest = hashlib.sha256()
    for _ in range(count):
        digest.update(block)

    class Body:
        def __len__(self) -> int:
            return count * len(block)

        def __iter__(self) -> Iterator[bytes]:
            for _ in range(count):
                yield block
                sizes.append(psutil.Process(server.pid).memory_info().rss)

    server = subprocess.Popen([sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/blobs"
        small = hashlib.sha256(block).hexdigest()
        assert requests.put(f"{url}/{small}", data=block, timeout=30).status_code == 201
        assert requests.get(f"{url}/{small}", timeout=30).content == block
        before = psutil.Process(server.pid).memory_info().rss
        assert requests.put(f"{url}/{digest.hexdigest()}", data=Body(), timeout=60).status_code == 201
        with requests.get(f"{url}/{digest.hexdigest()}", stream=True, timeout=60) as answer:
            got = 0
            for chunk in answer.iter_content(1 << 20):
                got += len(chunk)
                sizes.append(psutil.Process(server.pid).memory_info().rss)
        assert got == count * len(block)
        assert max(sizes) - before < 40 << 20
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
