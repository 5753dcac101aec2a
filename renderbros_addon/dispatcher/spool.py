"""An upload in the making: one growing file, one writer at a time, resumable after a cut or a restart."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

BUSY_FOR = 5.0
"""Seconds without a byte after which an upload may be superseded: its client has most likely gone and come back."""


class BlobError(Exception):
    """Something about a blob is wrong; the message is for people."""


class BlobTooLarge(BlobError):
    """Larger than the store takes."""


class StorageFull(BlobError):
    """No room on the disk."""


class BlobMismatch(BlobError):
    """The bytes sent do not have the digest they were sent under."""


class BlobCorrupt(BlobError):
    """The bytes stored no longer have their digest."""


class WrongOffset(BlobError):
    """An upload must go on at ``kept``."""

    def __init__(self, message: str, kept: int) -> None:
        super().__init__(message)
        self.kept = kept


class BlobBusy(WrongOffset):
    """Another upload of the same blob is receiving bytes, or took over; ask again shortly."""


class PartialUpload:
    """Receives one blob's bytes. Made by :meth:`BlobStore.begin`; close it, or use it as a context manager.

    Closing keeps what has arrived, for the next upload to go on from. Any thread may call, one at a time.
    """

    def __init__(
        self,
        path: Path,
        sha256: str,
        offset: int,
        total: int,
        publish: Callable[[Path, str], None],
        forget: Callable[[PartialUpload], None],
    ) -> None:
        self.sha256 = sha256
        self.offset = offset
        self.total = total
        self.path = path
        self._publish = publish
        self._forget = forget
        self._lock = threading.Lock()
        self._file: FileIO | None = None
        self._superseded = False
        self._closed = False
        self._finishing = False
        self._heard = time.monotonic()
        self._digest = hashlib.sha256()

    def open(self) -> None:
        """Take hold of the file at ``offset``; WrongOffset if it holds another number of bytes."""
        with self._lock:
            self._check_mine()
            kept = self.path.stat().st_size if self.path.exists() else 0
            if self.offset not in (0, kept) or self.offset > self.total:
                wanted, self.offset = self.offset, kept
                raise WrongOffset(f"{kept} bytes are kept of this upload, so it can't go on at {wanted}", kept)
            self._file = FileIO(str(self.path), "r+" if self.path.exists() else "x+")
            self._file.truncate(self.offset)
            # What a stopped process left has been hashed by nobody.
            left = self.offset
            while left and (chunk := self._file.read(min(left, 1 << 20))):
                self._digest.update(chunk)
                left -= len(chunk)
                self._heard = time.monotonic()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes; BlobTooLarge beyond ``total``, BlobBusy if a later upload of the same blob took over."""
        with self._lock:
            self._check_mine()
            if self._file is None:
                raise ValueError("a closed upload")
            if self.offset + len(data) > self.total:
                raise BlobTooLarge(f"more bytes than the {self.total} announced")
            view = memoryview(data)
            while len(view):
                try:
                    written = self._file.write(view) or 0
                except OSError as error:
                    if error.errno in (errno.ENOSPC, errno.EDQUOT):
                        raise StorageFull(
                            "the dispatcher's disk is full: free some space, then send it again"
                        ) from error
                    raise
                self._digest.update(view[:written])
                self.offset += written
                view = view[written:]
            self._heard = time.monotonic()

    def finish(self, announce: Callable[[], None] | None = None) -> bool:
        """Publish the blob if all its bytes are there (False if not); BlobMismatch, and gone, if they are wrong.

        ``announce`` is called once they have proved right, before they are published; if it raises, they are kept.
        """
        with self._lock:
            self._check_mine()
            if self._file is None or self.offset != self.total:
                return False
            self._finishing = True
            try:
                if self._digest.hexdigest() != self.sha256:
                    self._close_file()
                    self.path.unlink(missing_ok=True)
                    raise BlobMismatch(f"the bytes sent have SHA-256 {self._digest.hexdigest()}, not {self.sha256}")
                os.fsync(self._file.fileno())
                self._close_file()  # Windows can't rename an open file.
                if announce is not None:
                    announce()
                self._publish(self.path, self.sha256)
            finally:
                self._finishing = False
            return True

    def supersede(self) -> None:
        """Let another upload take over; BlobBusy if this one is alive."""
        silent = time.monotonic() - self._heard
        if self._finishing or silent < BUSY_FOR or not self._lock.acquire(blocking=False):
            raise BlobBusy("the same blob is being uploaded by someone else: ask again in a moment", self.offset)
        try:
            self._superseded = True
            self._close_file()
        finally:
            self._lock.release()

    def discard(self) -> None:
        """Let go, and keep nothing."""
        with self._lock:
            if not self._superseded and not self._closed:
                self._close_file()
                self.path.unlink(missing_ok=True)
        self.close()

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Let go; what has arrived is kept."""
        with self._lock:
            self._close_file()
            self._closed = True
        self._forget(self)

    def _check_mine(self) -> None:
        if self._superseded:
            raise BlobBusy("a later upload of the same blob took over", self.offset)

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
