"""``/leases``: how workers get tasks and give back what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from ..protocol.base import Identifier
from ..protocol.handing_in import BatchTaken, ResultBatch
from ..protocol.leases import Acceptance, LeaseBatch, LeaseRequest, Renewal, RenewRequest
from ..protocol.results import Failure, TaskResult
from . import failures, handing_in, leases, results, scheduler, sent_blobs, workers
from .bodies import JsonRoute
from .dependencies import CallingWorker, IdempotencyKey, Service, answered, respond
from .errors import Unprocessable
from .idempotency import Answer, Key, once
from .problems import DOCUMENTED
from .rates import POLLS_AT_ONCE
from .service import Dispatcher
from .store import Tx
from .tables import AnyRow

router = APIRouter(prefix="/leases", tags=["leases"], responses=DOCUMENTED, route_class=JsonRoute)

MAX_WAIT = 30.0
"""Seconds that a request for leases waits at most; less than what counts as a worker's silence."""

LOOK_EVERY = 10.0
"""Seconds between two looks of a waiting request that nothing woke. Whoever makes work wakes it, here or elsewhere;
this is for a word that got lost."""

_NONE = LeaseBatch(leases=())


@router.post("", response_model=LeaseBatch)
async def lease(
    request: Request,
    wanted: LeaseRequest,
    service: Service,
    worker: CallingWorker,
    key: IdempotencyKey,
    wait: Annotated[float, Query(ge=0, le=3600, allow_inf_nan=False)] = 0.0,
) -> Response:
    """Ask for tasks, waiting up to ``wait`` (at most 30) seconds for some. An empty batch if there are none."""
    deadline = time.monotonic() + min(wait, MAX_WAIT)
    again = False
    waiting = service.rates.holding("requests for work", worker.id, POLLS_AT_ONCE)
    with waiting, service.hub.waiting(worker.id) as waiter:
        while True:
            # Nobody may be there any more to take what is leased now; it would lie idle until it expires.
            if await request.is_disconnected():
                return respond(answered(_NONE))
            began = service.hub.begin_look(waiter)
            answer, left_over = await run_in_threadpool(_look, service, worker, wanted, key, again)
            service.hub.end_look(waiter, began, left=left_over)
            left = deadline - time.monotonic()
            if answer is not None:
                return respond(answer)
            if left <= 0 or service.hub.stopping:
                return respond(answered(_NONE))
            again = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(waiter.event.wait(), min(left, LOOK_EVERY))


def _look(
    service: Dispatcher, worker: AnyRow, wanted: LeaseRequest, key: Key | None, again: bool
) -> tuple[Answer | None, bool]:
    """Leases, or the answer that the same request got before; None if there are none. And whether others may find
    something. Unauthorized or Forbidden if the worker was shut out while it waited.
    """
    if again or key is None:
        # Waiting costs no write.
        with service.store.read() as conn:
            now = service.store.clock()
            if again:
                workers.check_let_in(conn, worker)
            if not scheduler.any_queued(conn, now):
                return None, False
            if not scheduler.has_work(conn, workers.load(conn, worker.id), now):
                return None, True
    return _grant(service, worker, wanted, key), True


def _grant(service: Dispatcher, worker: AnyRow, wanted: LeaseRequest, key: Key | None) -> Answer | None:

    def work(tx: Tx) -> Answer | None:
        workers.check_let_in(tx.conn, worker)

        def first_time() -> Answer:
            granted = scheduler.grant(tx, worker.id, wanted, service.config.lease_seconds)
            return answered(LeaseBatch(leases=tuple(granted)))

        answer = once(tx, key, first_time, keep=lambda answer: answer != answered(_NONE))
        return None if answer == answered(_NONE) else answer

    return service.store.change(work)


@router.post("/{lease_id}/renew")
def renew(lease_id: Identifier, told: RenewRequest, service: Service, worker: CallingWorker) -> Renewal:
    """Keep a lease, and tell how far its task is. ``cancel`` in the answer: the lease is over, stop."""
    seconds = service.config.lease_seconds
    kept = service.store.change(lambda tx: leases.renew(tx, lease_id, worker.id, seconds))
    if kept and told.progress is not None:
        service.note_progress(lease_id, worker.id, told.progress)
    return Renewal(seconds=seconds if kept else 0.0, cancel=not kept, pause=worker.pause_requested)


@router.post("/{lease_id}/result")
def result(lease_id: Identifier, given: TaskResult, service: Service, worker: CallingWorker) -> Acceptance:
    """Hand in a result whose blobs are uploaded. It is looked at later; the worker can go on."""
    files = given.digests
    missing = {sha256 for sha256 in files if service.blobs.size(sha256) is None}

    def take(tx: Tx) -> Acceptance:
        # What others have sent is as if it were not there.
        unsent = sent_blobs.claim(tx, worker.id, files)
        return results.receive(tx, lease_id, worker.id, given, missing=missing | unsent)

    try:
        return service.store.change(take)
    except Unprocessable:
        # Its files were sent for this alone.
        service.intake.discard(files - service.store.change(lambda tx: sent_blobs.claim(tx, worker.id, files)))
        raise


@router.post("/results")
def hand_in(given: ResultBatch, service: Service, worker: CallingWorker) -> BatchTaken:
    """Hand in several results, with their small files. One that is refused does not hold up the others."""
    return handing_in.hand_in(service, worker, given)


@router.post("/{lease_id}/failure", status_code=204)
def failure(lease_id: Identifier, told: Failure, service: Service, worker: CallingWorker) -> None:
    """Give a task up, and say why."""
    service.store.change(lambda tx: failures.report(tx, lease_id, worker.id, told))


@router.delete("/{lease_id}", status_code=204)
def release(lease_id: Identifier, service: Service, worker: CallingWorker) -> None:
    """Hand a task back unrendered, unblamed."""
    service.store.change(lambda tx: failures.release(tx, lease_id, worker.id))
