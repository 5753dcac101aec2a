"""The cache: right content or none, within its limit, also between processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from renderbros_addon.worker.cache import BlobCache, DamagedBlob, file_sha256


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Store:
    """A source of blobs that counts."""

    def __init__(self, *contents: bytes) -> None:
        self.blobs = {digest(content): content for content in contents}
        self.fetched: list[str] = []

    def download(self, sha256: str, size: int, to: Path) -> None:
        self.fetched.append(sha256)
        part = to.with_suffix(".part")
        part.write_bytes(self.blobs[sha256])
        part.replace(to)


def blobs_in(root: Path) -> set[str]:
    return {path.name for path in root.glob("??/*")}


def place(cache: BlobCache, store: Store, content: bytes, to: Path) -> None:
    cache.place(digest(content), len(content), to, store.download)


def test_a_blob_is_fetched_once_and_read_only(tmp_path: Path) -> None:
    cache, store = BlobCache(tmp_path / "cache", 1000), Store(b"stone")
    place(cache, store, b"stone", tmp_path / "a")
    place(cache, store, b"stone", tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"stone"
    assert store.fetched == [digest(b"stone")]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o444
    assert not list((tmp_path / "cache" / "incoming").iterdir())


def test_a_damaged_blob_is_fetched_again(tmp_path: Path) -> None:
    cache, store = BlobCache(tmp_path / "cache", 1000), Store(b"stone")
    place(cache, store, b"stone", tmp_path / "a")
    (tmp_path / "a").chmod(0o644)
    (tmp_path / "a").write_bytes(b"stonX")  # the same file as the cache's
    place(cache, store, b"stone", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"stone"
    assert len(store.fetched) == 2


def test_wrong_content_is_never_handed_out(tmp_path: Path) -> None:
    cache, store = BlobCache(tmp_path / "cache", 1000), Store(b"stone")
    store.blobs[digest(b"stone")] = b"other"
    with pytest.raises(DamagedBlob):
        place(cache, store, b"stone", tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert not blobs_in(tmp_path / "cache")


def test_least_recently_used_goes_first_and_what_is_used_stays(tmp_path: Path) -> None:
    contents = [bytes([i]) * 100 for i in range(5)]
    cache, store = BlobCache(tmp_path / "cache", 350), Store(*contents)
    now = time.time()
    for i, content in enumerate(contents[:3]):
        place(cache, store, content, tmp_path / f"{i}")
        os.utime(tmp_path / "cache" / digest(content)[:2] / digest(content), (now - 100 + i, now - 100 + i))
    (tmp_path / "1").unlink()
    (tmp_path / "2").unlink()
    place(cache, store, contents[1], tmp_path / "1b")  # used again, so younger than 2
    (tmp_path / "1b").unlink()
    place(cache, store, contents[3], tmp_path / "3")
    # 0 is the oldest, yet in use; 2 is the least recently used of the others.
    assert blobs_in(tmp_path / "cache") == {digest(contents[i]) for i in (0, 1, 3)}
    place(cache, store, contents[4], tmp_path / "4")
    assert blobs_in(tmp_path / "cache") == {digest(contents[i]) for i in (0, 3, 4)}


def test_without_links_a_copy_is_made_and_outlives_the_blob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    cache, store = BlobCache(tmp_path / "cache", 150), Store(b"a" * 100, b"b" * 100)
    place(cache, store, b"a" * 100, tmp_path / "a")
    place(cache, store, b"b" * 100, tmp_path / "b")
    assert blobs_in(tmp_path / "cache") == {digest(b"b" * 100)}
    assert (tmp_path / "a").read_bytes() == b"a" * 100


def test_two_threads_that_want_one_blob_fetch_it_once(tmp_path: Path) -> None:
    store = Store(b"stone")
    slow = threading.Event()

    def download(sha256: str, size: int, to: Path) -> None:
        slow.wait(0.3)
        store.download(sha256, size, to)

    def take(i: int) -> None:
        BlobCache(tmp_path / "cache", 1000).place(digest(b"stone"), 5, tmp_path / f"{i}", download)

    threads = [threading.Thread(target=take, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.fetched) == 1
    assert all((tmp_path / f"{i}").read_bytes() == b"stone" for i in range(4))


def test_processes_share_one_limit(tmp_path: Path) -> None:
    script = f"""
import hashlib, sys
from pathlib import Path
from renderbros_addon.worker.cache import BlobCache
cache = BlobCache(Path({str(tmp_path / "cache")!r}), 10_000)
me = sys.argv[1]
def download(sha256, size, to):
    part = to.with_suffix(".part")
    part.write_bytes(content)
    part.replace(to)
for i in range(40):
    content = f"{{i if i % 4 == 0 else me}} {{i}}".encode().ljust(1000)
    to = Path({str(tmp_path)!r}, f"{{me}}-{{i}}")
    cache.place(hashlib.sha256(content).hexdigest(), len(content), to, download)
    assert to.read_bytes() == content
    to.unlink()
"""
    workers = [subprocess.Popen([sys.executable, "-c", script, str(i)]) for i in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    cache = BlobCache(tmp_path / "cache", 10_000)
    cache.trim()
    kept = list((tmp_path / "cache").glob("??/*"))
    assert 5 <= len(kept) <= 10
    assert all(file_sha256(path) == path.name for path in kept)


def test_no_room_on_the_disk_is_said_before_the_download(tmp_path: Path) -> None:
    store = Store(b"stone")
    with pytest.raises(OSError, match="no room"):
        BlobCache(tmp_path / "cache", 1 << 62).place(digest(b"stone"), 1 << 60, tmp_path / "a", store.download)
    assert not store.fetched


def test_downloads_nobody_goes_on_with_are_dropped(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "cache", 1000)
    for name, age in (("old.part", 2 * 86400), ("new.part", 60)):
        part = tmp_path / "cache" / "incoming" / name
        part.write_bytes(b"x")
        os.utime(part, (time.time() - age, time.time() - age))
    cache.trim()
    assert [path.name for path in (tmp_path / "cache" / "incoming").iterdir()] == ["new.part"]
