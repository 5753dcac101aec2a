"""Blobs that this machine has downloaded, by content, shared by its workers."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

Download = Callable[[str, int, Path], object]
"""Fetches the blob with a SHA-256 and a size in bytes to a path, atomically."""

_STALE_SECONDS = 24 * 3600.0
_SPARE_BYTES = 64 << 20
"""Left free on the disk: a disk filled to the last byte breaks others' programs too."""


class DamagedBlob(Exception):
    """A blob that was downloaded twice and had the wrong content both times."""


class BlobCache:
    """A folder of read-only files named by their SHA-256, at most ``limit`` bytes of them besides those in use.

    Safe between threads and processes. A blob is in use while a hard link of it lies in some checkout: removing it
    would free nothing, so it stays. Where links fail a checkout is a copy, which lives on without the blob.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self.limit = limit
        self._root = root
        self._incoming = root / "incoming"
        self._locks = root / "locks"
        for folder in (self._incoming, self._locks):
            folder.mkdir(parents=True, exist_ok=True)

    def place(self, sha256: str, size: int, to: Path, download: Download) -> None:
        """Put the blob at ``to``, a path not taken yet, read-only and checked; download it if it isn't here.

        What ``download`` raises comes through. DamagedBlob if its bytes are not what the digest says; OSError
        (ENOSPC) if there is no room.
        """
        with self._lock(sha256):
            for _ in range(2):
                blob = self._path(sha256)
                if not blob.exists():
                    self._fetch(sha256, size, blob, download)
                _link_or_copy(blob, to)
                # The disk may have changed what the download had right, and so may a renderer that broke out.
                if file_sha256(to) == sha256:
                    os.utime(blob)
                    return
                _remove(to)
                _remove(blob)
        raise DamagedBlob(f"blob {sha256} does not have the content that its name says")

    def trim(self, room: int = 0) -> None:
        """Remove blobs, least recently used first, until ``room`` more bytes fit the limit or all others are used."""
        with FileLock(self._root / "trim.lock"):
            self._drop_stale_downloads()
            blobs = []
            for path in self._root.glob("??/*"):
                with contextlib.suppress(FileNotFoundError):
                    blobs.append((path.stat(), path))
            excess = sum(status.st_size for status, _ in blobs) + room - self.limit
            for status, path in sorted(blobs, key=lambda item: item[0].st_mtime):
                if excess <= 0:
                    return
                if status.st_nlink > 1:
                    continue
                with contextlib.suppress(Timeout, FileNotFoundError), self._lock(path.name, timeout=0):
                    # Another process may have linked it between our look and our lock.
                    if path.stat().st_nlink == 1:
                        _remove(path)
                        excess -= status.st_size

    def _fetch(self, sha256: str, size: int, blob: Path, download: Download) -> None:
        self.trim(room=size)
        if shutil.disk_usage(self._root).free < size + _SPARE_BYTES:
            raise OSError(errno.ENOSPC, f"no room for a file of {size / 2**20:.1f} MiB", str(self._root))
        # One name for each blob, under its lock, so that a download cut short goes on where it stopped.
        part = self._incoming / sha256
        download(sha256, size, part)
        part.chmod(0o444)
        blob.parent.mkdir(exist_ok=True)
        part.replace(blob)

    def _drop_stale_downloads(self) -> None:
        for part in self._incoming.iterdir():
            with contextlib.suppress(FileNotFoundError, PermissionError):
                if time.time() - part.stat().st_mtime > _STALE_SECONDS:
                    part.unlink()

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256

    def _lock(self, sha256: str, timeout: float = -1) -> FileLock:
        # A lock a blob would leave a file a blob; 4096 shared ones hardly ever make two blobs wait for each other.
        return FileLock(self._locks / f"{sha256[:3]}.lock", timeout=timeout)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link_or_copy(source: Path, to: Path) -> None:
    try:
        os.link(source, to)
    except FileExistsError:
        raise
    except OSError:
        # Another disk, a file system without links, or too many of them.
        shutil.copyfile(source, to)
        to.chmod(0o444)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.chmod(0o600)  # Windows removes no read-only file
    path.unlink(missing_ok=True)
