"""Random operations in random order: whatever happens, no task is lost, leased twice or counted wrongly."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from dispatcher import invariants
from dispatcher.clock import Clock
from dispatcher.pictures import BLEND, BLEND_SHA, claimed, enrolment, job_spec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import event, func, select

from renderbros_addon.dispatcher import (
    checks,
    failures,
    frames,
    jobs,
    leases,
    recall,
    results,
    scheduler,
    standings,
    tasks,
    unclaimed,
    waiting,
    workers,
)
from renderbros_addon.dispatcher.errors import Conflict
from renderbros_addon.dispatcher.store import Store, Tx
from renderbros_addon.dispatcher.tables import jobs as jobs_table
from renderbros_addon.dispatcher.tables import leases as leases_table
from renderbros_addon.dispatcher.tables import metadata
from renderbros_addon.dispatcher.tables import results as results_table
from renderbros_addon.dispatcher.tables import tasks as tasks_table
from renderbros_addon.dispatcher.trust import Draw
from renderbros_addon.dispatcher.verification import Desk
from renderbros_addon.protocol.jobs import JobSpec
from renderbros_addon.protocol.leases import LeaseRequest
from renderbros_addon.protocol.results import Failure, Output
from renderbros_addon.protocol.states import FailureCode, FailureKind

LEASE_SECONDS = 60.0

SPECS = (
    job_spec(frames=(1, 2, 3)),
    job_spec(frames=(1, 2), tiles=(2, 1)),
    job_spec(frames=(1,), tiles=(2, 2), scene={"format": "OPEN_EXR_MULTILAYER"}),
    job_spec(frames=tuple(range(12)), priority=80),
    job_spec(frames=(7,), scene={"device": "GPU"}),
)

FAILURES = {
    FailureKind.SCENE: FailureCode.NO_CAMERA,
    FailureKind.WORKER: FailureCode.CRASHED,
    FailureKind.TRANSIENT: FailureCode.NETWORK,
}


OPERATIONS = [
    *["lease"] * 8,
    *["submit", "judge"] * 10,
    *["fail", "change_job", "wait", "assemble", "create_another", "conclude"] * 2,
    *["blob_arrives", "change_priority", "renew", "release", "change_worker", "restart"],
]
"""Those that bring work forward more often, or nothing would ever get far."""


class FarmMachine(RuleBasedStateMachine):
    """Jobs, workers and the dispatcher's own doings, in any order; :meth:`open_store` makes an empty database."""

    open_store: Callable[[Clock, ExitStack], Store]

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.stack = ExitStack()
        self.store = type(self).open_store(self.clock, self.stack)
        self.numbers = itertools.count()
        self.workers: list[str] = []
        self.jobs: list[str] = []
        self.accepted: set[str] = set()
        self.recalled = False
        self.desk = Desk(random=Random(7))
        for name, gpu in (("a", False), ("b", False), ("c", True), ("d", True)):
            self.enrol(name, gpu)

    def teardown(self) -> None:
        try:
            self.finish_everything()
        finally:
            self.stack.close()

    def enrol(self, name: str, gpu: bool) -> None:
        worker_id = self.change(lambda tx: workers.enrol(tx, enrolment(name, gpu=gpu))).id
        self.change(lambda tx: workers.seen(tx, worker_id))
        self.workers.append(worker_id)

    def change(self, work: Callable[[Tx], Any]) -> Any:
        self.clock.forward(0.001)  # identifiers are random: only time puts things in the same order in every run
        return self.store.change(work)

    def attempt(self, work: Callable[[Tx], Any]) -> None:
        """A change that the state may not allow."""
        try:
            self.change(work)
        except Conflict:
            return

    def rows(self, query: Any) -> list[Any]:
        with self.store.read() as conn:
            return list(conn.execute(query).all())

    @initialize(specs=st.lists(st.sampled_from(SPECS), min_size=1, max_size=3))
    def begin(self, specs: list[JobSpec]) -> None:
        for spec in specs:
            self.create(spec, {BLEND_SHA: len(BLEND)})

    # One rule that draws what to do: with a rule for each, hypothesis leaves some of them out of most runs.
    @rule(data=st.data(), name=st.sampled_from(OPERATIONS))
    def operate(self, data: st.DataObject, name: str) -> None:
        getattr(self, name)(data)

    # Submitters

    def create_another(self, data: st.DataObject) -> None:
        if len(self.jobs) < 8:
            present = data.draw(st.sampled_from([{}, {BLEND_SHA: len(BLEND)}]))
            self.create(data.draw(st.sampled_from(SPECS)), present)

    def create(self, spec: JobSpec, present: dict[str, int]) -> None:
        self.jobs.append(self.change(lambda tx: jobs.create(tx, spec, present)))

    def blob_arrives(self, _: object = None) -> None:
        self.change(lambda tx: jobs.blob_arrived(tx, BLEND_SHA, len(BLEND)))

    def change_job(self, data: st.DataObject) -> None:
        verb = data.draw(st.sampled_from([jobs.cancel, jobs.pause, jobs.resume, jobs.resume, jobs.retry, jobs.retry]))
        job_id = data.draw(st.sampled_from(self.jobs))
        self.attempt(lambda tx: verb(tx, job_id))

    def change_priority(self, data: st.DataObject) -> None:
        priority = data.draw(st.integers(0, 100))
        job_id = data.draw(st.sampled_from(self.jobs))
        self.change(lambda tx: jobs.set_priority(tx, job_id, priority))

    # Workers

    def lease(self, data: st.DataObject) -> None:
        self.take(data.draw(st.sampled_from(self.workers)), data.draw(st.integers(1, 6)))

    def take(self, worker_id: str, count: int) -> list[Any]:
        request = LeaseRequest(count=count)
        granted = self.change(lambda tx: scheduler.grant(tx, worker_id, request, LEASE_SECONDS))
        assert len(granted) <= count
        assert len({lease.task.job_id for lease in granted}) <= 1
        return list(granted)

    def any_lease(self, data: st.DataObject, *, held: bool) -> Any:
        query = (
            select(leases_table)
            .join(tasks_table, tasks_table.c.id == leases_table.c.task_id)
            .order_by(leases_table.c.created_at, tasks_table.c.rank, tasks_table.c.ordinal)
        )
        found = self.rows(query.where(leases_table.c.status == "held") if held else query)
        return data.draw(st.sampled_from(found)) if found else None

    def renew(self, data: st.DataObject) -> None:
        if lease := self.any_lease(data, held=False):
            kept = self.change(lambda tx: leases.renew(tx, lease.id, lease.worker_id, LEASE_SECONDS))
            assert kept == (lease.status == "held")

    def fail(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from([*FAILURES, *[FailureKind.WORKER, FailureKind.TRANSIENT] * 3]))
        if lease := self.any_lease(data, held=True):
            failure = Failure(kind=kind, code=FAILURES[kind], message="as told to")
            self.change(lambda tx: failures.report(tx, lease.id, lease.worker_id, failure))

    def release(self, data: st.DataObject) -> None:
        if lease := self.any_lease(data, held=False):
            self.change(lambda tx: failures.release(tx, lease.id, lease.worker_id))

    def submit(self, data: st.DataObject) -> None:
        """Also long after the lease was over, and twice."""
        if lease := self.any_lease(data, held=data.draw(st.sampled_from([True, True, False]))):
            self.submit_for(lease.id, lease.worker_id)

    def submit_for(self, lease_id: str, worker_id: str) -> None:
        digest = f"{next(self.numbers):064x}"
        known = self.rows(select(results_table).where(results_table.c.lease_id == lease_id))
        result = claimed(sha256=known[0].sha256 if known else digest, pixel_digest=digest)
        first = self.change(lambda tx: results.receive(tx, lease_id, worker_id, result))
        assert self.change(lambda tx: results.receive(tx, lease_id, worker_id, result)) == first

    def change_worker(self, data: st.DataObject) -> None:
        verb = data.draw(
            st.sampled_from(
                [workers.pause, workers.resume, workers.ban, standings.pardon, standings.pardon, workers.seen]
            )
        )
        worker_id = data.draw(st.sampled_from(self.workers))
        self.attempt(lambda tx: verb(tx, worker_id))

    # The dispatcher by itself

    def judge(self, data: st.DataObject) -> None:
        verdict = data.draw(st.sampled_from([*["good"] * 6, "bad", "gone"]))
        with self.store.read() as conn:
            pending = results.pending(conn)
        if pending:
            opinion = data.draw(st.sampled_from([*["match"] * 4, "mismatch", "mismatch", "inconclusive"]))
            self.judge_one(data.draw(st.sampled_from(pending)), verdict, opinion)

    def judge_one(self, result_id: int, verdict: str, opinion: Any = "match") -> None:
        if verdict != "good":
            self.change(lambda tx: results.reject(tx, result_id, "as told to", blame=verdict == "bad"))
            return
        digest = f"{next(self.numbers):064x}"
        output = claimed(sha256=digest, pixel_digest=digest).output
        with self.store.read() as conn:
            result = results.load(conn, result_id)
            plan = self.desk.plan(conn, result, None)
            whole = tasks.region_of(tasks.load(conn, result.task_id))
        if result.subject_id is None:
            regions = (whole,) * (2 if plan and plan.draw is Draw.PART else 1) if plan else ()
            self.change(lambda tx: self.desk.receive(tx, result_id, output, regions=regions, reason="drawn"))
            return
        with self.store.read() as conn:
            before = [one.id for one in checks.of_subject(conn, result.subject_id) if one.verdict == "mismatch"]
        found = checks.Opinion(opinion, "as told to", exact=True, others=dict.fromkeys(before, opinion))
        self.change(lambda tx: self.desk.take_opinion(tx, result_id, output, {}, found))

    def conclude(self, _: object = None) -> None:
        """What checks have come to, and what was found at fault, as the intake goes about it."""
        with self.store.read() as conn:
            subjects = checks.unfinished(conn)
        for subject_id in subjects:
            self.change(lambda tx, subject_id=subject_id: self.desk.conclude(tx, subject_id))
            with self.store.read() as conn:
                over = results.load(conn, subject_id).status != "checking"
                left = [one.id for one in checks.of_subject(conn, subject_id) if one.kept and over]
            for check_id in left:
                self.change(lambda tx, check_id=check_id: checks.tidied(tx, check_id))
        with self.store.read() as conn:
            due = standings.due_for_recall(conn)
        for worker_id, after in due:
            with self.store.read() as conn:
                found = recall.due(conn, worker_id, after)
            for result_id in found:
                self.change(lambda tx, result_id=result_id: recall.recall(tx, result_id, self.desk))
                self.recalled = True
            self.change(lambda tx, worker_id=worker_id, after=after: standings.recalled(tx, worker_id, after))

    def assemble(self, _: object = None) -> None:
        """All that is ready, as the intake does it."""
        with self.store.read() as conn:
            found = frames.unsettled(conn)
        for row in found:
            if row.state == "done":
                self.change(lambda tx, row=row: frames.settle(tx, row.job_id, row.frame))
            elif row.job_status not in ("completed", "failed", "cancelled"):
                self.assemble_one(row, claimed(sha256=f"{next(self.numbers):064x}").output)

    def assemble_one(self, row: Any, output: Output) -> None:
        self.change(lambda tx: frames.announce_assembled(tx, row.job_id, row.frame, output.sha256))
        self.change(lambda tx: self.store_assembled(tx, row, output))

    @staticmethod
    def store_assembled(tx: Tx, row: Any, output: Any) -> None:
        job = jobs.lock(tx, row.job_id)
        assert frames.assembled(tx, job, jobs.parse_spec(job.spec), row.frame, output)
        jobs.settle(tx, row.job_id)

    def wait(self, data: st.DataObject) -> None:
        self.time_goes_on(data.draw(st.sampled_from([1.0, 30.0, 61.0])))

    def time_goes_on(self, seconds: float) -> None:
        self.clock.forward(seconds)
        with self.store.read() as conn:
            overdue = leases.overdue(conn, self.clock())
            stuck = waiting.stuck_jobs(conn)
        for lease in overdue:
            self.change(lambda tx, lease=lease: failures.expire(tx, lease.id))
        for job_id in stuck:
            self.change(lambda tx, job_id=job_id: waiting.judge_stuck(tx, job_id))
        with self.store.read() as conn:
            unclaimed_tasks = unclaimed.waiting(conn)
            served = standings.served(conn, self.clock())
        for task_id in unclaimed_tasks:
            self.change(lambda tx, task_id=task_id: unclaimed.look_after(tx, task_id))
        for worker_id in served:
            self.change(lambda tx, worker_id=worker_id: standings.release(tx, worker_id))

    def restart(self, _: object = None) -> None:
        """Nothing but the database is left, and what was committed is in it."""
        self.store.engine.dispose()
        self.change(lambda tx: leases.grace(tx, LEASE_SECONDS))

    # What must hold

    @invariant()
    def all_is_well(self) -> None:
        with self.store.read() as conn:
            invariants.check(conn)
            accepted = set(conn.execute(select(tasks_table.c.id).where(tasks_table.c.status == "accepted")).scalars())
        assert self.accepted <= accepted or self.recalled, "what is accepted stays so, but for what a cheat sent"
        self.accepted, self.recalled = accepted, False

    def finish_everything(self) -> None:
        """Healthy workers come, everything is opened again, and every job gets done."""
        self.blob_arrives()
        for job_id in self.jobs:
            self.attempt(lambda tx, job_id=job_id: jobs.resume(tx, job_id))
            self.attempt(lambda tx, job_id=job_id: jobs.retry(tx, job_id))
        fresh = len(self.workers)
        for name in ("fresh", "fresher", "freshest"):
            self.enrol(name, gpu=True)
        for _ in range(200):
            self.time_goes_on(61.0)
            for worker_id in self.workers[fresh:]:
                for lease in self.take(worker_id, 6):
                    self.submit_for(lease.id, worker_id)
            with self.store.read() as conn:
                pending = results.pending(conn)
            for result_id in pending:
                self.judge_one(result_id, "good")
            self.conclude()
            self.assemble()
            self.all_is_well()
            left = [
                self.rows(select(jobs_table.c.status).where(jobs_table.c.id == job_id))[0][0] for job_id in self.jobs
            ]
            if all(status == "completed" for status in left):
                return
        counts = self.rows(select(tasks_table.c.status, func.count()).group_by(tasks_table.c.status))
        raise AssertionError(f"jobs never end: {left}, {counts}")


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


def test_on_sqlite() -> None:
    def open_store(clock: Clock, stack: ExitStack) -> Store:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        store = Store(f"sqlite:///{(Path(folder) / 'test.sqlite3').as_posix()}", clock)
        stack.callback(store.close)
        # Thousands of commits, and no power cut among what is tested.
        event.listen(store.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
        store.migrate()
        return store

    machine = type("OnSqlite", (FarmMachine,), {"open_store": staticmethod(open_store)})
    run_state_machine_as_test(machine, settings=_settings(8, 70))


def test_on_postgresql(postgresql_database: str) -> None:
    migrated = Store(postgresql_database)
    migrated.migrate()
    migrated.close()

    def open_store(clock: Clock, stack: ExitStack) -> Store:
        store = Store(postgresql_database, clock)
        stack.callback(store.close)
        with store.engine.begin() as conn:
            for table in reversed(metadata.sorted_tables):
                conn.execute(table.delete())
        return store

    machine = type("OnPostgresql", (FarmMachine,), {"open_store": staticmethod(open_store)})
    run_state_machine_as_test(machine, settings=_settings(3, 60))


def test_no_state_leads_where_its_table_does_not_allow() -> None:
    for module in (jobs, workers, frames, results, tasks):
        for old, news in module.ALLOWED.items():
            assert old not in news
            assert isinstance(module.ALLOWED, dict)
            assert news <= set(type(old))


@pytest.mark.parametrize(("queued", "rivals", "held", "asked", "expected"), [
    (10, 1, 0, 4, 4),
    (10, 2, 0, 32, 3),
    (1, 2, 0, 4, 1),
    (1, 2, 1, 4, 0),
    (1, 1, 1, 4, 1),
    (3, 2, 1, 1, 1),
    (100, 4, 12, 32, 13),
])  # fmt: skip
def test_nobody_hoards(queued: int, rivals: int, held: int, asked: int, expected: int) -> None:
    assert scheduler.share(queued, rivals, held, asked) == expected
