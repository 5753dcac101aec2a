"""Every error on the wire is an RFC 9457 problem document."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from ..protocol.problems import CONTENT_TYPE, Problem
from .errors import RequestRefused

log = logging.getLogger("renderbros.dispatcher")

WORDS = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}

DOCUMENTED: dict[int | str, dict[str, object]] = {
    "4XX": {"description": "Refused; the problem says why.", "model": Problem, "content": {CONTENT_TYPE: {}}},
    "5XX": {"description": "Failed on the dispatcher's side.", "model": Problem, "content": {CONTENT_TYPE: {}}},
}
"""For the routes' ``responses``."""


def problem_response(
    status: int,
    word: str,
    title: str,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, object] | None = None,
) -> Response:
    """A problem document of type ``/problems/<word>``."""
    body = Problem.model_validate(
        {**(extra or {}), "type": f"/problems/{word}", "title": title, "status": status, "detail": detail}
    )
    return Response(body.model_dump_json(), status, dict(headers or {}), CONTENT_TYPE)


def problem_of(refusal: RequestRefused) -> Problem:
    """The problem document of a refusal that is told among other answers."""
    return Problem(type=f"/problems/{refusal.word}", title=refusal.title, status=refusal.status, detail=refusal.detail)


def install(app: FastAPI) -> None:
    """Have all errors of ``app`` answered as problem documents."""
    app.add_exception_handler(RequestRefused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefused)  # noqa: S101 - registered for it
    return problem_response(error.status, error.word, error.title, error.detail, error.headers, error.extra)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    # Where and why, never what was sent: that may hold a secret.
    found = [
        {"where": ".".join(str(part) for part in one["loc"]), "message": str(one["msg"])[:500]}
        for one in error.errors()[:20]
    ]
    detail = "; ".join(f"{one['where']}: {one['message']}" for one in found)
    return problem_response(422, "bad_request", "The request is not valid", detail, extra={"errors": found})


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    word = WORDS.get(error.status_code, "bad_request")
    return problem_response(error.status_code, word, str(error.detail), headers=error.headers)


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(500, "internal_error", "The dispatcher failed", "its log says more; try again later")
