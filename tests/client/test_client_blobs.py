from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from faults import FaultyProxy, free_port
from serving import serving

from renderbros_addon.client import retry
from renderbros_addon.client.blobs import download, size_of, upload
from renderbros_addon.client.coding import Density
from renderbros_addon.client.connection import Connection
from renderbros_addon.client.errors import (
    DispatcherError,
    DispatcherUnreachable,
    NotFound,
    Stopped,
    WrongDigest,
)
from renderbros_addon.dispatcher import spool
from renderbros_addon.dispatcher.api_blobs import blobs_router
from renderbros_addon.dispatcher.blobs import BlobStore

Mount = Callable[[FastAPI], int]

DATA = random.Random(5).randbytes(6_000_011)
SHA = hashlib.sha256(DATA).hexdigest()
SIZE = len(DATA)
LIMIT = 16 << 20


class Site:
    """The blob routes behind a proxy that misbehaves when told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.completed: list[str] = []
        self.restart()

    def restart(self) -> None:
        """The store as a restarted dispatcher finds it."""
        self.store = BlobStore(str(self.folder / "blobs"), self.folder / "spool", LIMIT)
        self.app = FastAPI()
        self.app.include_router(blobs_router(self.store, self.completed.append), prefix="/api/v1")

    def stored(self, sha: str = SHA) -> Path:
        return self.folder / "blobs" / sha[:2] / sha[2:4] / sha


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.02)
    # So that a client comes back to its own broken upload without waiting for seconds.
    monkeypatch.setattr(spool, "BUSY_FOR", 0.1)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


@pytest.fixture
def proxy(site: Site, mount: Mount) -> Iterator[FaultyProxy]:
    with FaultyProxy(("127.0.0.1", mount(site.app))) as proxy:
        yield proxy


@pytest.fixture
def here(proxy: FaultyProxy) -> Iterator[Connection]:
    with Connection(proxy.url, timeout=(5.0, 5.0), retry_for=20.0) as connection:
        yield connection


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "scene.blend"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """Where downloads go; nothing else is in it."""
    (tmp_path / "box").mkdir()
    return tmp_path / "box"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Up


def test_an_upload(site: Site, here: Connection, source: Path, proxy: FaultyProxy) -> None:
    told: list[tuple[int, int]] = []
    upload(here, source, SHA, SIZE, lambda done, size: told.append((done, size)))
    assert site.stored().read_bytes() == DATA
    assert site.completed == [SHA]
    assert told[0] == (0, SIZE)
    assert told[-1] == (SIZE, SIZE)
    assert told == sorted(told)
    before = proxy.passed["up"]
    upload(here, source, SHA, SIZE)
    assert proxy.passed["up"] - before < 1000, "what is there is not sent again"


def test_a_slow_line_gets_it_compressed(site: Site, here: Connection, tmp_path: Path, proxy: FaultyProxy) -> None:
    content = b"".join(b"%d " % number for number in range(1_000_000))
    sha = hashlib.sha256(content).hexdigest()
    (tmp_path / "text").write_bytes(content)
    proxy.delay = 0.03  # for each 64 KiB
    told: list[int] = []
    upload(here, tmp_path / "text", sha, len(content), lambda done, _: told.append(done))
    assert site.stored(sha).read_bytes() == content
    assert proxy.passed["up"] < 0.6 * len(content)
    assert told[-1] == len(content)


def test_what_is_compressed_goes_on_where_the_line_broke(
    site: Site, here: Connection, tmp_path: Path, proxy: FaultyProxy
) -> None:
    content = b"".join(b"%d " % number for number in range(1_000_000))
    sha = hashlib.sha256(content).hexdigest()
    (tmp_path / "text").write_bytes(content)
    here.upload_rate = 1e6  # as if it had been measured
    proxy.cut_after(800_000, "up", times=2)
    upload(here, tmp_path / "text", sha, len(content))
    assert site.stored(sha).read_bytes() == content
    assert proxy.passed["up"] < 0.6 * len(content)


def test_compressing_pays_by_bytes_and_line() -> None:
    mesh, picture = Density(ratio=3.4, speed=98e6), Density(ratio=1.02, speed=30e6)
    assert mesh.pays(12.5e6)  # 100 Mbit/s
    assert not mesh.pays(110e6)  # 1 Gbit/s
    assert not picture.may_pay
    assert not picture.pays(1e6)


def test_a_small_file_is_sent_unasked(here: Connection, tmp_path: Path, site: Site, mount: Mount) -> None:
    asked: list[str] = []

    @site.app.middleware("http")
    async def note(request: Request, go_on: Any) -> Response:
        asked.append(request.method)
        return await go_on(request)  # type: ignore[no-any-return]

    (tmp_path / "small").write_bytes(b"small")
    sha = hashlib.sha256(b"small").hexdigest()
    with Connection(f"http://127.0.0.1:{mount(site.app)}", retry_for=5.0) as connection:
        for _ in range(2):
            upload(connection, tmp_path / "small", sha, 5)
    assert asked == ["PUT", "PUT"]
    assert site.stored(sha).read_bytes() == b"small"


def test_an_empty_file(here: Connection, tmp_path: Path, site: Site, box: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    sha = hashlib.sha256(b"").hexdigest()
    upload(here, tmp_path / "empty", sha, 0)
    assert site.store.size(sha) == 0
    download(here, sha, 0, box / "empty")
    assert (box / "empty").read_bytes() == b""


def test_an_upload_goes_on_where_the_line_broke(site: Site, here: Connection, source: Path, proxy: FaultyProxy) -> None:
    proxy.cut_after(1_500_000, "up", times=3)
    upload(here, source, SHA, SIZE)
    assert site.stored().read_bytes() == DATA
    assert proxy.connections >= 4
    assert proxy.passed["up"] < SIZE + 1_000_000, "hardly a byte went twice"


def test_an_upload_over_a_line_that_keeps_breaking(here: Connection, source: Path, proxy: FaultyProxy, site) -> None:
    """Each connection carries a little; the budget counts from the last progress, so it gets there."""
    proxy.cut_after(300_000, "up", times=1000)
    connection = Connection(proxy.url, retry_for=1.0)
    upload(connection, source, SHA, SIZE)
    assert site.stored().read_bytes() == DATA
    assert proxy.connections >= 20


def test_an_upload_whose_answer_got_lost(here: Connection, source: Path, proxy: FaultyProxy, site: Site) -> None:
    def cut_when_sent(done: int, size: int) -> None:
        if done == size and proxy.connections == 1:
            proxy.stall()
            proxy.cut_all()
            proxy.resume()

    upload(here, source, SHA, SIZE, cut_when_sent)
    assert site.stored().read_bytes() == DATA
    assert set(site.completed) == {SHA}


def test_an_upload_through_a_stall(site: Site, source: Path, proxy: FaultyProxy, monkeypatch) -> None:
    monkeypatch.setattr("renderbros_addon.client.blobs.SEND_TIMEOUT", 0.3)
    monkeypatch.setattr("renderbros_addon.client.blobs.VERIFIED_PER_SECOND", 1e9)
    stalled: list[float] = []

    def stall_midway(done: int, size: int) -> None:
        if done > 2_000_000 and not stalled:
            stalled.append(time.monotonic())
            proxy.stall()
            threading.Timer(0.6, proxy.resume).start()

    upload(Connection(proxy.url, timeout=(0.3, 0.3), retry_for=20.0), source, SHA, SIZE, stall_midway)
    assert stalled
    assert site.stored().read_bytes() == DATA


def test_an_upload_over_a_restart_of_the_dispatcher(site: Site, source: Path) -> None:
    port = free_port()
    down = threading.Event()
    failures: list[Exception] = []

    def slow_down(done: int, size: int) -> None:
        if done > 3_000_000 and not down.is_set():
            down.wait(20)

    def send() -> None:
        try:
            upload(Connection(f"http://127.0.0.1:{port}", retry_for=20.0), source, SHA, SIZE, slow_down)
        except Exception as error:
            failures.append(error)

    sender = threading.Thread(target=send)
    with serving(site.app, port):
        sender.start()
        deadline = time.monotonic() + 10
        while site.store.kept(SHA) < 1_000_000 and time.monotonic() < deadline:
            time.sleep(0.01)
    down.set()
    site.restart()
    assert site.store.kept(SHA) >= 1_000_000
    with serving(site.app, port):
        sender.join(30)
    assert not failures
    assert site.stored().read_bytes() == DATA


def test_a_crowd_sends_the_same_file(site: Site, source: Path, proxy: FaultyProxy) -> None:
    failures: list[Exception] = []

    def send() -> None:
        try:
            upload(Connection(proxy.url, retry_for=20.0), source, SHA, SIZE)
        except Exception as error:
            failures.append(error)

    crowd = [threading.Thread(target=send) for _ in range(6)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert not failures
    assert site.stored().read_bytes() == DATA
    assert names(site.folder / "spool") == []


def test_a_file_that_is_not_what_it_was(site: Site, here: Connection, source: Path) -> None:
    source.write_bytes(DATA[::-1])
    with pytest.raises(WrongDigest, match=r"scene\.blend"):
        upload(here, source, SHA, SIZE)
    source.write_bytes(DATA[:-1])
    with pytest.raises(WrongDigest, match="6000010 bytes"):
        upload(here, source, SHA, SIZE)
    assert site.completed == []
    assert names(site.folder / "spool") == []


def test_what_a_stranger_left_does_not_spoil_an_upload(site: Site, here: Connection, source: Path) -> None:
    site.store.append(SHA, 0, SIZE, [b"rubbish" * 1000])
    upload(here, source, SHA, SIZE)
    assert site.stored().read_bytes() == DATA


def test_all_bytes_there_but_never_published(site: Site, here: Connection, source: Path) -> None:
    """As a dispatcher leaves it that is killed between the last byte and the publication."""
    (site.folder / "spool" / f"{SHA}.part").write_bytes(DATA)
    upload(here, source, SHA, SIZE)
    assert site.stored().read_bytes() == DATA


def test_a_file_that_is_too_large(here: Connection, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(LIMIT + 1))
    with pytest.raises(DispatcherError) as told:
        upload(here, big, hashlib.sha256(big.read_bytes()).hexdigest(), LIMIT + 1)
    assert told.value.problem.status == 413


def test_an_upload_to_nowhere(source: Path) -> None:
    with pytest.raises(DispatcherUnreachable):
        upload(Connection(f"http://127.0.0.1:{free_port()}", retry_for=0.2), source, SHA, SIZE)


def test_an_upload_is_stopped(source: Path, proxy: FaultyProxy) -> None:
    stop = threading.Event()
    proxy.refuse = True
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Stopped):
        upload(Connection(proxy.url, retry_for=None, stop=stop), source, SHA, SIZE)


# Down


@pytest.fixture
def filled(site: Site, source: Path) -> Site:
    site.store.put_file(source, SHA)
    return site


def test_a_download(filled: Site, here: Connection, box: Path) -> None:
    told: list[tuple[int, int]] = []
    download(here, SHA, SIZE, box / "out", lambda done, size: told.append((done, size)))
    assert (box / "out").read_bytes() == DATA
    assert names(box) == ["out"]
    assert told[-1] == (SIZE, SIZE)
    assert told == sorted(told)


def test_a_download_replaces_what_is_there_only_when_whole(filled: Site, here: Connection, box: Path) -> None:
    (box / "out").write_bytes(b"older")
    with pytest.raises(WrongDigest):
        download(here, SHA, SIZE - 1, box / "out")
    assert (box / "out").read_bytes() == b"older"
    download(here, SHA, SIZE, box / "out")
    assert (box / "out").read_bytes() == DATA
    assert names(box) == ["out"]


def test_a_download_goes_on_where_the_line_broke(filled: Site, here: Connection, box: Path, proxy: FaultyProxy) -> None:
    proxy.cut_after(1_500_000, "down", times=3)
    download(here, SHA, SIZE, box / "out")
    assert (box / "out").read_bytes() == DATA
    assert proxy.connections >= 4
    assert proxy.passed["down"] < SIZE + 2_000_000, "most bytes came once"


def test_a_download_through_a_stall(filled: Site, box: Path, proxy: FaultyProxy) -> None:
    stalled: list[float] = []

    def stall_midway(done: int, size: int) -> None:
        if done > 1_000_000 and not stalled:
            stalled.append(time.monotonic())
            proxy.stall()
            threading.Timer(0.6, proxy.resume).start()

    download(Connection(proxy.url, timeout=(2.0, 0.3), retry_for=20.0), SHA, SIZE, box / "out", stall_midway)
    assert stalled
    assert (box / "out").read_bytes() == DATA
    assert names(box) == ["out"]


def test_a_download_that_fails_leaves_nothing(filled: Site, box: Path, proxy: FaultyProxy) -> None:
    proxy.cut_after(1_500_000, "down", times=1)
    connection = Connection(proxy.url, retry_for=0.2)

    def then_refuse(done: int, size: int) -> None:
        proxy.refuse = True

    with pytest.raises(DispatcherUnreachable):
        download(connection, SHA, SIZE, box / "out", then_refuse)
    assert names(box) == []


def test_a_kept_partial_is_gone_on_from(filled: Site, box: Path, proxy: FaultyProxy) -> None:
    connection = Connection(proxy.url, retry_for=0.0)
    proxy.cut_after(4_000_000, "down")
    with pytest.raises(DispatcherUnreachable):
        download(connection, SHA, SIZE, box / "out", keep_partial=True)
    assert names(box) == ["out.part"]
    had = (box / "out.part").stat().st_size
    assert had > 1_000_000
    before = proxy.passed["down"]
    download(connection, SHA, SIZE, box / "out", keep_partial=True)
    assert proxy.passed["down"] - before < SIZE - had + 10_000
    assert (box / "out").read_bytes() == DATA
    assert names(box) == ["out"]


@pytest.mark.parametrize("left", [b"rubbish" * 100_000, DATA + b"too long", b"?" * SIZE, DATA, b""])
def test_whatever_an_earlier_call_left(filled: Site, here: Connection, box: Path, left: bytes) -> None:
    (box / "out.part").write_bytes(left)
    download(here, SHA, SIZE, box / "out", keep_partial=True)
    assert (box / "out").read_bytes() == DATA
    assert names(box) == ["out"]


def test_the_size_of_a_blob(filled: Site, here: Connection) -> None:
    assert size_of(here, SHA) == SIZE
    with pytest.raises(NotFound, match="no blob 000"):
        size_of(here, "0" * 64)


def test_a_blob_that_is_not_there(here: Connection, box: Path) -> None:
    with pytest.raises(NotFound):
        download(here, SHA, SIZE, box / "out")
    assert names(box) == []


def test_a_blob_that_went_bad_in_the_storage(filled: Site, here: Connection, box: Path, source: Path) -> None:
    filled.stored().write_bytes(DATA[::-1])
    with pytest.raises((NotFound, WrongDigest)):
        download(here, SHA, SIZE, box / "out")
    assert names(box) == []
    assert filled.store.size(SHA) is None
    upload(here, source, SHA, SIZE)
    download(here, SHA, SIZE, box / "out")
    assert (box / "out").read_bytes() == DATA


def test_a_download_is_stopped(filled: Site, box: Path, proxy: FaultyProxy) -> None:
    stop = threading.Event()
    with pytest.raises(Stopped):
        download(Connection(proxy.url, stop=stop), SHA, SIZE, box / "out", lambda done, size: stop.set())
    assert names(box) == []


# A dispatcher that is not what it should be


def lying(answer: Callable[[int, Request], Response]) -> FastAPI:
    """A server that gives ``answer(attempt, request)`` to every GET."""
    app = FastAPI()
    attempts: list[int] = []

    @app.get("/{path:path}")
    def get(path: str, request: Request) -> Response:
        attempts.append(1)
        return answer(len(attempts), request)

    return app


@pytest.mark.parametrize("content", [DATA[::-1], DATA + b"!", b""], ids=["other", "longer", "empty"])
def test_wrong_content_is_discarded_and_reported(box: Path, mount: Mount, content: bytes) -> None:
    port = mount(lying(lambda attempt, request: Response(content)))
    connection = Connection(f"http://127.0.0.1:{port}", retry_for=0.3)
    with pytest.raises((WrongDigest, DispatcherUnreachable)) as told:
        download(connection, SHA, SIZE, box / "out", keep_partial=True)
    assert isinstance(told.value, WrongDigest) == bool(content)
    assert "out" not in names(box)
    if content:
        assert names(box) == []


def test_a_server_that_knows_no_ranges(box: Path, mount: Mount) -> None:
    def answer(attempt: int, request: Request) -> Response:
        # The first answer ends early, as HTTP counts, and is whole: only the size asked for tells.
        return Response(DATA[:1_000_000] if attempt == 1 else DATA)

    port = mount(lying(answer))
    download(Connection(f"http://127.0.0.1:{port}", retry_for=5.0), SHA, SIZE, box / "out")
    assert (box / "out").read_bytes() == DATA


def test_a_server_that_gives_another_range(box: Path, mount: Mount) -> None:
    def answer(attempt: int, request: Request) -> Response:
        if attempt == 1:
            return Response(DATA[:1_000_000])
        if "range" in request.headers:
            return Response(DATA[5:], 206, {"Content-Range": f"bytes 5-{SIZE - 1}/{SIZE}"})
        return Response(DATA)

    port = mount(lying(answer))
    download(Connection(f"http://127.0.0.1:{port}", retry_for=5.0), SHA, SIZE, box / "out")
    assert (box / "out").read_bytes() == DATA


def test_a_busy_server_is_asked_again(box: Path, mount: Mount) -> None:
    def answer(attempt: int, request: Request) -> Response:
        return Response(DATA) if attempt > 3 else Response(b"later", 503)

    port = mount(lying(answer))
    download(Connection(f"http://127.0.0.1:{port}", retry_for=5.0), SHA, SIZE, box / "out")
    assert (box / "out").read_bytes() == DATA
