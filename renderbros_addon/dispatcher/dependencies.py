"""What routes ask of a request: the dispatcher behind the app, who is calling, and its idempotency key."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from ..protocol.access import Role
from ..protocol.states import WorkerStatus
from . import accounts, tokens, workers
from .callers import Caller
from .errors import Forbidden, Unauthorized
from .idempotency import Answer, Key
from .rates import Limited
from .service import Dispatcher
from .tables import AnyRow

security = logging.getLogger("renderbros.security")

LONGEST_TOKEN = 200
"""Characters; ours have 68."""

_bearer = HTTPBearer(auto_error=False, description="A token: a worker's, a submitter's or an operator's.")

ROLES: dict[Callable[..., object], frozenset[Role]] = {}
"""Who may call a route that depends on one of these. A route that depends on none of them is open to nobody: a test
holds that there is none."""


async def dispatcher_of(request: Request) -> Dispatcher:
    # Not a plain function: FastAPI would send each of those to a thread.
    found: Dispatcher = request.app.state.dispatcher
    return found


Service = Annotated[Dispatcher, Depends(dispatcher_of)]
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def address_of(connection: HTTPConnection) -> str:
    """Where a request comes from."""
    return connection.client.host if connection.client else "unknown"


async def caller_of(request: HTTPConnection, service: Dispatcher, token: str | None) -> Caller:
    """Whose token came along. Unauthorized without one, Forbidden for a banned worker, TooMany."""
    found = service.callers.find(token)
    if found is None or (found.role is Role.WORKER and service.is_due(found.id)):
        found = await run_in_threadpool(known_caller, service, token, address_of(request))
    service.rates.take(Limited.REQUESTS, found.id)
    return found


async def charged(request: HTTPConnection, service: Dispatcher, requests: float) -> None:
    """Take so many requests from whoever's token came along, before its body is looked at; errors as above."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else None
    found = service.callers.find(given)
    if found is None:
        found = await run_in_threadpool(known_caller, service, given, address_of(request))
    service.rates.take(Limited.REQUESTS, found.id, requests)


def known_caller(service: Dispatcher, token: str | None, address: str) -> Caller:
    """Whom ``token`` belongs to, noted as seen."""
    headers = {"WWW-Authenticate": "Bearer"}
    if token is None:
        service.rates.take(Limited.STRANGERS, address)
        raise Unauthorized("a token is needed: see the command login, or enrol as a worker", headers=headers)
    # Guesses shut out nobody who is known, whatever address they share: a token is too long to be guessed.
    try:
        return _worker(service, token) if _is_workers(token) else _account(service, token)
    except Unauthorized:
        service.rates.take(Limited.FAILURES, address)
        security.warning("failed sign-in: unknown token", extra={"address": address})
        raise


def _is_workers(token: str) -> bool:
    return token.startswith(tokens.WORKER)


def _worker(service: Dispatcher, token: str) -> Caller:
    with service.callers.learning(token) as learn:
        with service.store.read() as conn:
            worker = workers.by_token(conn, token)
        if worker.status == WorkerStatus.BANNED:
            raise Forbidden("this worker is banned", word="banned")
        caller = Caller(Role.WORKER, worker.id, worker)
        learn(caller)
    service.saw(worker.id)
    return caller


def _account(service: Dispatcher, token: str) -> Caller:
    unknown = Unauthorized(
        "this token is unknown here, or is no longer valid: see the command login",
        headers={"WWW-Authenticate": "Bearer"},
    )
    if len(token) > LONGEST_TOKEN or not token.startswith(tuple(accounts.PREFIXES.values())):
        raise unknown
    with service.callers.learning(token) as learn:
        with service.store.read() as conn:
            account = accounts.by_token(conn, token, service.store.clock())
        if account is None:
            raise unknown
        caller = Caller(Role(account.role), account.id, account)
        learn(caller)
    service.used(account)
    return caller


def known_worker(service: Dispatcher, token: str | None) -> AnyRow:
    """The worker that ``token`` belongs to, noted as seen; Unauthorized if there is none."""
    if token is None or not _is_workers(token):
        raise Unauthorized("a worker's token is needed: enrol first", headers={"WWW-Authenticate": "Bearer"})
    return _worker(service, token).row


def check_role(caller: Caller, roles: frozenset[Role], address: str, what: str) -> None:
    """Forbidden unless the caller has one of ``roles``."""
    if caller.role not in roles:
        security.warning(
            "refused by role: a %s asked for %s", caller.role, what, extra={"address": address, "caller": caller.id}
        )
        raise Forbidden(f"this is not for a {caller.role}, but for: {' or '.join(sorted(roles))}", word="wrong_role")


def _for(*roles: Role) -> Callable[..., object]:
    """A dependency that gives the caller if it has one of ``roles``."""
    allowed = frozenset(roles)

    async def caller(request: Request, service: Service, credentials: Credentials) -> Caller:
        found = await caller_of(request, service, credentials.credentials if credentials else None)
        check_role(found, allowed, address_of(request), f"{request.method} {request.url.path[:200]}")
        return found

    ROLES[caller] = allowed
    return caller


for_worker = _for(Role.WORKER)
for_operator = _for(Role.OPERATOR)
for_account = _for(Role.OPERATOR, Role.SUBMITTER)
for_anybody = _for(*Role)


async def calling_worker(caller: Annotated[Caller, Depends(for_worker)]) -> AnyRow:
    """The worker whose token came along."""
    return caller.row


async def stranger(request: Request, service: Service) -> str:
    """For what needs no token: the address that it comes from. TooMany."""
    address = address_of(request)
    service.rates.take(Limited.STRANGERS, address)
    return address


ROLES[stranger] = frozenset()
"""Nobody in particular."""

CallingWorker = Annotated[AnyRow, Depends(calling_worker)]
CallingOperator = Annotated[Caller, Depends(for_operator)]
CallingAccount = Annotated[Caller, Depends(for_account)]
CallingAnybody = Annotated[Caller, Depends(for_anybody)]
Stranger = Annotated[str, Depends(stranger)]


async def idempotency_key(
    request: Request,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="The same for every retry of one change.")
    ] = None,
) -> Key | None:
    """The request's key, bound to method, path, caller and body; None if it has none."""
    if idempotency_key is None:
        return None
    caller = request.headers.get("authorization", "")
    return Key.of(request.method, request.url.path, caller, idempotency_key, await request.body())


IdempotencyKey = Annotated[Key | None, Depends(idempotency_key)]


def answered(model: BaseModel, status: int = 200) -> Answer:
    return Answer(status, model.model_dump_json())


def respond(answer: Answer) -> Response:
    return Response(answer.body, answer.status, media_type="application/json" if answer.body else None)
