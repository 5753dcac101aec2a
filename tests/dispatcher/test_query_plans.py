"""What is sent for each task stays few, and small however large the farm has grown: seen on SQLite."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dispatcher.hot_path import Statement, record

MOST = {
    "authorize": 1,
    "lease": 22,
    "renew": 1,
    "blob arrived": 1,
    "result": 11,
    "accept": 36,
    "look for work": 6,
    "anything queued": 1,
    "a job's page": 7,
    "all jobs' page": 7 * 50,
    "a job's log": 2,
    "sweep": 1,
    "recover": 6,
}
"""Statements of each step."""

SMALL = {"trust", "workers", "stretches", "anon_1"}
"""One row a worker, or rows that were picked by an index before."""

FEW_SORTED = ("FROM leases", "FROM checks", "FROM frames", "FROM workers", "FROM jobs ORDER", "stretches")
"""Sorted or grouped: leases that a job holds, checks of a job, frames that wait for a step, workers and stretches,
and jobs of one moment."""

STEPS = 150
"""Most instructions of SQLite's machine for a statement, in hundreds: a look at each of 50 jobs or 100 workers takes
some 20, a full page of the log 140, one at each of 4000 tasks 500."""

BY_JOB = ("SELECT tasks.status, count(*)", "SELECT count(*) AS count_1 FROM frames", "SELECT min(coalesce(")
"""What is told of one job's tasks and frames on its page, which nobody needs for each task."""

NEWEST = "SCAN jobs USING INDEX jobs_by_age"
"""From its end, as far as the limit goes."""


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Statement]]:
    return record(tmp_path_factory.mktemp("farm"))


def test_no_statement_reads_a_whole_table(steps: dict[str, list[Statement]]) -> None:
    for name, statements in steps.items():
        for statement in statements:
            text = " ".join(statement.text.split())
            for line in statement.plan:
                scanned = re.match(r"SCAN (\S+)", line)
                few = scanned and (scanned[1] in SMALL or (line == NEWEST and "LIMIT" in statement.text))
                assert not scanned or few, f"{name}: {line}: {statement.text}"
                sorts = "TEMP B-TREE" in line and not any(words in text for words in FEW_SORTED)
                assert not sorts, f"{name}: {line}: {statement.text}"


def test_no_statement_works_its_way_through_a_job(steps: dict[str, list[Statement]]) -> None:
    for name, statements in steps.items():
        for statement in statements:
            if not " ".join(statement.text.split()).startswith(BY_JOB):
                assert statement.steps <= STEPS, f"{name}: {statement.steps}: {statement.text}"


def test_statements_of_each_step(steps: dict[str, list[Statement]]) -> None:
    found = {name: len(statements) for name, statements in steps.items()}
    assert found.keys() == MOST.keys()
    assert not {name: number for name, number in found.items() if number > MOST[name]}


def test_a_plan_without_an_index_would_be_seen(steps: dict[str, list[Statement]], tmp_path: Path) -> None:
    """The recording sees what it is to see: a statement that no index serves."""
    from dispatcher.hot_path import recording, watch
    from sqlalchemy import select

    from renderbros_addon.dispatcher.store import Store
    from renderbros_addon.dispatcher.tables import results

    store = Store(f"sqlite:///{(tmp_path / 'bare.sqlite3').as_posix()}")
    watch(store)
    store.migrate()
    with store.read() as conn, recording() as seen:
        conn.execute(select(results.c.id).where(results.c.problem == "none"))
    store.close()
    assert seen[0].plan == ["SCAN results"]
