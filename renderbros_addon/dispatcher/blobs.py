"""Content-addressed storage: bytes under their own SHA-256, in a local folder or in an object store.

An upload grows in the spool, a local folder of this process alone, and is published only when it is whole and its
digest is right. So whatever lies in the storage was right when it was put there.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import LocalStore, from_url

from ..protocol.on_disk import sync_folder
from .spool import (
    BlobBusy,
    BlobCorrupt,
    BlobError,
    BlobMismatch,
    BlobTooLarge,
    PartialUpload,
    StorageFull,
    WrongOffset,
)

__all__ = [
    "BlobBusy",
    "BlobCorrupt",
    "BlobError",
    "BlobMismatch",
    "BlobStore",
    "BlobTooLarge",
    "PartialUpload",
    "StorageFull",
    "WrongOffset",
]

log = logging.getLogger("renderbros.dispatcher")

CHUNK = 1 << 20
"""Bytes moved at a time; memory use is a few of these, whatever the blob's size."""

RESERVE = 64 << 20
"""Bytes left free on the spool's disk, so that uploads never starve the database beside it."""

STALE_AFTER = 24 * 3600.0
"""Seconds after its last byte when a partial upload is given up."""

SMALL = 1 << 20
"""Bytes of a partial upload below which it is hardly worth going on with: it may be given up sooner."""

_DIGEST = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True)
class Part:
    """An upload that is not whole."""

    path: Path
    owner: str
    size: int
    """Bytes that it may come to, if it is under way; else those that are there."""


class BlobStore:
    """Blobs of at most ``max_bytes`` each.

    ``storage_url`` is a folder's path, a ``file:`` URL, or any URL that obstore takes (``s3://bucket/prefix``,
    ``gs://``, ``az://``), with credentials from the environment as obstore documents. ``spool`` is a local folder that
    no other process uses. Methods block, and any thread may call them. A digest that is not 64 lower-case hexadecimal
    digits raises ValueError.
    """

    def __init__(self, storage_url: str, spool: Path, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._spool = spool
        spool.mkdir(parents=True, exist_ok=True)
        if not _URL.match(storage_url):
            Path(storage_url).mkdir(parents=True, exist_ok=True)
            self._store: obstore.store.ObjectStore = LocalStore(Path(storage_url).absolute(), mkdir=True)
        elif storage_url.startswith("file://"):
            self._store = LocalStore.from_url(storage_url, mkdir=True)
        else:
            self._store = from_url(storage_url)
        self._folder: Path | None = None
        if isinstance(self._store, LocalStore):
            if self._store.prefix is None:
                raise ValueError("the storage URL must name a folder")
            self._folder = Path(self._store.prefix)
        self._lock = threading.Lock()
        self._uploads: dict[str, PartialUpload] = {}
        self._swept = float("-inf")
        # Copies in the making belong to calls; none outlives the process that made it.
        for leftover in (*spool.glob("*.tmp"), *self._incoming().glob("*.tmp")):
            leftover.unlink(missing_ok=True)
        self.sweep()

    # What is there

    def size(self, sha256: str) -> int | None:
        """Bytes of a whole blob; None if it is not there."""
        try:
            return int(obstore.head(self._store, _key(sha256))["size"])
        except FileNotFoundError:
            return None

    def kept(self, sha256: str, owner: str = "") -> int:
        """Bytes kept of ``owner``'s partial upload, where its next :meth:`begin` may go on; 0 if there is none."""
        part = self._part(sha256, owner)
        with self._lock:
            upload = self._uploads.get(part.stem)
        if upload:
            return upload.offset
        try:
            return part.stat().st_size
        except FileNotFoundError:
            return 0

    # In

    def begin(self, sha256: str, offset: int, total: int, owner: str = "") -> PartialUpload:
        """Start or continue receiving a blob of ``total`` bytes at ``offset``.

        Offset 0 starts anew. Each ``owner``, an identifier, has uploads of its own: nobody goes on with another's.
        BlobTooLarge, StorageFull, WrongOffset if ``offset`` is not what is kept, BlobBusy while another upload of the
        same blob is receiving bytes (one that fell silent is superseded).
        """
        part = self._part(sha256, owner)
        if total > self.max_bytes:
            raise BlobTooLarge(f"a blob of {total} bytes; this dispatcher takes at most {self.max_bytes}")
        self._sweep_if_due()
        if total - offset + RESERVE > shutil.disk_usage(self._spool).free:
            raise StorageFull("the dispatcher's disk is nearly full: free some space, then send it again")
        with self._lock:
            other = self._uploads.get(part.stem)
            if other:
                # Raises if the other one lives; from here on its next write fails instead of landing in our file.
                other.supersede()
            upload = PartialUpload(part, sha256, offset, total, self._publish, self._forget)
            self._uploads[part.stem] = upload
        try:
            upload.open()
        except BaseException:
            upload.close()
            raise
        return upload

    def append(self, sha256: str, offset: int, total: int, chunks: Iterable[bytes]) -> bool:
        """Receive ``chunks`` from ``offset`` on; True once the blob is whole, right and published.

        Errors of :meth:`begin`, and BlobMismatch if it is whole but wrong: then the partial upload is gone.
        """
        if self.size(sha256) is not None:
            return True
        with self.begin(sha256, offset, total) as upload:
            for chunk in chunks:
                upload.write(chunk)
            return upload.finish()

    def put(self, content: bytes, sha256: str) -> None:
        """Store a small blob that is here whole: BlobMismatch if it is not what ``sha256`` says, StorageFull."""
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise BlobMismatch(f"the bytes sent have SHA-256 {found}, not {sha256}")
        if self.size(sha256) is not None:
            return
        copy = self._spool / f"{sha256}.{secrets.token_hex(8)}.tmp"
        try:
            with copy.open("xb") as sink:
                sink.write(content)
                sink.flush()
                os.fsync(sink.fileno())
            self._publish(copy, sha256)
        except OSError as error:
            copy.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull("the dispatcher's disk is full: free some space, then send it again") from error
            raise

    def put_file(self, path: Path, sha256: str) -> None:
        """Store a copy of ``path``, whose SHA-256 must be ``sha256``: BlobMismatch otherwise."""
        _key(sha256)
        if path.stat().st_size > self.max_bytes:
            raise BlobTooLarge(f"{path.name} is larger than the {self.max_bytes} bytes a blob may have")
        if self.size(sha256) is not None:
            return
        copy = self._spool / f"{sha256}.{secrets.token_hex(8)}.tmp"
        try:
            found = hashlib.sha256()
            with path.open("rb") as source, copy.open("xb") as sink:
                while chunk := source.read(CHUNK):
                    found.update(chunk)
                    sink.write(chunk)
                sink.flush()
                os.fsync(sink.fileno())
            if found.hexdigest() != sha256:
                raise BlobMismatch(f"{path.name} has SHA-256 {found.hexdigest()}, not {sha256}")
            self._publish(copy, sha256)
        finally:
            copy.unlink(missing_ok=True)

    def _publish(self, whole: Path, sha256: str) -> None:
        """Move a synced and verified file into the storage, atomically and for good."""
        if self._folder is None:
            obstore.put(self._store, _key(sha256), whole)
            whole.unlink(missing_ok=True)
            return
        # obstore renames too but never syncs: after a power cut its blob could be a hole. And a rename spares a copy.
        target = self._folder / _key(sha256)
        new = [folder for folder in (target.parent, target.parent.parent) if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            whole.replace(target)
        except PermissionError:
            # Windows won't replace a file that someone is reading; it has the same content, so leave it.
            if not target.exists():
                raise
            whole.unlink(missing_ok=True)
        except OSError as error:
            if error.errno != errno.EXDEV and getattr(error, "winerror", None) != 17:  # 17: not the same device
                raise
            self._publish_across_devices(whole, target)
        sync_folder(target.parent)
        for folder in new:
            sync_folder(folder.parent)

    def _publish_across_devices(self, whole: Path, target: Path) -> None:
        incoming = self._incoming()
        incoming.mkdir(exist_ok=True)
        copy = incoming / f"{target.name}.{secrets.token_hex(8)}.tmp"
        try:
            with whole.open("rb") as source, copy.open("xb") as sink:
                shutil.copyfileobj(source, sink, CHUNK)
                sink.flush()
                os.fsync(sink.fileno())
            copy.replace(target)
        finally:
            copy.unlink(missing_ok=True)
        whole.unlink()

    # Out

    def stream(self, sha256: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` up to, not including, ``end`` (None: to the last), in chunks.

        FileNotFoundError if it is not there. A whole read is checked: if the digest is wrong, the blob is removed and
        BlobCorrupt is raised before the last chunk, so that a reader who counts bytes never takes it for whole.
        """
        size = self.size(sha256)
        if size is None:
            raise FileNotFoundError(f"no blob {sha256}")
        end = size if end is None else min(end, size)
        if start == 0 and end == size:
            yield from self._checked(sha256)
        elif start < end:
            yield from map(bytes, obstore.get(self._store, _key(sha256), options={"range": (start, end)}).stream(CHUNK))

    def local_copy(self, sha256: str, to: Path) -> Path:
        """Write the blob to ``to``, which is for this run alone and so is not synced, and return ``to``.

        FileNotFoundError if it is not there; BlobCorrupt if what is stored is wrong: then it is removed, so that it
        can be uploaded again.
        """
        chunks = self.stream(sha256)
        first = next(chunks, b"")
        try:
            with to.open("xb") as sink:
                sink.write(first)
                for chunk in chunks:
                    sink.write(chunk)
        except BaseException:
            to.unlink(missing_ok=True)
            raise
        return to

    def in_place(self, sha256: str) -> Path | None:
        """Where the blob lies, for reading only; None if it is not there, or the storage is no folder of this machine.

        Nobody has looked at its digest since it came in: who reads it tells by :meth:`found_corrupt`.
        """
        if self._folder is None:
            return None
        path = self._folder / _key(sha256)
        return path if path.is_file() else None

    def found_corrupt(self, sha256: str, found: str) -> None:
        """The bytes stored hash to ``found``: remove them, so that they can be uploaded again."""
        log.error("blob %s is corrupt in the storage (its bytes hash to %s): removed", sha256, found)
        self.delete(sha256)

    def _checked(self, sha256: str) -> Iterator[bytes]:
        found = hashlib.sha256()
        held: bytes | None = None
        for chunk in obstore.get(self._store, _key(sha256)).stream(CHUNK):
            found.update(chunk)
            if held is not None:
                yield held
            held = bytes(chunk)
        if found.hexdigest() != sha256:
            self.found_corrupt(sha256, found.hexdigest())
            raise BlobCorrupt(f"blob {sha256} was corrupt in the storage and is removed: upload it again")
        if held:
            yield held

    def delete(self, sha256: str) -> None:
        """Remove a blob; one that is not there is fine."""
        try:
            obstore.delete(self._store, _key(sha256))
        except FileNotFoundError:
            log.debug("blob %s was gone already", sha256)

    # Housekeeping

    def older_than(self, seconds: float) -> Iterator[str]:
        """Digests of the blobs that were put here more than ``seconds`` ago."""
        for batch in obstore.list(self._store):
            for found in batch:
                sha256 = str(found["path"]).rpartition("/")[2]
                if _DIGEST.match(sha256) and time.time() - found["last_modified"].timestamp() > seconds:
                    yield sha256

    def parts(self, older_than: float = 0.0) -> Iterator[Part]:
        """Uploads that are not whole, and that nobody has added to for ``older_than`` seconds."""
        with os.scandir(self._spool) as found:
            for entry in found:
                stem, dot, suffix = entry.name.rpartition(".")
                if not dot or suffix != "part":
                    continue
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue  # It became whole just now.
                if not older_than or time.time() - status.st_mtime >= older_than:
                    with self._lock:
                        live = self._uploads.get(stem)
                    size = live.total if live else status.st_size
                    yield Part(Path(entry.path), stem.partition("-")[2], size)

    def unfinished(self, owner: str) -> tuple[int, int]:
        """How many unfinished uploads ``owner`` has here, and their bytes."""
        sizes = [part.size for part in self.parts() if part.owner == owner]
        return len(sizes), sum(sizes)

    def drop(self, part: Part) -> bool:
        """Give an upload up, unless it is under way."""
        with self._lock:
            if part.path.stem in self._uploads:
                return False
            part.path.unlink(missing_ok=True)
            return True

    def sweep(self, older_than: float = STALE_AFTER, small_older_than: float = STALE_AFTER) -> int:
        """Remove partial uploads that nobody has added to for ``older_than`` seconds, or ``small_older_than`` if they
        are smaller than :data:`SMALL`; returns how many."""
        self._swept = time.monotonic()
        removed = 0
        with self._lock:
            for part in self._spool.glob("*.part"):
                status = part.stat()
                least = min(older_than, small_older_than) if status.st_size < SMALL else older_than
                if part.stem not in self._uploads and time.time() - status.st_mtime >= least:
                    part.unlink(missing_ok=True)
                    removed += 1
        if removed:
            log.info("gave up %d partial uploads", removed)
        return removed

    def _sweep_if_due(self) -> None:
        if time.monotonic() - self._swept > STALE_AFTER / 24:
            self.sweep()

    def _forget(self, upload: PartialUpload) -> None:
        with self._lock:
            if self._uploads.get(upload.path.stem) is upload:
                del self._uploads[upload.path.stem]

    def _part(self, sha256: str, owner: str) -> Path:
        _key(sha256)
        return self._spool / (f"{sha256}-{owner}.part" if owner else f"{sha256}.part")

    def _incoming(self) -> Path:
        """Where a local storage on another device than the spool takes files in."""
        return (self._folder or self._spool) / "incoming"


def _key(sha256: str) -> str:
    """``ab/cd/<sha256>``: 65536 folders, so that none of them grows large."""
    if not _DIGEST.match(sha256):
        raise ValueError(f"not a SHA-256 in lower-case hexadecimal: {sha256!r}")
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"
