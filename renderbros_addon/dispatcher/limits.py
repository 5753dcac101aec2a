"""What is refused before any route sees it: bodies that are too large, and browsers sent here by other sites."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..protocol.base import API_PREFIX
from ..protocol.digests import HEADER, content_digest, is_garbled
from .errors import Forbidden, Garbled, RequestRefused, TooLarge, TooSlow
from .problems import problem_response

security = logging.getLogger("renderbros.security")

SMALL_JSON = 64 << 10
"""Bytes of a body whose sender nobody has looked at, and of any where no large one belongs: enrolments and redemptions
are far smaller."""

ROOMY = re.compile(rf"{API_PREFIX}/(jobs(/[^/]+)?|leases/(results|[^/]+/(result|failure)))/?")
"""Where more may come from those who are known: jobs with their files, results with theirs, the end of a log."""

# Parsing and validating hold up everybody else, by how many values there are and not by how many bytes.
MOST_VALUES, SMALL_VALUES = 250_000, 2000
"""Commas in a roomy body and in any other. The largest job has 100,000 frames and 20,000 files of three fields."""

VALUES_OF_A_REQUEST, BYTES_OF_A_REQUEST = 100, 4 << 10
"""As how many requests a large body counts: by what it takes to check them, the largest job is a few thousand."""

SILENT_SECONDS, BODY_SECONDS = 30.0, 300.0
"""Until the next piece of a body, and until its end. Blobs have limits of their own."""

MOST_HELD = 256 << 20
"""Bytes of all bodies that have not come in whole."""

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Limits:
    """ASGI middleware. Blobs have their own limits; every other body is JSON of at most ``max_json`` bytes.

    ``charge`` tells whether a request has a token that is good, by raising what it is refused by, and takes so many
    requests from whose it is.

    ``names``: the hosts that requests may be addressed to, None for any. On loopback they keep out pages that a browser
    loaded from elsewhere and whose own name was then bound to 127.0.0.1.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_json: int,
        blobs: str,
        names: frozenset[str] | None,
        charge: Callable[[HTTPConnection, float], Awaitable[None]],
    ) -> None:
        self._app = app
        self._max_json = max_json
        self._charge = charge
        self._blobs = blobs
        self._names = names
        self._held = 0
        """Bytes of bodies that have not come in whole."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._check_origin(Headers(scope=scope))
            if scope["type"] == "http" and not scope["path"].startswith(self._blobs):
                receive = await self._read(HTTPConnection(scope), receive)
                send = _with_digest(send)
        except RequestRefused as refusal:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": refusal.word})
            else:
                response = problem_response(
                    refusal.status, refusal.word, refusal.title, refusal.detail, refusal.headers
                )
                await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_origin(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if self._names is not None and (_host_name(host) or "") not in self._names:
            raise Forbidden("this dispatcher answers only to localhost and the names it was given", word="foreign_host")
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host:
            raise Forbidden("requests from other sites' pages are not answered", word="foreign_origin")

    async def _read(self, request: HTTPConnection, receive: Receive) -> Receive:
        """The whole body, before the application begins, so that an endless one is refused as what it is."""
        headers, client = request.headers, request.client
        roomy = ROOMY.fullmatch(request.url.path) is not None
        most = self._max_json if roomy and "authorization" in headers else min(self._max_json, SMALL_JSON)
        too_large = TooLarge(f"a request's body has at most {most} bytes here")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most:
            raise too_large
        known = int(length) > SMALL_JSON
        if known:
            await self._charge(request, 0)
        body = bytearray()
        more = True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more:
                    async with asyncio.timeout(SILENT_SECONDS):
                        message = await receive()
                    if message["type"] != "http.request":
                        return _replay(message, receive)
                    added = message.get("body", b"")
                    body += added
                    self._held += len(added)
                    more = message.get("more_body", False)
                    if len(body) > most:
                        raise too_large
                    if not known and len(body) > SMALL_JSON:
                        known = True
                        await self._charge(request, 0)
                    if more and self._held > MOST_HELD:
                        raise TooSlow("too many requests are under way whose bodies have not come in whole: try again")
        except TimeoutError:
            where = client.host if client else "unknown"
            security.warning("connection given up: a body stalled", extra={"address": where})
            raise TooSlow("the request's body did not come in time") from None
        finally:
            self._held -= len(body)
        if is_garbled(body, headers.get(HEADER)):
            raise Garbled("this is not what was sent, by its digest: send it again")
        values = body.count(b",")
        if values > (MOST_VALUES if roomy else SMALL_VALUES):
            raise TooLarge("a request's body has fewer values than this one")
        if known or (roomy and values > SMALL_VALUES):
            # One request is taken for where it goes.
            await self._charge(request, max(values / VALUES_OF_A_REQUEST, len(body) / BYTES_OF_A_REQUEST) - 1)
        return _replay({"type": "http.request", "body": bytes(body), "more_body": False}, receive)


def _replay(first: Message, receive: Receive) -> Receive:
    waiting = [first]

    async def replaying() -> Message:
        return waiting.pop() if waiting else await receive()

    return replaying


def _with_digest(send: Send) -> Send:
    """Add the digest of a body that is sent in one piece."""
    started: list[Message] = []

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.append(message)
            return
        if started:
            start = started.pop()
            if message["type"] == "http.response.body" and message.get("body") and not message.get("more_body"):
                digest = (HEADER.lower().encode(), content_digest(message["body"]).encode())
                start = {**start, "headers": [*start.get("headers", ()), digest]}
            await send(start)
        await send(message)

    return sending


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
