from __future__ import annotations

import errno
import hashlib
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renderbros_addon.dispatcher import spool
from renderbros_addon.dispatcher.blobs import (
    BlobBusy,
    BlobCorrupt,
    BlobMismatch,
    BlobStore,
    BlobTooLarge,
    StorageFull,
    WrongOffset,
)

LIMIT = 64 << 20
ROOT = Path(__file__).resolve().parents[2]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def some_bytes(count: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(count)


def stored_file(folder: Path, sha: str) -> Path:
    return folder / sha[:2] / sha[2:4] / sha


@pytest.fixture(params=["path", "file-url", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    url = {
        "path": str(tmp_path / "blobs"),
        "file-url": (tmp_path / "blobs").as_uri(),
        "memory": "memory:///",
    }[request.param]
    return BlobStore(url, tmp_path / "spool", LIMIT)


@pytest.fixture
def local(tmp_path: Path) -> BlobStore:
    return BlobStore(str(tmp_path / "blobs"), tmp_path / "spool", LIMIT)


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 7_000_003])
def test_what_went_in_comes_out(store: BlobStore, tmp_path: Path, size: int) -> None:
    data = some_bytes(size)
    sha = digest(data)
    assert store.size(sha) is None
    assert store.append(sha, 0, size, [data])
    assert store.size(sha) == size
    assert b"".join(store.stream(sha)) == data
    assert store.local_copy(sha, tmp_path / "copy").read_bytes() == data
    assert not list((tmp_path / "spool").iterdir())
    store.delete(sha)
    store.delete(sha)
    assert store.size(sha) is None
    with pytest.raises(FileNotFoundError):
        b"".join(store.stream(sha))


@given(st.integers(0, 3000), st.integers(0, 3000))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_range_is_the_slice(store: BlobStore, start: int, end: int) -> None:
    data = some_bytes(2500)
    store.append(digest(data), 0, len(data), [data])
    assert b"".join(store.stream(digest(data), start, end)) == data[start:end]


def test_a_local_blob_lies_in_its_folders(local: BlobStore, tmp_path: Path) -> None:
    data = b"brick"
    local.append(digest(data), 0, 5, [data])
    assert stored_file(tmp_path / "blobs", digest(data)).read_bytes() == data


@given(st.lists(st.integers(0, 400), max_size=8), st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_pieces_over_any_restarts_make_the_blob(local: BlobStore, tmp_path: Path, sizes: list[int], draw) -> None:
    data = some_bytes(sum(sizes), sum(sizes))
    sha = digest(data)
    local.delete(sha)
    store, whole = local, False
    for size in [*sizes, 0]:
        at = store.kept(sha)
        whole = store.append(sha, at, len(data), [data[at : at + size]])
        if draw.draw(st.booleans()):
            store = BlobStore(str(tmp_path / "blobs"), tmp_path / "spool", LIMIT)
    assert whole
    assert store.size(sha) == len(data)
    assert b"".join(store.stream(sha)) == data


def test_an_upload_goes_on_only_where_it_stopped(local: BlobStore) -> None:
    data = some_bytes(1000)
    sha = digest(data)
    assert not local.append(sha, 0, 1000, [data[:300]])
    for wrong in (1, 299, 301, 1000):
        with pytest.raises(WrongOffset) as told:
            local.append(sha, wrong, 1000, [data[wrong:]])
        assert told.value.kept == 300
        assert local.kept(sha) == 300
    assert local.append(sha, 300, 1000, [data[300:]])


def test_an_upload_may_start_anew(local: BlobStore) -> None:
    data = some_bytes(1000)
    local.append(digest(data), 0, 1000, [b"x" * 900])
    assert local.append(digest(data), 0, 1000, [data])


def test_wrong_bytes_are_thrown_away(local: BlobStore, tmp_path: Path) -> None:
    data = some_bytes(1000)
    sha = digest(data)
    with pytest.raises(BlobMismatch, match=digest(data[::-1])):
        local.append(sha, 0, 1000, [data[::-1]])
    assert local.size(sha) is None
    assert local.kept(sha) == 0
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
    assert local.append(sha, 0, 1000, [data])


def test_bounds(local: BlobStore) -> None:
    with pytest.raises(BlobTooLarge):
        local.begin("0" * 64, 0, LIMIT + 1)
    with pytest.raises(BlobTooLarge):
        local.append("0" * 64, 0, 10, [b"12345", b"678901"])
    assert local.kept("0" * 64) == 5


@pytest.mark.parametrize("name", ["", "a" * 63, "A" * 64, "../" + "a" * 61, "a" * 64 + "\n", "a" * 65, "\u0661" * 64])
def test_a_name_never_becomes_a_path(local: BlobStore, tmp_path: Path, name: str) -> None:
    for use in (local.size, local.kept, local.delete, lambda n: local.begin(n, 0, 1), lambda n: list(local.stream(n))):
        with pytest.raises(ValueError, match="SHA-256"):
            use(name)
    with pytest.raises(ValueError, match="SHA-256"):
        local.put_file(Path(__file__), name)


def test_no_room_is_told_before_the_first_byte(local: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("renderbros_addon.dispatcher.blobs.RESERVE", 1 << 60)
    with pytest.raises(StorageFull):
        local.begin("0" * 64, 0, 1)


def test_a_disk_that_fills_up_meanwhile(local: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(spool.FileIO):
        def write(self, data) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool, "FileIO", Full)
    with pytest.raises(StorageFull):
        local.append("0" * 64, 0, 10, [b"12345"])


# Two at once


def test_a_second_upload_waits_while_the_first_is_alive(local: BlobStore) -> None:
    data = some_bytes(1000)
    sha = digest(data)
    with local.begin(sha, 0, 1000) as first:
        first.write(data[:400])
        for offset in (0, 400):
            with pytest.raises(BlobBusy) as told:
                local.begin(sha, offset, 1000)
            assert told.value.kept == 400
        first.write(data[400:])
        assert first.finish()
    assert b"".join(local.stream(sha)) == data


def test_a_silent_upload_is_superseded_and_can_do_no_harm(local: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    data = some_bytes(1000)
    sha = digest(data)
    silent = local.begin(sha, 0, 1000)
    silent.write(data[:400])
    monkeypatch.setattr(spool, "BUSY_FOR", 0.0)
    second = local.begin(sha, 400, 1000)
    with pytest.raises(BlobBusy):
        silent.write(b"z" * 600)
    with pytest.raises(BlobBusy):
        silent.finish()
    silent.close()
    # The old one's end must not make the new one forgotten.
    assert local.kept(sha) == 400
    second.write(data[400:])
    assert second.finish()
    second.close()
    assert b"".join(local.stream(sha)) == data


def test_a_crowd_sends_the_same_blob(local: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "BUSY_FOR", 0.002)
    data = some_bytes(400_000)
    sha = digest(data)
    failures: list[Exception] = []

    def send(seed: int) -> None:
        dice = random.Random(seed)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            at = local.kept(sha) if dice.random() < 0.9 else 0
            try:
                step = dice.randint(1, 60_000)
                chunks = [data[i : i + step] for i in range(at, len(data), step)]
                if dice.random() < 0.5:
                    chunks = chunks[: dice.randint(0, len(chunks))]
                if local.append(sha, at, len(data), chunks):
                    return
            except WrongOffset:
                time.sleep(dice.random() * 0.005)
            except Exception as error:
                failures.append(error)
                return
        failures.append(TimeoutError("never whole"))

    crowd = [threading.Thread(target=send, args=(seed,)) for seed in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert not failures
    assert b"".join(local.stream(sha)) == data
    assert not [p for p in (tmp_path / "spool").iterdir() if p.suffix == ".tmp"]


# What was stored goes bad


@pytest.mark.parametrize("damage", ["flip", "shorten", "empty", "lengthen"])
def test_a_corrupt_blob_is_noticed_removed_and_can_be_sent_again(local: BlobStore, tmp_path: Path, damage: str) -> None:
    data = some_bytes(3_000_000)
    sha = digest(data)
    local.append(sha, 0, len(data), [data])
    file = stored_file(tmp_path / "blobs", sha)
    bad = bytearray(data)
    bad[1_500_000] ^= 1
    file.write_bytes({"flip": bytes(bad), "shorten": data[:-1], "empty": b"", "lengthen": data + b"!"}[damage])
    with pytest.raises(BlobCorrupt):
        local.local_copy(sha, tmp_path / "copy")
    assert local.size(sha) is None
    assert not (tmp_path / "copy").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["blobs", "spool"]
    assert local.append(sha, 0, len(data), [data])
    assert local.local_copy(sha, tmp_path / "copy").read_bytes() == data


def test_a_reader_of_a_corrupt_blob_never_gets_all_of_it(local: BlobStore, tmp_path: Path) -> None:
    data = some_bytes(3_000_000)
    sha = digest(data)
    local.append(sha, 0, len(data), [data])
    stored_file(tmp_path / "blobs", sha).write_bytes(data[::-1])
    got: list[bytes] = []
    with pytest.raises(BlobCorrupt):
        got.extend(local.stream(sha))
    assert 0 < sum(map(len, got)) < len(data)


# Files


def test_put_file(store: BlobStore, tmp_path: Path) -> None:
    source = tmp_path / "frame.exr"
    source.write_bytes(some_bytes(2_500_000))
    sha = digest(source.read_bytes())
    store.put_file(source, sha)
    store.put_file(source, sha)
    assert b"".join(store.stream(sha)) == source.read_bytes()
    with pytest.raises(BlobMismatch):
        store.put_file(source, "0" * 64)
    assert store.size("0" * 64) is None
    assert not list((tmp_path / "spool").iterdir())


def test_put_file_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"12345678901")
    with pytest.raises(BlobTooLarge):
        BlobStore(str(tmp_path / "blobs"), tmp_path / "spool", 10).put_file(tmp_path / "big", "0" * 64)


def test_spool_and_storage_may_be_on_two_devices(tmp_path: Path) -> None:
    shared_memory = Path("/dev/shm")  # noqa: S108
    if not shared_memory.is_dir() or shared_memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("only one device here")
    other = shared_memory / f"renderbros-test-{os.getpid()}"
    try:
        store = BlobStore(str(tmp_path / "blobs"), other, LIMIT)
        data = some_bytes(2_000_000)
        assert store.append(digest(data), 0, len(data), [data])
        assert b"".join(store.stream(digest(data))) == data
        assert not list(other.iterdir())
        assert not list((tmp_path / "blobs" / "incoming").iterdir())
    finally:
        for left in other.iterdir():
            left.unlink()
        other.rmdir()


# Over a crash, over time

DIE_MIDWAY = """
import os, signal, sys
from pathlib import Path
from renderbros_addon.dispatcher.blobs import BlobStore
root = Path(sys.argv[1])
upload = BlobStore(str(root / "blobs"), root / "spool", 1 << 20).begin(sys.argv[2], 0, 1000)
upload.write(bytes(range(250)))
os.kill(os.getpid(), signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
"""


def test_an_upload_survives_the_death_of_the_dispatcher(tmp_path: Path) -> None:
    data = bytes(range(250)) * 4
    sha = digest(data)
    done = subprocess.run([sys.executable, "-c", DIE_MIDWAY, str(tmp_path), sha], check=False, cwd=ROOT)
    assert done.returncode != 0
    store = BlobStore(str(tmp_path / "blobs"), tmp_path / "spool", LIMIT)
    assert store.kept(sha) == 250
    assert store.append(sha, 250, 1000, [data[250:]])
    assert b"".join(store.stream(sha)) == data


def test_leftovers_of_a_crash_are_swept_at_start(local: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "spool" / f"{'0' * 64}.0123456789abcdef.tmp").write_bytes(b"half")
    BlobStore(str(tmp_path / "blobs"), tmp_path / "spool", LIMIT)
    assert not list((tmp_path / "spool").iterdir())


def test_stale_partials_are_swept_and_live_ones_kept(local: BlobStore, tmp_path: Path) -> None:
    stale, fresh, open_now = "1" * 64, "2" * 64, "3" * 64
    for sha in (stale, fresh):
        local.append(sha, 0, 10, [b"123"])
    upload = local.begin(open_now, 0, 10)
    upload.write(b"123")
    two_days_ago = time.time() - 2 * 86400
    for sha in (stale, open_now):
        os.utime(tmp_path / "spool" / f"{sha}.part", (two_days_ago, two_days_ago))
    assert local.sweep() == 1
    assert [local.kept(sha) for sha in (stale, fresh, open_now)] == [0, 3, 3]
    upload.close()
