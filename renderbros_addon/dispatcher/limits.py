"""What is refused before any route sees it: bodies that are too large, and browsers sent here by other sites."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..protocol.digests import HEADER, content_digest, is_garbled
from .errors import Forbidden, Garbled, RequestRefused, TooLarge, TooSlow
from .problems import problem_response

security = logging.getLogger("renderbros.security")

STRANGERS_JSON = 64 << 10
"""Bytes of a body that comes without a token: enrolments and redemptions are far smaller."""

SILENT_SECONDS, BODY_SECONDS = 30.0, 300.0
"""Until the next piece of a body, and until its end. Blobs have limits of their own."""

MOST_HELD = 256 << 20
"""Bytes of all bodies that have not come in whole."""

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Limits:
    """ASGI middleware. Blobs have their own limits; every other body is JSON of at most ``max_json`` bytes.

    ``names``: the hosts that requests may be addressed to, None for any. On loopback they keep out pages that a browser
    loaded from elsewhere and whose own name was then bound to 127.0.0.1.
    """

    def __init__(self, app: ASGIApp, *, max_json: int, blobs: str, names: frozenset[str] | None) -> None:
        self._app = app
        self._max_json = max_json
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
                receive = await self._read(Headers(scope=scope), receive, scope.get("client"))
                send = _with_digest(send)
        except RequestRefused as refusal:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": refusal.word})
            else:
                response = problem_response(refusal.status, refusal.word, refusal.title, refusal.detail)
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

    async def _read(self, headers: Headers, receive: Receive, client: tuple[str, int] | None) -> Receive:
        """The whole body, before the application begins, so that an endless one is refused as what it is."""
        most = self._max_json if "authorization" in headers else min(self._max_json, STRANGERS_JSON)
        too_large = TooLarge(f"a request's body has at most {most} bytes here")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most:
            raise too_large
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
                    if more and self._held > MOST_HELD:
                        raise TooSlow("too many requests are under way whose bodies have not come in whole: try again")
        except TimeoutError:
            where = client[0] if client else "unknown"
            security.warning("connection given up: a body stalled", extra={"address": where})
            raise TooSlow("the request's body did not come in time") from None
        finally:
            self._held -= len(body)
        if is_garbled(body, headers.get(HEADER)):
            raise Garbled("this is not what was sent, by its digest: send it again")
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
