"""``/workers``: enrolment, and the operator's side."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from ..protocol.base import Identifier
from ..protocol.checks import CheckList
from ..protocol.workers import Enrolled, Enrolment, WorkerList, WorkerView
from . import checks, failures, leases, standings, views, workers
from .bodies import JsonRoute
from .callers import Caller
from .dependencies import CallingOperator, IdempotencyKey, Service, Stranger, address_of, answered, respond
from .errors import Forbidden, NotFound
from .idempotency import Key, once
from .problems import DOCUMENTED
from .rates import Limited
from .service import Dispatcher
from .store import Tx

security = logging.getLogger("renderbros.security")

router = APIRouter(prefix="/workers", tags=["workers"], responses=DOCUMENTED, route_class=JsonRoute)


@router.post("", status_code=201)
def enrol(enrolment: Enrolment, service: Service, address: Stranger) -> Enrolled:
    """Become a worker, by an invite. Name and secret again give the same worker and the same token, without one.

    Whoever enrols has just begun: what the worker held before is handed back, for nobody is at it any more.
    """

    def change(tx: Tx) -> Enrolled:
        enrolled = workers.admit(tx, enrolment)
        for lease in leases.held_of_worker(tx.conn, enrolled.id):
            failures.release(tx, lease.id, enrolled.id)
        return enrolled

    try:
        enrolled = service.store.change(change)
    except Forbidden as refusal:
        service.rates.take(Limited.INVITES, address)
        security.warning("worker refused: %s", refusal.detail, extra={"address": address})
        raise
    security.info("worker enrolled", extra={"worker": enrolled.id, "address": address})
    return enrolled


@router.get("")
def list_workers(service: Service, _: CallingOperator) -> WorkerList:
    with service.store.read() as conn:
        return WorkerList(workers=views.worker_views(conn))


@router.get("/{worker_id}")
def get_worker(worker_id: Identifier, service: Service, _: CallingOperator) -> WorkerView:
    with service.store.read() as conn:
        found = views.worker_views(conn, worker_id)
    if not found:
        raise NotFound(f"there is no worker {worker_id}", word="unknown_worker")
    return found[0]


@router.get("/{worker_id}/checks")
def list_checks(worker_id: Identifier, service: Service, _: CallingOperator) -> CheckList:
    """The latest checks of its results, with what they found, the newest first."""
    with service.store.read() as conn:
        workers.load(conn, worker_id)
        return CheckList(checks=checks.views(conn, worker_id=worker_id))


def _change(service: Dispatcher, key: Key | None, worker_id: str, change: Callable[[Tx, str], None]) -> Response:
    def work(tx: Tx) -> Response:
        def first_time() -> WorkerView:
            change(tx, worker_id)
            return views.worker_views(tx.conn, worker_id)[0]

        return respond(once(tx, key, lambda: answered(first_time())))

    return service.store.change(work)


@router.post("/{worker_id}/pause", response_model=WorkerView)
def pause_worker(worker_id: Identifier, service: Service, _: CallingOperator, key: IdempotencyKey) -> Response:
    """Give it no more tasks; it finishes what it has."""
    return _change(service, key, worker_id, workers.pause)


@router.post("/{worker_id}/resume", response_model=WorkerView)
def resume_worker(worker_id: Identifier, service: Service, _: CallingOperator, key: IdempotencyKey) -> Response:
    return _change(service, key, worker_id, workers.resume)


@router.post("/{worker_id}/ban", response_model=WorkerView)
def ban_worker(
    worker_id: Identifier, request: Request, service: Service, caller: CallingOperator, key: IdempotencyKey
) -> Response:
    """Take all tasks from it and deal with it no more."""
    security.warning("worker banned", extra=_who(request, caller) | {"worker": worker_id})
    return _change(service, key, worker_id, workers.ban)


@router.post("/{worker_id}/renew-token", response_model=WorkerView)
def renew_token(
    worker_id: Identifier, request: Request, service: Service, caller: CallingOperator, key: IdempotencyKey
) -> Response:
    """Make its token void at once; it gets another one by the secret that it keeps, and goes on."""
    security.warning("token revoked", extra=_who(request, caller) | {"worker": worker_id})
    return _change(service, key, worker_id, workers.renew_token)


@router.post("/{worker_id}/pardon", response_model=WorkerView)
def pardon_worker(worker_id: Identifier, service: Service, _: CallingOperator, key: IdempotencyKey) -> Response:
    """End a ban or a quarantine; it begins with a probation."""
    return _change(service, key, worker_id, standings.pardon)


def _who(request: Request, caller: Caller) -> dict[str, str]:
    return {"caller": caller.id, "address": address_of(request)}
