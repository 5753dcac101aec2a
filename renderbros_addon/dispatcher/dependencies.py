"""What routes ask of a request: the dispatcher behind the app, who is calling, and its idempotency key."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from ..protocol.states import WorkerStatus
from . import workers
from .errors import Forbidden, Unauthorized
from .idempotency import Answer, Key
from .service import Dispatcher
from .tables import AnyRow

_bearer = HTTPBearer(auto_error=False, description="The token that enrolment gave.")


async def dispatcher_of(request: Request) -> Dispatcher:
    # Not a plain function: FastAPI would send each of those to a thread.
    found: Dispatcher = request.app.state.dispatcher
    return found


Service = Annotated[Dispatcher, Depends(dispatcher_of)]


async def calling_worker(
    service: Service, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> AnyRow:
    """The worker whose token came along. Unauthorized without one, Forbidden if it is banned."""
    token = credentials.credentials if credentials else None
    known = service.callers.find(token)
    if known is not None and not service.is_due(known.id):
        return known
    return await run_in_threadpool(known_worker, service, token)


def known_worker(service: Dispatcher, token: str | None) -> AnyRow:
    """The worker that ``token`` belongs to, noted as seen."""
    if token is None:
        raise Unauthorized("a worker's token is needed: enrol first", headers={"WWW-Authenticate": "Bearer"})
    with service.callers.learning(token) as learn:
        with service.store.read() as conn:
            worker = workers.by_token(conn, token)
        if worker.status == WorkerStatus.BANNED:
            raise Forbidden("this worker is banned", word="banned")
        learn(worker)
    service.saw(worker.id)
    return worker


CallingWorker = Annotated[AnyRow, Depends(calling_worker)]


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
