"""Signing in to the pages: a token, or a link that is good once, for a cookie that lasts half a day.

Nothing of the pages is served to whoever has not: neither they, nor the connections that keep them live.
"""

from __future__ import annotations

import html
import logging
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from ..dispatcher.callers import Caller
from ..dispatcher.dependencies import address_of, known_caller
from ..dispatcher.errors import RequestRefused, Unauthorized
from ..dispatcher.rates import Limited
from ..dispatcher.service import Dispatcher
from ..dispatcher.sessions import SESSION_SECONDS
from ..protocol.access import Role
from ..protocol.base import API_PREFIX

security = logging.getLogger("renderbros.security")

COOKIE = "renderbros_session"

_OPEN = (f"{API_PREFIX}/", "/_nicegui/")
"""The API has tokens, and the other is the pages' library, the same everywhere."""

_OPEN_PAGES = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json", "/sign-in", "/sign-out"})

_LONGEST_FORM = 4096

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'",
}

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>RenderBros: sign in</title>{more}
<style>
body {{ background: #121212; color: #eee; font: 16px/1.5 Roboto, sans-serif; display: grid; place-items: center;
  min-height: 90vh; margin: 0 }}
main {{ background: #1d1d1d; padding: 2rem; border-radius: 8px; width: min(26rem, 80vw) }}
h1 {{ font-size: 1.4rem; margin: 0 0 1rem }} p {{ color: #9e9e9e }} .wrong {{ color: #ff6e6e }}
input {{ width: 100%; box-sizing: border-box; padding: .6rem; background: #121212; color: #eee;
  border: 1px solid #555; border-radius: 4px; font: inherit }}
button {{ margin-top: 1rem; padding: .6rem 1.4rem; background: #5898d4; color: #fff; border: 0; border-radius: 4px;
  font: inherit; cursor: pointer }}
</style></head><body><main><h1>RenderBros</h1>{body}</main></body></html>
"""

_FORM = """{why}<form method="post" action="/sign-in"><label for="token">Token of an operator or submitter</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Sign in</button></form>
<p>The first start of a farm prints the operator's token; <code>renderbros login</code> makes a submitter's of an
invite.</p>"""


def mount(app: FastAPI, dispatcher: Dispatcher) -> None:
    """Add the page to sign in, and keep everything else of the pages from those who have not."""

    @app.get("/sign-in", include_in_schema=False)
    async def sign_in(request: Request, link: str | None = None) -> Response:
        if link is None:
            return _form()
        address = address_of(request)
        try:
            caller = await run_in_threadpool(
                dispatcher.signed_in.live_account, dispatcher.signed_in.links.find(link[:200])
            )
            if caller is None:
                dispatcher.rates.take(Limited.FAILURES, address)
                raise Unauthorized("This link was used already, or is too old.")
        except RequestRefused as refusal:
            security.warning("failed sign-in: %s", refusal.detail, extra={"address": address})
            return _form(refusal)
        return _welcome(request, dispatcher, caller)

    @app.post("/sign-in", include_in_schema=False)
    async def signed(request: Request) -> Response:
        body = await request.body()
        try:
            fields = parse_qs(body[:_LONGEST_FORM].decode("ascii", "replace"))
            token = fields.get("token", [""])[0].strip()
            caller = await run_in_threadpool(known_caller, dispatcher, token, address_of(request))
            if caller.role is Role.WORKER:
                raise Unauthorized("A worker's token does not open these pages.")
        except RequestRefused as refusal:
            return _form(refusal)
        return _welcome(request, dispatcher, caller)

    @app.post("/sign-out", include_in_schema=False)
    async def sign_out(request: Request) -> Response:
        dispatcher.signed_in.sessions.drop(request.cookies.get(COOKIE))
        answer = RedirectResponse("/sign-in", 303, _HEADERS)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    app.add_middleware(SignedIn, dispatcher=dispatcher)


def _form(refusal: RequestRefused | None = None) -> Response:
    why = f'<p class="wrong">{html.escape(refusal.detail)}</p>' if refusal else ""
    headers = _HEADERS | (refusal.headers if refusal else {})
    body = _PAGE.format(more="", body=_FORM.format(why=why))
    return HTMLResponse(body, refusal.status if refusal else 200, headers)


def _welcome(request: Request, dispatcher: Dispatcher, caller: Caller) -> Response:
    security.info("signed in to the pages", extra={"caller": caller.id, "address": address_of(request)})
    # Not a redirect: a strict cookie does not go along with one that another program's link began.
    page = _PAGE.format(
        more='<meta http-equiv="refresh" content="0;url=/">', body='<p>Signed in. <a href="/">Go on</a></p>'
    )
    answer = HTMLResponse(page, headers=_HEADERS)
    answer.set_cookie(
        COOKIE,
        dispatcher.signed_in.sessions.make(caller.id),
        max_age=int(SESSION_SECONDS),
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def caller_of_session(dispatcher: Dispatcher, session: str | None) -> Caller:
    """Who is signed in; Unauthorized if nobody is, or no more."""
    found = dispatcher.signed_in.live_account(dispatcher.signed_in.sessions.find(session))
    if found is None:
        raise Unauthorized("sign in first")
    return found


def caller_of(connection: HTTPConnection, dispatcher: Dispatcher) -> Caller:
    """Who is signed in; Unauthorized if nobody is."""
    return caller_of_session(dispatcher, connection.cookies.get(COOKIE))


class SignedIn:
    """ASGI middleware: pages, and their WebSockets, are for those who are signed in."""

    def __init__(self, app: ASGIApp, *, dispatcher: Dispatcher) -> None:
        self._app = app
        self._dispatcher = dispatcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] not in ("http", "websocket") or path.startswith(_OPEN) or path in _OPEN_PAGES:
            await self._app(scope, receive, send)
            return
        try:
            await run_in_threadpool(caller_of, HTTPConnection(scope), self._dispatcher)
        except RequestRefused:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": "unauthorized"})
                return
            asks = scope["method"] == "GET"
            answer = RedirectResponse("/sign-in", 303, _HEADERS) if asks else Response("sign in first", 401)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)
