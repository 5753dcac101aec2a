"""Errors of the dispatcher: what stops it from starting, and what makes it refuse a request."""

from __future__ import annotations

from collections.abc import Mapping


class ConfigurationError(Exception):
    """The dispatcher can't start as configured. The message says what to change."""


class LostRace(Exception):
    """A row was no longer in the state that a change expected. The change is rolled back and tried again."""


class RequestRefused(Exception):
    """A request that won't be served; on the wire a problem document of type ``/problems/<word>``."""

    status = 400
    word = "bad_request"
    title = "The request can't be served"

    def __init__(
        self,
        detail: str,
        *,
        word: str | None = None,
        status: int | None = None,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.word = word or self.word
        self.status = status or self.status
        self.title = title or self.title
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


class NotFound(RequestRefused):
    status, word, title = 404, "not_found", "There is no such thing"


class Conflict(RequestRefused):
    status, word, title = 409, "conflict", "Its state does not allow this"


class Unauthorized(RequestRefused):
    status, word, title = 401, "unauthorized", "A valid token is needed"


class Forbidden(RequestRefused):
    status, word, title = 403, "forbidden", "Not allowed"


class Garbled(RequestRefused):
    """It was changed on the way."""

    status, word, title = 400, "garbled", "Not what was sent"


class TooLarge(RequestRefused):
    status, word, title = 413, "too_large", "Too large"


class TooSlow(RequestRefused):
    status, word, title = 408, "too_slow", "Too slow"


class NoRoom(RequestRefused):
    status, word, title = 507, "storage_full", "No room"


class Unprocessable(RequestRefused):
    status, word, title = 422, "bad_request", "The request is not valid"
