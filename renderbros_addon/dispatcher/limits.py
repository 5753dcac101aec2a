"""What is refused before any route sees it: bodies that are too large, and browsers sent here by other sites."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import RequestRefused, TooLarge
from .problems import problem_response

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Limits:
    """ASGI middleware. Blobs have their own limits; every other body is JSON of at most ``max_json`` bytes.

    ``loopback``: the server listens on this machine only, so it is addressed as this machine. A page that a browser
    loaded from elsewhere and that rebound its own name to 127.0.0.1 says another name.
    """

    def __init__(self, app: ASGIApp, *, max_json: int, blobs: str, loopback: bool) -> None:
        self._app = app
        self._max_json = max_json
        self._blobs = blobs
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._foreign(headers)
        if refusal is None and scope["type"] == "http" and not scope["path"].startswith(self._blobs):
            length = headers.get("content-length", "0")
            if not length.isdecimal() or int(length) > self._max_json:
                refusal = self._too_large()
            receive = self._counted(receive)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.word})
        else:
            response = problem_response(refusal.status, refusal.word, refusal.title, refusal.detail)
            await response(scope, receive, send)

    def _foreign(self, headers: Headers) -> RequestRefused | None:
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        if self._loopback and host not in LOOPBACK_NAMES:
            return RequestRefused("this dispatcher answers to localhost only", status=403, word="foreign_host")
        origin = headers.get("origin")
        if origin is not None and (origin == "null" or urlsplit(origin).netloc != headers.get("host")):
            return RequestRefused(
                "requests from other sites' pages are not answered", status=403, word="foreign_origin"
            )
        return None

    def _too_large(self) -> TooLarge:
        return TooLarge(f"a request's body has at most {self._max_json} bytes here")

    def _counted(self, receive: Receive) -> Receive:
        taken = 0

        async def counting() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_json:
                raise self._too_large()  # a chunked body announces no length
            return message

        return counting
