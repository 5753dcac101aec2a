"""``/workers``: enrolment, and the operator's side."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Response

from ..protocol.base import Identifier
from ..protocol.checks import CheckList
from ..protocol.workers import Enrolled, Enrolment, WorkerList, WorkerView
from . import checks, failures, leases, standings, views, workers
from .dependencies import IdempotencyKey, Service, answered, respond
from .errors import NotFound
from .idempotency import Key, once
from .problems import DOCUMENTED
from .service import Dispatcher
from .store import Tx

router = APIRouter(prefix="/workers", tags=["workers"], responses=DOCUMENTED)


@router.post("", status_code=201)
def enrol(enrolment: Enrolment, service: Service) -> Enrolled:
    """Become a worker. Name and secret again give the same worker and the same token, so no key is needed.

    Whoever enrols has just begun: what the worker held before is handed back, for nobody is at it any more.
    """

    def change(tx: Tx) -> Enrolled:
        enrolled = workers.enrol(tx, enrolment)
        for lease in leases.held_of_worker(tx.conn, enrolled.id):
            failures.release(tx, lease.id, enrolled.id)
        return enrolled

    return service.store.change(change)


@router.get("")
def list_workers(service: Service) -> WorkerList:
    with service.store.read() as conn:
        return WorkerList(workers=views.worker_views(conn))


@router.get("/{worker_id}")
def get_worker(worker_id: Identifier, service: Service) -> WorkerView:
    with service.store.read() as conn:
        found = views.worker_views(conn, worker_id)
    if not found:
        raise NotFound(f"there is no worker {worker_id}", word="unknown_worker")
    return found[0]


@router.get("/{worker_id}/checks")
def list_checks(worker_id: Identifier, service: Service) -> CheckList:
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
def pause_worker(worker_id: Identifier, service: Service, key: IdempotencyKey) -> Response:
    """Give it no more tasks; it finishes what it has."""
    return _change(service, key, worker_id, workers.pause)


@router.post("/{worker_id}/resume", response_model=WorkerView)
def resume_worker(worker_id: Identifier, service: Service, key: IdempotencyKey) -> Response:
    return _change(service, key, worker_id, workers.resume)


@router.post("/{worker_id}/ban", response_model=WorkerView)
def ban_worker(worker_id: Identifier, service: Service, key: IdempotencyKey) -> Response:
    """Take all tasks from it and deal with it no more."""
    return _change(service, key, worker_id, workers.ban)


@router.post("/{worker_id}/pardon", response_model=WorkerView)
def pardon_worker(worker_id: Identifier, service: Service, key: IdempotencyKey) -> Response:
    """End a ban or a quarantine; it begins with a probation."""
    return _change(service, key, worker_id, standings.pardon)
