"""One dispatcher over HTTP: sessions, trust, retries, and answers turned into models or errors."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from pydantic import BaseModel, ValidationError
from requests.auth import AuthBase

from ..protocol.base import API_PREFIX
from ..protocol.digests import HEADER, content_digest, is_garbled
from ..protocol.problems import CONTENT_TYPE, Problem
from . import trust
from .errors import DispatcherUnreachable, Untrusted, error_for
from .retry import Retrier, parse_retry_after

log = logging.getLogger("renderbros.client")

CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 30.0
"""Seconds to wait for a connection, and for the next bytes of an answer."""

RETRY_FOR = 60.0
"""Seconds for which a call is tried again, unless told otherwise."""

MOST_ANSWER = 256 << 20
"""Bytes of an answer, unpacked. That about 200 000 frames has some 100 MB."""
MOST_PROBLEM = 1 << 20
"""Bytes of a problem document where a file was asked for."""
LONGEST_ANSWER = 600.0
"""Seconds that an answer may take from its first byte to its last, on top of the read timeout."""
_READ = 1 << 14

RETRIED_STATUSES = frozenset({408, 429, 502, 503, 504})

M = TypeVar("M", bound=BaseModel)


class Connection:
    """Requests to the dispatcher at ``url`` (``http[s]://host[:port]``, perhaps with a path before the API's).

    ``token``: bearer token. ``ca``: PEM file of the authority to trust instead of the system's. ``pin``: SHA-256 of the
    only certificate to trust, in hexadecimal; without a ``ca`` it needs no other. ``timeout``: seconds, (connect,
    read). ``retry_for``: seconds for which a call is repeated after connection errors and answers that
    :func:`may_pass`; None is for ever. ``stop``: once set, calls that wait raise Stopped. ``insecure``: send secrets
    though neither TLS nor this machine's own loopback keeps them. ValueError for a bad URL or pin, for a ``ca`` or pin
    without TLS, and for a token that would go where it can be read on the way.

    Safe to use from several threads.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        ca: Path | None = None,
        timeout: tuple[float, float] = (CONNECT_TIMEOUT, READ_TIMEOUT),
        retry_for: float | None = RETRY_FOR,
        stop: threading.Event | None = None,
        pin: str | None = None,
        insecure: bool = False,
    ) -> None:
        self.url = checked_url(url)
        self.pin = None if pin is None else trust.checked_pin(pin)
        trust.check_applies(self.url, ca, pin)
        self.insecure = insecure
        if token is not None:
            self.check_private()
        self.token = token
        self.ca = ca
        self.timeout = timeout
        self.retry_for = retry_for
        self.stop = stop or threading.Event()
        self.upload_rate: float | None = None
        """Bytes a second at which the last large upload went; None before that."""
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._sessions_lock = threading.Lock()

    def check_private(self) -> None:
        """ValueError if a secret that is sent could be read on the way."""
        if self.url.startswith("http:") and not is_loopback(self.url) and not self.insecure:
            raise ValueError(
                f"{self.url} has no TLS, and a token that is sent there can be read on the way: use an https:// "
                "address, or --insecure if the network is your own"
            )

    def retrier(self) -> Retrier:
        """A fresh budget of retries, for one call."""
        return Retrier(self.retry_for, self.stop)

    def call(
        self,
        method: str,
        path: str,
        answer: type[M],
        *,
        body: BaseModel | None = None,
        key: str | None = None,
        params: Mapping[str, str] | None = None,
        read_timeout: float | None = None,
        root: bool = False,
    ) -> M:
        """Call ``path`` below the API's prefix (``root``: below the server's) and read the answer as ``answer``.

        ``key`` is the idempotency key: the same for every retry, so that a change whose answer got lost is made once.
        DispatcherError (by status), DispatcherUnreachable, Stopped.
        """
        headers = {"Idempotency-Key": key} if key else {}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = body.model_dump_json().encode()
            headers[HEADER] = content_digest(data)
        retrier = self.retrier()
        while True:
            retrier.check_stopped()
            try:
                response = self.send(
                    method, path, data=data, headers=headers, params=params, read_timeout=read_timeout, root=root
                )
            except DispatcherUnreachable as error:
                self.wait_or_raise(retrier, error)
                continue
            if may_pass(response):
                self.wait_after(retrier, response)
                continue
            return self._read(response, answer)

    def send(
        self,
        method: str,
        path: str,
        *,
        data: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        connect_timeout: float | None = None,
        read_timeout: float | None = None,
        stream: bool = False,
        root: bool = False,
    ) -> requests.Response:
        """One attempt; DispatcherUnreachable for anything short of an answer with a status.

        With ``stream`` the body is for the caller to read, but for that of an error.
        """
        try:
            response = self._session().request(
                method,
                f"{self.url}{'' if root else API_PREFIX}{path}",
                data=data,
                headers=dict(headers or {}),
                params=params,
                auth=_Bearer(self.token),
                timeout=(connect_timeout or self.timeout[0], read_timeout or self.timeout[1]),
                # Said on every request: a bundle named in the environment would override the session's.
                verify=str(self.ca) if self.ca else self.pin is None,
                allow_redirects=method in ("GET", "HEAD"),
                # Read below, as far as an answer may go.
                stream=True,
            )
            if not stream:
                self._read_all(response, MOST_ANSWER)
            elif response.status_code >= 300:
                self._read_all(response, MOST_PROBLEM)
        except requests.RequestException as error:
            raise unreachable(self.url, error) from error
        if not stream and method != "HEAD" and is_garbled(response.content, response.headers.get(HEADER)):
            # What is still on this connection is not to be trusted either.
            self._session().close()
            raise DispatcherUnreachable(f"the answer of {self.url} was garbled on the way")
        return response

    def _read_all(self, response: requests.Response, most: int) -> None:
        """Make the body of ``response`` its content; DispatcherUnreachable if it doesn't end."""
        began, parts, total = time.monotonic(), [], 0
        longest = LONGEST_ANSWER + self.timeout[1]
        # A little packed can be much, so little is unpacked at once.
        for chunk in _as_it_comes(response):
            parts.append(chunk)
            total += len(chunk)
            if total > most or time.monotonic() - began > longest:
                response.close()
                why = f"is longer than {most >> 20} MiB" if total > most else "does not come to an end"
                raise DispatcherUnreachable(f"the answer of {self.url} {why}")
        # What requests itself does where it reads everything at once; there is no other way to give it a body.
        response._content = b"".join(parts)

    def wait_or_raise(self, retrier: Retrier, error: DispatcherUnreachable) -> None:
        """Wait before the next try, or raise ``error`` if there is none."""
        if isinstance(error, Untrusted):
            raise error
        log.info("%s; trying again", error)
        retrier.wait(error)

    def wait_after(self, retrier: Retrier, response: requests.Response) -> None:
        """Wait as long as an answer of :func:`may_pass` asks for, or raise its error if that is too long."""
        problem = problem_of(response)
        log.info("the dispatcher answered %d (%s); trying again", response.status_code, problem.title)
        gone = response.status_code in (500, 502, 503, 504)
        error = DispatcherUnreachable(f"{self.url} is not ready: {problem.title}") if gone else error_for(problem)
        retrier.wait(error, parse_retry_after(response.headers.get("Retry-After")))

    def _read(self, response: requests.Response, answer: type[M]) -> M:
        if response.status_code >= 300:
            raise error_for(problem_of(response))
        try:
            return answer.model_validate_json(response.content or b"{}")
        except ValidationError as error:
            raise error_for(
                Problem(
                    title=f"{self.url} gave an answer that this version does not understand",
                    status=response.status_code,
                    detail=f"is it a dispatcher of the same version? {error.errors()[0]['msg']}",
                )
            ) from error

    def _session(self) -> requests.Session:
        # One for each thread: requests does not promise that sessions can be shared.
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.headers["Accept"] = f"application/json, {CONTENT_TYPE}"
            # No proxy leads to a dispatcher on this machine, whatever the environment says.
            session.trust_env = not is_loopback(self.url)
            if self.pin is not None:
                session.mount("https://", trust.PinnedAdapter(self.pin))
            self._local.session = session
            with self._sessions_lock:
                self._sessions.append(session)
        return session

    def close(self) -> None:
        """Close idle connections; the object may be used again."""
        with self._sessions_lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Bearer(AuthBase):
    """Also in place without a token: requests would otherwise look for credentials in ~/.netrc and send those."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _as_it_comes(response: requests.Response) -> Iterator[bytes]:
    """The body, unpacked, in pieces that are as small as they come in: ``iter_content`` waits for whole ones."""
    read = getattr(response.raw, "read1", None)  # an older urllib3 has none
    if read is None:
        yield from response.iter_content(_READ)
        return
    try:
        while chunk := read(_READ, decode_content=True):
            yield chunk
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.ConnectionError(error) from error


def checked_url(url: str) -> str:
    """``url`` without a slash at its end; ValueError unless it is an HTTP or HTTPS address without credentials."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"not a dispatcher's address: {url!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"a dispatcher's address looks like http://127.0.0.1:8420, not {url!r}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a dispatcher's address must not hold a user name or password")
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Does ``url`` lead to this machine?"""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def may_pass(response: requests.Response) -> bool:
    """Is it worth asking again?

    A 500 is only if it holds no problem document: then it is not the dispatcher's word but that of the server around
    it, which says so to whoever was waiting when the dispatcher was stopped. So is a 400, which that server answers to
    what it can't read, and one that says that the request was garbled.
    """
    if response.status_code in RETRIED_STATUSES:
        return True
    bare = response.headers.get("Content-Type", "").partition(";")[0].strip() != CONTENT_TYPE
    if response.status_code == 400 and not bare:
        return problem_of(response).word == "garbled"
    return response.status_code in (400, 500) and bare


def problem_of(response: requests.Response) -> Problem:
    """The problem document in an answer, or one made up for an answer that has none."""
    bare = response.headers.get("Content-Type", "").partition(";")[0].strip() != CONTENT_TYPE
    if not bare:
        with contextlib.suppress(ValidationError, requests.RequestException):
            found = Problem.model_validate_json(response.content)
            return found.model_copy(update={"status": response.status_code})
    title = f"{response.status_code} {response.reason or ''}".strip()
    # A dispatcher that does not know a thing, or a path, says so in a problem document.
    strange = bare and response.status_code in (404, 405)
    detail = f"no dispatcher answers at {_address_of(response)}" if strange else ""
    return Problem(title=title, status=response.status_code, detail=detail)


def _address_of(response: requests.Response) -> str:
    parts = urlsplit(response.url or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else "this address"


def unreachable(url: str, error: Exception) -> DispatcherUnreachable:
    """Say in one line why there was no answer."""
    causes = list(_causes(error))
    for cause in causes:
        if (why := trust.why_untrusted(url, cause)) is not None:
            return Untrusted(why)
    if isinstance(error, requests.ConnectTimeout):
        return DispatcherUnreachable(f"no connection to {url} in time")
    if isinstance(error, requests.Timeout):
        return DispatcherUnreachable(f"no answer from {url} in time")
    if any(isinstance(cause, ConnectionResetError | BrokenPipeError | ConnectionAbortedError) for cause in causes):
        hint = " (with TLS, its address begins with https://)" if url.startswith("http:") else ""
        return DispatcherUnreachable(f"{url} ended the connection without an answer{hint}")
    return DispatcherUnreachable(f"no answer from {url}: {_in_words(causes)}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error``, and what it came of: requests wraps urllib3's errors, and that the system's."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        reasons = (getattr(cause, "reason", None), *cause.args, cause.__cause__, cause.__context__)
        cause = next((r for r in reasons if isinstance(r, BaseException)), None)


def _in_words(causes: list[BaseException]) -> str:
    """The last of ``causes`` that the system, or else a library, has words for."""
    for cause in reversed(causes):
        if isinstance(cause, socket.gaierror):
            return "no such host"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, TimeoutError):
            return "timed out"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror[:1].lower() + cause.strerror[1:]
    return str(causes[-1])
