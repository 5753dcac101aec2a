"""The WebSocket at ``/events``: workers hear what concerns them and tell their progress, viewers hear everything."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Literal

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from ..protocol.base import Identifier
from ..protocol.events import TaskProgress, event_adapter
from .dependencies import known_worker
from .errors import RequestRefused
from .hub import Subscriber
from .service import Dispatcher

log = logging.getLogger("renderbros.dispatcher")

router = APIRouter(tags=["events"])

MAX_MESSAGE = 64 << 10
"""Bytes of a message from a client; the longest there is has some hundred."""

GOING_AWAY, REFUSED, TOO_SLOW = 1001, 1008, 1013
"""WebSocket close codes."""


@router.websocket("/events")
async def events(socket: WebSocket, role: Literal["viewer"] | None = None, job: Identifier | None = None) -> None:
    """A worker says who it is with its token; a viewer says ``role=viewer``, perhaps with the ``job`` it looks at."""
    service: Dispatcher = socket.app.state.dispatcher
    subscriber = Subscriber(job_id=job)
    if role != "viewer":
        scheme, _, token = socket.headers.get("authorization", "").partition(" ")
        try:
            worker = await run_in_threadpool(known_worker, service, token if scheme.lower() == "bearer" else None)
        except RequestRefused as error:
            await socket.close(REFUSED, error.word)
            return
        subscriber.worker_id = worker.id
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
