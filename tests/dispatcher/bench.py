"""A farm at the level of the store: makes jobs and workers, leases, submits and judges, with time in hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeVar

from dispatcher.clock import Clock
from dispatcher.pictures import BLEND, BLEND_SHA, claimed, enrolment, job_spec

from renderbros_addon.dispatcher import failures, jobs, leases, results, scheduler, tasks, workers
from renderbros_addon.dispatcher.store import Store, Tx
from renderbros_addon.dispatcher.tables import events as events_table
from renderbros_addon.dispatcher.tables import results as results_table
from renderbros_addon.protocol.leases import Acceptance, Lease, LeaseRequest
from renderbros_addon.protocol.results import Failure
from renderbros_addon.protocol.states import FailureCode, FailureKind

T = TypeVar("T")


class Bench:
    """Every method is one change, as a request would make it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self._numbers = itertools.count(1)

    def change(self, work: Callable[[Tx], T]) -> T:
        self.clock.forward(0.001)
        return self.store.change(work)

    def worker(self, name: str = "worker", **able: Any) -> str:
        worker_id = self.change(lambda tx: workers.enrol(tx, enrolment(name, **able))).id
        self.change(lambda tx: workers.seen(tx, worker_id))
        return worker_id

    def job(self, frames: tuple[int, ...] = (1,), tiles: tuple[int, int] | None = None, **changes: Any) -> str:
        spec = job_spec(frames, tiles, **changes)
        return self.change(lambda tx: jobs.create(tx, spec, {BLEND_SHA: len(BLEND)}))

    def lease(self, worker_id: str, count: int = 1, open_job: str | None = None) -> list[Lease]:
        request = LeaseRequest(count=count, open_job=open_job)
        return self.change(lambda tx: scheduler.grant(tx, worker_id, request, 60.0))

    def fail(
        self, lease: Lease, kind: FailureKind = FailureKind.WORKER, code: FailureCode = FailureCode.CRASHED
    ) -> None:
        worker_id = self.holder(lease)
        failure = Failure(kind=kind, code=code, message=f"{code} it was")
        self.change(lambda tx: failures.report(tx, lease.id, worker_id, failure))

    def holder(self, lease: Lease) -> str:
        with self.store.read() as conn:
            row = leases.load(conn, lease.id)
        assert row is not None
        return str(row.worker_id)

    def submit(self, lease: Lease, **facts: Any) -> tuple[Acceptance, int]:
        """Hand in a result; returns the answer and the result's id."""
        worker_id = self.holder(lease)
        digest = f"{next(self._numbers):064x}"
        result = claimed(**({"sha256": digest, "pixel_digest": digest} | facts))
        answer = self.change(lambda tx: results.receive(tx, lease.id, worker_id, result))
        with self.store.read() as conn:
            row = conn.execute(results_table.select().where(results_table.c.lease_id == lease.id)).one()
        return answer, int(row.id)

    def accept(self, result_id: int, **facts: Any) -> None:
        with self.store.read() as conn:
            row = results.load(conn, result_id)
        output = claimed(**({"sha256": row.sha256, "pixel_digest": row.pixel_digest} | facts)).output
        self.change(lambda tx: results.accept(tx, result_id, output))

    def reject(self, result_id: int) -> None:
        self.change(lambda tx: results.reject(tx, result_id, "not what was asked for"))

    def deliver(self, lease: Lease, **facts: Any) -> None:
        """Submit and accept."""
        self.accept(self.submit(lease, **facts)[1])

    def expire(self, seconds: float = 61.0) -> int:
        """Let time go on and sweep; returns how many leases expired."""
        self.clock.forward(seconds)
        with self.store.read() as conn:
            overdue = leases.overdue(conn, self.clock())
        for lease in overdue:
            self.change(lambda tx, lease=lease: failures.expire(tx, lease.id))
        return len(overdue)

    def job_row(self, job_id: str) -> Any:
        with self.store.read() as conn:
            return jobs.load(conn, job_id)

    def task_status(self, task_id: str) -> str:
        with self.store.read() as conn:
            return str(tasks.load(conn, task_id).status)

    def events(self, name: str) -> list[Any]:
        with self.store.read() as conn:
            return list(
                conn.execute(events_table.select().where(events_table.c.event == name).order_by(events_table.c.id))
            )
