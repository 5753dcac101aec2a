"""What must be so at the end: states that add up, every change a legal one, nothing lost, doubled or left behind."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import requests
from access import OPERATOR
from dispatcher import invariants
from machines import Machines
from sqlalchemy import Connection, select

from renderbros_addon.dispatcher import tasks
from renderbros_addon.dispatcher.store import Store
from renderbros_addon.dispatcher.tables import events, frames, job_blobs, leases, results
from renderbros_addon.dispatcher.tables import tasks as tasks_table
from renderbros_addon.protocol.states import TaskStatus

_STATES = {
    "task.queued": TaskStatus.QUEUED,
    "task.leased": TaskStatus.LEASED,
    "task.submitted": TaskStatus.SUBMITTED,
    "task.accepted": TaskStatus.ACCEPTED,
    "task.failed": TaskStatus.FAILED,
    "task.cancelled": TaskStatus.CANCELLED,
}


def pixel_digests(url: str, job: str) -> dict[int, str]:
    """Of each finished frame, as the dispatcher found it."""
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {OPERATOR}"
    listed = session.get(f"{url}/api/v1/jobs/{job}/frames", timeout=30).json()["frames"]
    return {one["frame"]: one["files"][0]["output"]["pixel_digest"] for one in listed if one["files"]}


def problems_of(database: Path, job_ids: list[str]) -> list[str]:
    """What of the ledger does not add up, a sentence each."""
    store = Store(f"sqlite:///{database.as_posix()}")
    found: list[str] = []
    try:
        with store.read() as conn:
            try:
                invariants.check(conn)
            except AssertionError as error:
                found.append(f"the states do not add up: {str(error) or 'an invariant does not hold'}")
            found += _chains(conn)
            held = conn.execute(select(leases.c.id).where(leases.c.status == "held")).all()
            if held:
                found.append(f"{len(held)} leases are held though nothing is to be done")
            for job in job_ids:
                found += _doubles(conn, job)
    finally:
        store.close()
    return found


def _chains(conn: Connection) -> list[str]:
    state: dict[str, TaskStatus] = {}
    found = []
    for row in conn.execute(select(events).where(events.c.task_id.is_not(None)).order_by(events.c.id)):
        new = _STATES.get(row.event)
        if new is None or json.loads(row.detail).get("because") in ("whoever comes first", "nobody of its class"):
            continue
        old = state.get(row.task_id, TaskStatus.QUEUED)
        fresh = row.task_id not in state and new is TaskStatus.QUEUED
        if not fresh and new not in tasks.ALLOWED[old]:
            found.append(f"task {row.task_id} went from {old} to {new} (event {row.id})")
        state[row.task_id] = new
    for row in conn.execute(select(tasks_table.c.id, tasks_table.c.status)):
        if row.id in state and state[row.id] != row.status:
            found.append(f"task {row.id} is {row.status}, its last event says {state[row.id]}")
    return found


def _doubles(conn: Connection, job: str) -> list[str]:
    rows = conn.execute(
        select(results.c.task_id).where(results.c.job_id == job, results.c.status == "accepted")
    ).scalars()
    return [f"task {task} has {count} accepted results" for task, count in Counter(rows).items() if count > 1]


def left_files(machines: Machines) -> list[str]:
    """Files of the dispatcher's and of the workers that nobody has a use for any more."""
    data = machines.folder / "dispatcher"
    found = [path for path in (*(data / "spool").rglob("*"), *(data / "scratch").rglob("*")) if path.is_file()]
    store = Store(f"sqlite:///{machines.database.as_posix()}")
    with store.read() as conn:
        used = set(conn.execute(select(job_blobs.c.sha256)).scalars())
        used |= set(conn.execute(select(frames.c.output_sha256)).scalars())
    store.close()
    found += [path for path in (data / "blobs").rglob("*") if path.is_file() and path.name not in used]
    for name in machines.workers:
        here = machines.folder / name
        found += [path for path in (here / "runs").rglob("*") if path.name != "runs.lock" and path.is_file()]
        found += list((here / "cache" / "incoming").glob("*"))
    return [str(path.relative_to(machines.folder)) for path in found]


def summary(rows: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(Counter(rows).items()))
