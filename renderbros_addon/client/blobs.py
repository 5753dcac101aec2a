"""Moving blobs to and from the dispatcher: resumed where they broke off, checked by digest."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import requests

from ..protocol.on_disk import sync_folder
from .coding import CODING, PROBE, Packing, compressed
from .connection import Connection, may_pass, problem_of, unreachable
from .errors import DispatcherUnreachable, WrongDigest, error_for

log = logging.getLogger("renderbros.client")

Progress = Callable[[int, int], None]
"""Called with the bytes done so far and the size; the first can fall back when a transfer starts anew."""

CHUNK = 1 << 18
SENT_CHUNK = 1 << 16
"""Bytes given to the socket at once. Each must be taken within the connect timeout, so slow lines need them small."""

SENT_UNASKED = 1 << 20
"""Bytes of a file that is sent without asking first whether it is there: the question costs more than the answer saves,
since a file is rarely there already, and little of it."""

SEND_TIMEOUT = 30.0
"""Seconds for one chunk to leave (urllib3 sends under the connect timeout)."""

VERIFIED_PER_SECOND = 20e6
"""Bytes a second that the dispatcher verifies and stores, at the least, before it answers; on top of the read timeout.
An answer that got lost must not hold up a worker for as long as the largest file may take."""

_TRIES_IF_RIGHT = 5
"""How often a file that is right here is sent if it comes in wrong there: then it is damaged on the way."""

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)\Z", re.ASCII)


def size_of(connection: Connection, sha256: str) -> int:
    """Bytes of the blob ``sha256``; NotFound if the dispatcher has not all of it."""
    retrier = connection.retrier()
    while True:
        retrier.check_stopped()
        try:
            response = connection.send("HEAD", f"/blobs/{sha256}")
        except DispatcherUnreachable as error:
            connection.wait_or_raise(retrier, error)
            continue
        if may_pass(response):
            connection.wait_after(retrier, response)
        elif response.status_code == 200 and (size := number_in(response, "Content-Length")) is not None:
            return size
        else:
            # The answer to HEAD has no body that could say more.
            raise error_for(problem_of(response).model_copy(update={"title": f"no blob {sha256}"}))


def number_in(response: requests.Response, header: str) -> int | None:
    """The number of bytes that a header says; None without one."""
    found = re.fullmatch(r"\d{1,18}", response.headers.get(header, ""), re.ASCII)
    return int(found[0]) if found else None


def upload(
    connection: Connection,
    path: Path,
    sha256: str,
    size: int,
    progress: Progress | None = None,
) -> None:
    """Make sure the dispatcher has the blob ``sha256``, sending ``path`` (``size`` bytes) if it does not.

    Goes on where an earlier upload broke off, also one by another process. The retry budget counts from the last
    progress. WrongDigest if the file's content is not what ``sha256`` says, OSError if it can't be read, and the
    errors of :meth:`Connection.call`.
    """
    told = progress or _ignore
    retrier = connection.retrier()
    furthest = garbled = 0
    from_start = probed = False
    unasked = size <= SENT_UNASKED
    packing = Packing(connection, path, size)
    while True:
        retrier.check_stopped()
        try:
            kept = 0 if unasked else _kept(connection, sha256)
            unasked = False
            if kept is None:
                told(size, size)
                return
            # All bytes there and yet no blob: the dispatcher was stopped at the last step, and wants them again.
            offset = 0 if from_start or kept >= size else kept
            if offset > furthest:
                furthest = offset
                retrier.progressed()
            told(offset, size)
            response = _put(connection, path, sha256, size, offset, told, packing)
        except DispatcherUnreachable as error:
            packing.broke_off(furthest)
            connection.wait_or_raise(retrier, error)
            continue
        if response.status_code in (200, 201):
            told(size, size)
            return
        if response.status_code == 202 and not probed:
            probed = True  # The piece arrived by which the line was measured.
        elif may_pass(response):
            connection.wait_after(retrier, response)
        elif packing.refused(response):
            continue
        elif response.status_code == 409:
            # Somebody else sends the same blob, or our own broken connection is not yet noticed over there.
            problem = problem_of(response)
            log.debug("blob %s: %s", sha256, problem.detail)
            retrier.wait(error_for(problem))
        elif response.status_code == 422:
            if offset == 0:
                garbled += 1
                if garbled >= _TRIES_IF_RIGHT or _sha256_of(path) != sha256:
                    raise WrongDigest(f"{path} does not have the SHA-256 {sha256}: was it changed meanwhile?")
                retrier.wait(DispatcherUnreachable(f"{path.name} came in wrong at {connection.url}"))
            from_start = True
        else:
            raise error_for(problem_of(response))


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _kept(connection: Connection, sha256: str) -> int | None:
    """Bytes that the dispatcher keeps of an upload; None if it has the whole blob."""
    response = connection.send("HEAD", f"/blobs/{sha256}")
    if response.status_code == 200:
        return None
    if response.status_code == 404:
        return number_in(response, "Upload-Offset") or 0
    if may_pass(response):
        raise DispatcherUnreachable(f"{connection.url} is not ready: {problem_of(response).title}")
    raise error_for(problem_of(response))


def _put(
    connection: Connection, path: Path, sha256: str, size: int, offset: int, told: Progress, packing: Packing
) -> requests.Response:
    headers = {"Content-Type": "application/octet-stream"}
    end = packing.end_of_piece(offset, size)
    packed = packing.pays
    if offset or packed or end < size:
        headers["Content-Range"] = f"bytes {offset}-{end - 1}/{size}"
    if packed:
        headers["Content-Encoding"] = CODING
    with path.open("rb") as source:
        found = os.fstat(source.fileno()).st_size
        if found != size:
            raise WrongDigest(f"{path} has {found} bytes, not {size}: was it changed meanwhile?")
        source.seek(offset)
        tail = _Tail(source.read, size, offset, end, told)
        began = time.monotonic()
        response = connection.send(
            "PUT",
            f"/blobs/{sha256}",
            data=(compressed(tail) if packed else tail) if size else b"",
            headers=headers,
            connect_timeout=max(SEND_TIMEOUT, connection.timeout[0]),
            read_timeout=connection.timeout[1] + size / VERIFIED_PER_SECOND,
        )
    if not packed and end - offset >= PROBE and response.status_code in (201, 202):
        connection.upload_rate = (end - offset) / max(1e-6, time.monotonic() - began)
    return response


class _Tail:
    """The bytes of a file from an offset to an end, as requests wants a body that it streams."""

    def __init__(self, read: Callable[[int], bytes], size: int, offset: int, end: int, told: Progress) -> None:
        self._read = read
        self._size = size
        self._offset = offset
        self._end = end
        self._told = told

    def __len__(self) -> int:
        return self._end - self._offset

    def __iter__(self) -> Iterator[bytes]:
        done = self._offset
        while done < self._end:
            chunk = self._read(min(SENT_CHUNK, self._end - done))
            if not chunk:
                raise WrongDigest("the file became shorter while it was sent")
            yield chunk
            done += len(chunk)
            self._told(done, self._size)


def download(
    connection: Connection,
    sha256: str,
    size: int,
    to: Path,
    progress: Progress | None = None,
    *,
    keep_partial: bool = False,
) -> None:
    """Fetch the blob ``sha256`` of ``size`` bytes into the file ``to``, which appears only whole and right.

    A download that breaks off is resumed. What is received lies beside ``to`` under a temporary name and is removed
    if the call fails, unless ``keep_partial``: then it lies at ``<to>.part`` and a later call with ``keep_partial``
    goes on from it (one call at a time). WrongDigest if the content is wrong, NotFound, OSError if it can't be
    written, and the errors of :meth:`Connection.call`.
    """
    part = to.with_name(f"{to.name}.part" if keep_partial else f".{secrets.token_hex(8)}.part")
    try:
        _Download(connection, sha256, size, part, progress or _ignore).run()
        part.replace(to)
    except BaseException as error:
        if not keep_partial or isinstance(error, WrongDigest):
            part.unlink(missing_ok=True)
        raise
    sync_folder(to.parent)


class _Download:
    """One download into ``part``, over as many attempts as it takes."""

    def __init__(self, connection: Connection, sha256: str, size: int, part: Path, told: Progress) -> None:
        self._connection = connection
        self._sha256 = sha256
        self._size = size
        self._part = part
        self._told = told
        self._digest = hashlib.sha256()
        self._offset = 0
        self._resumed = False

    def run(self) -> None:
        retrier = self._connection.retrier()
        self._pick_up()
        while True:
            retrier.check_stopped()
            before = self._offset
            broke_off = DispatcherUnreachable(f"{self._connection.url} ended a download early")
            try:
                response = self._attempt()
            except DispatcherUnreachable as error:
                response, broke_off = None, error
            if response is not None:
                self._connection.wait_after(retrier, response)
                continue
            if self._whole():
                return
            if self._offset > before:
                retrier.progressed()
            self._connection.wait_or_raise(retrier, broke_off)

    def _pick_up(self) -> None:
        """Take over what an earlier call left."""
        if not self._part.exists():
            return
        with self._part.open("rb") as left:
            while chunk := left.read(CHUNK):
                self._digest.update(chunk)
                self._offset += len(chunk)
        self._resumed = True
        if self._offset > self._size:
            self._start_over()

    def _start_over(self) -> None:
        self._digest = hashlib.sha256()
        self._offset = 0
        self._resumed = False
        self._part.unlink(missing_ok=True)

    def _attempt(self) -> requests.Response | None:
        """Receive what is still missing. Returns an answer that asks for patience, else None.

        The file is synced when this returns None.
        """
        if self._size and self._offset == self._size:
            return None
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if self._offset:
            headers["Range"] = f"bytes={self._offset}-"
        with self._connection.send("GET", f"/blobs/{self._sha256}", headers=headers, stream=True) as response:
            if may_pass(response):
                return response
            if response.status_code == 416 and self._offset:
                self._start_over()
                return None
            if response.status_code not in (200, 206):
                raise error_for(problem_of(response))
            if response.status_code == 200 or not self._continues(response):
                if self._offset:
                    self._start_over()
                if response.status_code == 206:
                    return None
            self._receive(response)
        return None

    def _continues(self, response: requests.Response) -> bool:
        found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        return found is not None and int(found[1]) == self._offset

    def _receive(self, response: requests.Response) -> None:
        self._told(self._offset, self._size)
        with self._part.open("ab") as sink:
            try:
                for chunk in response.iter_content(CHUNK):
                    if self._offset + len(chunk) > self._size:
                        raise self._wrong("it is longer")
                    sink.write(chunk)
                    self._digest.update(chunk)
                    self._offset += len(chunk)
                    self._told(self._offset, self._size)
                    if self._connection.stop.is_set():
                        break
            except requests.RequestException as error:
                raise unreachable(self._connection.url, error) from error
            sink.flush()
            os.fsync(sink.fileno())

    def _whole(self) -> bool:
        if self._offset < self._size or not self._part.exists():
            return False
        if self._digest.hexdigest() == self._sha256:
            return True
        if self._resumed:
            # The fault may lie in what an earlier call left; from the start, the dispatcher checks it too.
            self._start_over()
            return False
        raise self._wrong(f"its bytes hash to {self._digest.hexdigest()}")

    def _wrong(self, why: str) -> WrongDigest:
        log.warning("blob %s came in wrong: %s", self._sha256, why)
        return WrongDigest(f"the dispatcher sent another content than {self._sha256} ({self._size} bytes): {why}")


def _ignore(done: int, size: int) -> None:
    """No one wants to know."""
