"""A large farm in a SQLite file, and each statement that its dispatcher sends on the way of one task through it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dispatcher.pictures import BLEND, BLEND_SHA, capabilities, claimed, enrolment, job_spec
from dispatcher.running import config
from sqlalchemy import event, insert

from renderbros_addon.dispatcher import api_leases, leases, results, scheduler, tables, tasks, views, workers
from renderbros_addon.dispatcher.assessor import Assessor
from renderbros_addon.dispatcher.dependencies import known_worker
from renderbros_addon.dispatcher.idempotency import Key
from renderbros_addon.dispatcher.scratch import Scratch
from renderbros_addon.dispatcher.service import Dispatcher
from renderbros_addon.dispatcher.store import Store
from renderbros_addon.dispatcher.verification import Desk
from renderbros_addon.protocol.leases import LeaseRequest

JOBS, FRAMES, WORKERS = 50, 4000, 100
DONE = 1500
"""Frames of each job that are accepted already."""


@dataclass
class Statement:
    """One statement as it was sent: its text, how SQLite finds its rows, and how much work it was."""

    text: str
    plan: list[str] = field(default_factory=list)
    steps: int = 0
    """Instructions of SQLite's virtual machine, in hundreds."""


class _Cursor(sqlite3.Cursor):
    def execute(self, text: str, values: Any = ()) -> sqlite3.Cursor:  # type: ignore[override]
        connection = self.connection
        assert isinstance(connection, _Connection)
        seen = connection.seen
        if seen is None or text.split(" ", 1)[0] in ("BEGIN", "PRAGMA", "SAVEPOINT", "RELEASE", "ROLLBACK", "EXPLAIN"):
            connection.set_progress_handler(None, 100)
            return super().execute(text, values)
        # Unlike what a trace would show, with its parameters unknown: as SQLite had to plan it.
        rows = sqlite3.Connection.cursor(connection, sqlite3.Cursor).execute(f"EXPLAIN QUERY PLAN {text}", values)
        statement = Statement(text, [str(row[3]) for row in rows])
        seen.append(statement)

        def step() -> int:
            statement.steps += 1
            return 0

        # Until the next statement: rows are found as they are fetched.
        connection.set_progress_handler(step, 100)
        return super().execute(text, values)


class _Connection(sqlite3.Connection):
    seen: list[Statement] | None = None

    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, text: str, values: Any = ()) -> sqlite3.Cursor:  # type: ignore[override]
        return self.cursor().execute(text, values)  # type: ignore[no-any-return]


@contextmanager
def recording() -> Iterator[list[Statement]]:
    """All statements on connections of :func:`watch`, sent within the block."""
    seen: list[Statement] = []
    _Connection.seen = seen
    try:
        yield seen
    finally:
        _Connection.seen = None


def watch(store: Store) -> None:
    """Have ``recording`` see what ``store`` sends. Before its first connection."""

    @event.listens_for(store.engine, "do_connect")
    def connect(_: Any, __: Any, ___: Any, arguments: dict[str, Any]) -> None:
        arguments["factory"] = _Connection


def fill(store: Store) -> list[str]:
    """Make the farm: jobs of which a part is rendered, workers that are online. Returns the jobs' ids."""
    spec = job_spec(tuple(range(FRAMES)))
    text, able = spec.model_dump_json(), capabilities().model_dump_json()
    output = claimed().output.model_dump_json()
    names = [f"job{i:02d}" for i in range(JOBS)]
    now = store.clock()

    def rows(table: Any, many: Iterator[dict[str, Any]]) -> None:
        found = list(many)
        for start in range(0, len(found), 20_000):
            tx.conn.execute(insert(table), found[start : start + 20_000])

    def job_tasks(job: str) -> Iterator[dict[str, Any]]:
        for i in range(FRAMES):
            status = "accepted" if i < DONE else "queued"
            yield {
                "id": f"{job}-{i}", "job_id": job, "kind": "render", "status": status, "rank": 1, "ordinal": i,
                "frame": i, "x0": 0, "y0": 0, "x1": 32, "y1": 16, "linear": False,
            }  # fmt: skip

    def job_results(number: int, job: str) -> Iterator[dict[str, Any]]:
        for i in range(DONE):
            key = f"{number * FRAMES + i:064x}"
            yield {
                "lease_id": f"{job}-l{i}", "task_id": f"{job}-{i}", "job_id": job, "worker_id": f"w{i % WORKERS:03d}",
                "frame": i, "render_class": "c", "status": "accepted", "wanted": True, "late": False, "sha256": key,
                "pixel_digest": key, "output": output, "stats": "{}", "seconds": 1.0, "received_at": now,
            }  # fmt: skip

    def change(tx_: Any) -> None:
        nonlocal tx
        tx = tx_
        for i in range(WORKERS):
            workers.enrol(tx, enrolment(f"w{i}", owner="one owner of them all"))
        tx.conn.execute(tables.workers.update().values(status="online", capabilities=able))
        for number, job in enumerate(names):
            head = {
                "id": job, "name": job, "status": "active", "priority": 50, "spec": text, "series": "4.5",
                "engine": "CYCLES", "device": "CPU", "created_at": now,
            }  # fmt: skip
            tx.conn.execute(insert(tables.jobs).values(**head))
            blob = {"job_id": job, "sha256": BLEND_SHA, "size": len(BLEND), "present": True}
            tx.conn.execute(insert(tables.job_blobs).values(**blob))
            rows(tables.tasks, job_tasks(job))
            rows(tables.results, job_results(number, job))
            frames = (
                {
                    "job_id": job, "frame": i, "ordinal": i, "state": "settled" if i < DONE else "waiting",
                    "attempts": 0, "output": output if i < DONE else None,
                }
                for i in range(FRAMES)
            )  # fmt: skip
            rows(tables.frames, frames)
            entries = (
                {"at": now, "event": "task.accepted", "job_id": job, "task_id": f"{job}-{i}", "detail": "{}"}
                for i in range(DONE)
            )
            rows(tables.events, entries)

    tx: Any = None
    store.change(change)
    return names


def record(folder: Path) -> dict[str, list[Statement]]:
    """The statements of each step on the way of a task, in a large farm."""
    service = Dispatcher(config(folder / "data"))
    watch(service.store)
    try:
        service.store.migrate()
        jobs = fill(service.store)
        return _steps(service, jobs[3], folder)
    finally:
        service.close()


def _steps(service: Dispatcher, job: str, folder: Path) -> dict[str, list[Statement]]:
    store = service.store
    enrolled = store.change(lambda tx: workers.enrol(tx, enrolment("w0", owner="one owner of them all")))
    with store.read() as conn:
        worker = workers.load(conn, enrolled.id)
    found: dict[str, list[Statement]] = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        with recording() as seen:
            given = work()
        found[name] = seen
        return given

    def lease(key: str) -> Any:
        wanted = LeaseRequest(count=1, open_job=job)
        answer = api_leases._grant(service, worker, wanted, Key.of("POST", "/leases", "me", key, b""))
        assert answer is not None
        return json.loads(answer.body)["leases"][0]

    known_worker(service, enrolled.token)
    lease("first")  # opens a chunk
    step("authorize", lambda: known_worker(service, enrolled.token))
    given = step("lease", lambda: lease("second"))
    step("renew", lambda: store.change(lambda tx: leases.renew(tx, given["id"], enrolled.id, 60.0)))
    digest = "a" * 64
    result = claimed(sha256=digest, pixel_digest=digest)
    step("blob arrived", lambda: service.blob_arrived(BLEND_SHA))
    step("result", lambda: store.change(lambda tx: results.receive(tx, given["id"], enrolled.id, result)))
    with store.read() as conn:
        [result_id] = results.pending(conn)
        row = results.load(conn, result_id)
        task = tasks.load(conn, row.task_id)
    assessor = Assessor(store, service.blobs, Desk())
    checker: Any = None  # for images that are to be compared, of which there are none
    step("accept", lambda: assessor.take_in(checker, row, task, folder, result.output, {}, Scratch(folder)))

    def look() -> Any:
        with store.read() as conn:
            return scheduler.has_work(conn, workers.load(conn, enrolled.id), store.clock())

    assert step("look for work", look)

    def anything() -> Any:
        with store.read() as conn:
            return scheduler.any_queued(conn, store.clock())

    step("anything queued", anything)

    def page() -> Any:
        with store.read() as conn:
            return views.job_view(conn, job, service.board, store.clock())

    step("a job's page", page)

    def listing() -> Any:
        with store.read() as conn:
            return views.job_views(conn, service.board, store.clock())

    step("all jobs' page", listing)

    def log() -> Any:
        with store.read() as conn:
            return views.job_log(conn, job, 0)

    step("a job's log", log)
    step("sweep", service.sweeper.expire_leases)
    step("recover", service.intake.recover)
    return found
