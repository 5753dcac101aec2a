"""``/blobs/{sha256}``: upload, resume and fetch blobs over HTTP, streamed in both directions."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from ..protocol.base import Sha256
from ..protocol.problems import CONTENT_TYPE, Problem
from .blob_rights import AnyHolder, BlobHolder
from .blobs import CHUNK, BlobBusy, BlobMismatch, BlobStore, BlobTooLarge, PartialUpload, StorageFull, WrongOffset
from .dependencies import address_of
from .errors import RequestRefused
from .inflating import CODING, BadCoding, Bomb, Inflater

log = logging.getLogger("renderbros.dispatcher")
security = logging.getLogger("renderbros.security")

SILENCE = 60.0
"""Seconds an upload may send nothing before its connection is given up; what has arrived is kept."""

SLOWEST = 1 << 10
"""Bytes a second, in the mean of as long as that, below which it is given up too."""

DRAIN = 8 << 20
"""Bytes of a refused upload that are read and dropped: a client in mid-send would otherwise lose the answer."""

TOLD = 100_000
"""Digests remembered as told of; forgetting costs no more than telling again."""

_SENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})\Z", re.ASCII)
_ASKED_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))\Z", re.ASCII | re.IGNORECASE)
_BINARY = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


def blobs_router(
    store: BlobStore, on_complete: Callable[[str], None], authorize: Callable[..., Any] | None = None
) -> APIRouter:
    """The routes below ``/blobs``, for an app to mount under its prefix.

    ``authorize`` is a FastAPI dependency that raises if the caller may not, and gives what it may as a ``BlobHolder``;
    None, or one that gives None, lets everybody do everything. Then ``on_complete`` is called with the digest, in a
    thread, when an upload ends with the blob in place, and when a client finds a blob in place that this process has
    not yet told of: so it must be idempotent. A holder is told the same by its ``sent``.
    """
    told: set[tuple[str, str]] = set()
    anybody = AnyHolder(on_complete)

    async def hold(request: Request, given: Any = Depends(authorize or _nobody)) -> None:  # noqa: B008
        request.state.holder = anybody if given is None else given

    def tell(who: BlobHolder, sha256: str) -> None:
        who.sent(sha256)
        if len(told) >= TOLD:
            told.clear()
        told.add((who.owner, sha256))

    def look(who: BlobHolder, sha256: str) -> tuple[int | None, int]:
        """Bytes of a blob that ``who`` has sent or may read, else None and how many it has sent so far."""
        sent = who.has_sent(sha256)
        if not sent and not who.may_read(sha256):
            return None, store.kept(sha256, who.owner)
        size = store.size(sha256)
        if size is None:
            return None, store.kept(sha256, who.owner)
        if sent and (who.owner, sha256) not in told:
            # We may have been killed between storing it and telling; then its client comes back and asks.
            tell(who, sha256)
        return size, 0

    def look_at_size(who: BlobHolder, sha256: str) -> int | None:
        return store.size(sha256) if who.may_read(sha256) else None

    router = APIRouter(prefix="/blobs", tags=["blobs"], dependencies=[Depends(hold)])

    @router.head("/{sha256}", responses={404: {"description": "Not whole; Upload-Offset tells the bytes kept."}})
    async def head(sha256: Sha256, request: Request) -> Response:
        """Is the blob there, and the caller's, and if not, where may its upload go on?"""
        size, kept = await run_in_threadpool(look, _holder(request), sha256)
        if size is not None:
            return Response(headers={**_headers(sha256), "Content-Length": str(size)})
        return problem(404, "unknown_blob", "no such blob", sha256, {"Upload-Offset": str(kept)})

    @router.put("/{sha256}", status_code=201, openapi_extra={"requestBody": {**_BINARY, "required": True}})
    async def put(
        sha256: Sha256, request: Request, content_range: Annotated[str | None, Header(max_length=100)] = None
    ) -> Response:
        """Send a blob, or a part of it with ``Content-Range: bytes FIRST-LAST/TOTAL``.

        With ``Content-Encoding: gzip`` the range is that of the bytes unpacked, is required, and goes to the end;
        a Content-Length is not needed then. 201: whole and right. 202: more is to come. 409: go on at Upload-Offset.
        415: not in this coding. 422: the digest is wrong.
        """
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", CODING):
            await _drain(request)
            return problem(415, "unknown_coding", "unknown coding", f"only {CODING} is unpacked here, not {coding!r}")
        # Each call to a thread costs more than what it does for a small blob: as few as can be.
        announced = request.headers.get("content-length")
        if coding == "identity" and (announced is None or not announced.isdecimal()):
            return problem(411, "length_required", "a blob's upload needs a Content-Length")
        offset, total = 0, int(announced or 0)
        if content_range is not None or coding != "identity":
            sent = _SENT_RANGE.match(content_range or "")
            length = int(sent[2]) - int(sent[1]) + 1 if sent else 0
            fits = length == total if coding == "identity" else sent and int(sent[2]) == int(sent[3]) - 1
            if not sent or length < 1 or not fits or int(sent[2]) >= int(sent[3]):
                await _drain(request)
                detail = f"Content-Range {content_range!r} does not fit {announced or 'compressed'} bytes"
                return problem(400, "bad_request", "bad request", detail)
            offset, total = int(sent[1]), int(sent[3])
        try:
            with _holder(request).sending():
                return await _take_in(store, tell, sha256, request, offset, total, packed=coding != "identity")
        except RequestRefused as refusal:
            await _drain(request)
            return problem(refusal.status, refusal.word, refusal.title, refusal.detail, refusal.headers)
        except BlobTooLarge as error:
            await _drain(request)
            return problem(413, "too_large", "too large", str(error))
        except StorageFull as error:
            await _drain(request)
            return problem(507, "storage_full", "no room", str(error))
        except WrongOffset as error:
            await _drain(request)
            headers = {"Upload-Offset": str(error.kept)}
            if isinstance(error, BlobBusy):
                headers["Retry-After"] = "1"
            return problem(409, "conflict", "can't go on there", str(error), headers)
        except BadCoding as error:
            await _drain(request)
            return problem(415, "bad_coding", "can't be unpacked", str(error))
        except BlobMismatch as error:
            return problem(422, "wrong_digest", "wrong digest", str(error))
        except TimeoutError:
            security.warning("connection given up: an upload stalled", extra={"address": address_of(request)})
            detail = f"next to nothing arrived for {SILENCE:g} s; what did is kept"
            return problem(408, "too_slow", "too slow", detail, {"Connection": "close"})
        except ClientDisconnect:
            return Response(status_code=400)  # Nobody is left to read it.

    @router.get(
        "/{sha256}",
        response_class=StreamingResponse,
        responses={200: _BINARY, 206: _BINARY, 304: {}, 404: {}, 416: {}},
    )
    async def get(
        sha256: Sha256,
        request: Request,
        wanted: Annotated[str | None, Header(alias="range", max_length=200)] = None,
        if_range: Annotated[str | None, Header(max_length=200)] = None,
        if_none_match: Annotated[str | None, Header(max_length=2000)] = None,
    ) -> Response:
        """The blob's bytes, or one range of them."""
        size = await run_in_threadpool(look_at_size, _holder(request), sha256)
        if size is None:
            return problem(404, "unknown_blob", "no such blob", sha256)
        headers = _headers(sha256)
        if if_none_match is not None and (if_none_match.strip() == "*" or f'"{sha256}"' in if_none_match):
            return Response(status_code=304, headers=headers)
        start, end, status = 0, size, 200
        if wanted and if_range in (None, f'"{sha256}"') and (asked := _ASKED_RANGE.match(wanted.strip())):
            start, end = _bounds(asked, size)
            if start >= end:
                return problem(
                    416, "bad_range", "no such range", f"of {size} bytes", {"Content-Range": f"bytes */{size}"}
                )
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        headers["Content-Length"] = str(end - start)
        return StreamingResponse(store.stream(sha256, start, end), status, headers, "application/octet-stream")

    return router


def _holder(request: Request) -> BlobHolder:
    return cast(BlobHolder, request.state.holder)


async def _nobody() -> None:
    """Nobody in particular calls."""


async def _take_in(
    store: BlobStore,
    tell: Callable[[BlobHolder, str], None],
    sha256: str,
    request: Request,
    offset: int,
    total: int,
    *,
    packed: bool,
) -> Response:
    who = _holder(request)
    upload: PartialUpload | None = await run_in_threadpool(_begin, store, who, tell, sha256, offset, total)
    if upload is None:
        await _drain(request)
        return Response(status_code=201, headers=_headers(sha256))
    take = Inflater(upload.write) if packed else upload.write
    whole = False
    try:
        chunks = request.stream()
        buffer = bytearray()
        pace = Pace()
        try:
            while True:
                async with asyncio.timeout(SILENCE):
                    chunk = await anext(chunks, b"")
                buffer += chunk
                pace.came(len(chunk))
                if not chunk:
                    break
                if len(buffer) >= CHUNK:
                    await run_in_threadpool(take, bytes(buffer))
                    buffer.clear()
        except (ClientDisconnect, TimeoutError):
            await run_in_threadpool(take, bytes(buffer))
            raise
        except asyncio.CancelledError:
            # The server is stopping, and waits for nothing that awaits. Its own answer would be a 500, which tells
            # the client to give up; this one tells it to come back.
            take(buffer)
            upload.close()
            return problem(503, "stopping", "stopping", "the dispatcher is stopping: go on later", {"Retry-After": "1"})
        whole = await run_in_threadpool(_end, upload, take, bytes(buffer), who, tell)
    except Bomb:
        await run_in_threadpool(upload.discard)
        raise
    finally:
        if not upload.closed:
            await run_in_threadpool(upload.close)
    if not whole:
        return Response(status_code=202, headers={"Upload-Offset": str(upload.offset)})
    log.debug("blob %s arrived, %d bytes", sha256, total)
    return Response(status_code=201, headers=_headers(sha256))


def _begin(
    store: BlobStore, who: BlobHolder, tell: Callable[[BlobHolder, str], None], sha256: str, offset: int, total: int
) -> PartialUpload | None:
    """None for a blob that is there already, and known to be the caller's; of another one all bytes are wanted."""
    if who.has_sent(sha256) and store.size(sha256) is not None:
        tell(who, sha256)
        return None
    who.check_send(sha256, total, total - offset)
    return store.begin(sha256, offset, total, who.owner)


def _end(
    upload: PartialUpload,
    take: Callable[[bytes], None],
    rest: bytes,
    who: BlobHolder,
    tell: Callable[[BlobHolder, str], None],
) -> bool:
    """Write the last bytes. True if the blob is whole now."""
    if rest:
        take(rest)
    if isinstance(take, Inflater) and not take.whole:
        raise BadCoding("the compressed stream has no end")
    whole = upload.finish(lambda: who.announce(upload.sha256, upload.total))
    upload.close()
    if whole:
        tell(who, upload.sha256)
    return whole


class Pace:
    """How fast an upload is: whoever sends a byte now and then would hold its place for ever."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._bytes = 0

    def came(self, number: int) -> None:
        """TimeoutError if it has been too slow for :data:`SILENCE` seconds."""
        self._bytes += number
        seconds = time.monotonic() - self._since
        if seconds >= SILENCE:
            if self._bytes < SLOWEST * seconds:
                raise TimeoutError
            self._since, self._bytes = time.monotonic(), 0


async def _drain(request: Request) -> None:
    dropped = 0
    try:
        async with asyncio.timeout(10):
            async for chunk in request.stream():
                dropped += len(chunk)
                if dropped > DRAIN:
                    return
    except (ClientDisconnect, TimeoutError, RuntimeError):
        # RuntimeError: the stream was read by the upload that failed. The answer matters more than the rest.
        return


def _bounds(asked: re.Match[str], size: int) -> tuple[int, int]:
    """First byte, and the one after the last, of a Range header over ``size`` bytes; empty if there are none."""
    if asked[3] is not None:
        return max(0, size - int(asked[3])), size
    return int(asked[1]), min(size, int(asked[2]) + 1) if asked[2] else size


def _headers(sha256: str) -> dict[str, str]:
    return {
        "ETag": f'"{sha256}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
        # A blob is whatever a stranger uploaded: no browser may run it as a page of ours.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }


def problem(status: int, word: str, title: str, detail: str = "", headers: dict[str, str] | None = None) -> Response:
    """An RFC 9457 problem document as a response."""
    body = Problem(type=f"/problems/{word}", title=title, status=status, detail=detail)
    return Response(body.model_dump_json(), status, headers, CONTENT_TYPE)
