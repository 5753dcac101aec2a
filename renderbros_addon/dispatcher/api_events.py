"""The WebSocket at ``/events``: workers hear what concerns them and tell their progress, viewers what they may."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Annotated, Literal

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from ..protocol.access import Role
from ..protocol.base import Identifier
from ..protocol.events import TaskProgress, event_adapter
from . import jobs
from .callers import Caller
from .dependencies import address_of, caller_of, check_role
from .errors import RequestRefused, Unauthorized
from .hub import Subscriber
from .rates import SOCKETS_AT_ONCE, Limited
from .service import Dispatcher

log = logging.getLogger("renderbros.dispatcher")

security = logging.getLogger("renderbros.security")

VIEWERS = frozenset({Role.OPERATOR, Role.SUBMITTER})

router = APIRouter(tags=["events"])

MAX_MESSAGE = 64 << 10
"""Bytes of a message from a client; the longest there is has some hundred."""

GOING_AWAY, REFUSED, TOO_SLOW = 1001, 1008, 1013
"""WebSocket close codes."""


@router.websocket("/events")
async def events(
    socket: WebSocket,
    role: Literal["viewer"] | None = None,
    job: Identifier | None = None,
    ticket: Annotated[str | None, Query(max_length=100)] = None,
) -> None:
    """Whoever connects says who it is with its token; a browser, which can't, with a ``ticket``.

    A worker hears what concerns it. An account is a viewer, perhaps of the one ``job`` it looks at; a submitter hears
    of its own jobs alone.
    """
    service: Dispatcher = socket.app.state.dispatcher
    try:
        caller = await _caller(socket, service, ticket)
        subscriber = await _subscriber(socket, service, caller, viewer=role == "viewer", job=job)
        with service.rates.holding("connections", caller.id, SOCKETS_AT_ONCE):
            await _serve(socket, service, subscriber)
    except RequestRefused as refusal:
        await socket.close(REFUSED, refusal.word)


async def _caller(socket: WebSocket, service: Dispatcher, ticket: str | None) -> Caller:
    scheme, _, token = socket.headers.get("authorization", "").partition(" ")
    if ticket is None:
        return await caller_of(socket, service, token if scheme.lower() == "bearer" else None)
    address = address_of(socket)
    found = await run_in_threadpool(service.signed_in.live_account, service.signed_in.tickets.find(ticket))
    if found is None:
        service.rates.take(Limited.FAILURES, address)
        security.warning("failed sign-in: unknown ticket", extra={"address": address})
        raise Unauthorized("this ticket is used, too old or unknown: ask for another one")
    return found


async def _subscriber(
    socket: WebSocket, service: Dispatcher, caller: Caller, *, viewer: bool, job: str | None
) -> Subscriber:
    if caller.role is Role.WORKER:
        if viewer:
            check_role(caller, VIEWERS, address_of(socket), "events as a viewer")
        return Subscriber(worker_id=caller.id)
    subscriber = Subscriber(account_id=caller.id, job_id=job)
    if caller.account is not None:
        # What it makes meanwhile is added as it is told: so the set is there first.
        subscriber.jobs = set()
        with service.hub.subscribe(subscriber):
            found = await run_in_threadpool(_jobs_of, service, caller.id)
        subscriber.jobs |= found
    return subscriber


def _jobs_of(service: Dispatcher, account_id: str) -> set[str]:
    with service.store.read() as conn:
        return jobs.ids_of(conn, account_id)


async def _serve(socket: WebSocket, service: Dispatcher, subscriber: Subscriber) -> None:
    with service.hub.subscribe(subscriber):
        await socket.accept()
        tellers = {
            asyncio.create_task(_tell(socket, subscriber)),
            asyncio.create_task(_hear(socket, service, subscriber)),
            asyncio.create_task(subscriber.lost.wait()),
        }
        try:
            await asyncio.wait(tellers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for teller in tellers:
                teller.cancel()
            await asyncio.gather(*tellers, return_exceptions=True)
    code = GOING_AWAY if service.hub.stopping else TOO_SLOW if subscriber.lost.is_set() else 1000
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.close(code)


async def _tell(socket: WebSocket, subscriber: Subscriber) -> None:
    while True:
        message = await subscriber.queue.get()
        await socket.send_text(message.model_dump_json())


async def _hear(socket: WebSocket, service: Dispatcher, subscriber: Subscriber) -> None:
    while True:
        text = await socket.receive_text()  # raises WebSocketDisconnect at the end, as also for what is no text
        worker_id = subscriber.worker_id
        # TooMany ends the connection, also of those to whom nobody listens.
        service.rates.take(Limited.REQUESTS, worker_id or subscriber.account_id or "nobody")
        if worker_id is None or len(text) > MAX_MESSAGE:
            continue
        try:
            message = event_adapter.validate_json(text)
        except ValidationError:
            log.debug("a message that this version does not know", extra={"worker": worker_id})
            continue
        await run_in_threadpool(service.saw, worker_id)
        if isinstance(message, TaskProgress):
            await run_in_threadpool(service.note_progress, message.lease_id, worker_id, message.progress)
