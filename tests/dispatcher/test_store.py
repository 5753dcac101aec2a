"""The database itself: schema, transactions, events, on each kind."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from dispatcher.clock import Clock
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError

from renderbros_addon.dispatcher.errors import Conflict, LostRace, Unprocessable
from renderbros_addon.dispatcher.store import ATTEMPTS, Store, Tx
from renderbros_addon.dispatcher.tables import events, idempotency, leases, metadata
from renderbros_addon.protocol.jobs import LogEntry


def test_the_migrations_make_the_tables(store: Store) -> None:
    with store.engine.connect() as conn:
        # Comparing types would trip over VARCHAR lengths that SQLite does not keep.
        context = MigrationContext.configure(conn, opts={"compare_type": not store.sqlite})
        assert compare_metadata(context, metadata) == []


def test_migrating_again_and_at_once_changes_nothing(store: Store, database_url: str) -> None:
    stores = [Store(database_url) for _ in range(4)]
    threads = [threading.Thread(target=one.migrate) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as conn:
        assert conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "0008"
    for one in stores:
        one.close()


def test_events_are_told_after_the_commit_and_only_then(store: Store) -> None:
    told: list[LogEntry] = []
    seen: list[int] = []

    def listen(entries: Sequence[LogEntry]) -> None:
        with store.read() as conn:
            seen.append(conn.execute(select(func.count()).select_from(events)).scalar_one())
        told.extend(entries)

    store.listen(listen)
    store.change(lambda tx: [tx.emit("one", job_id="j", number=1), tx.emit("two", worker_id="w")])

    def broken(tx: Tx) -> None:
        tx.emit("never")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.change(broken)
    assert [entry.event for entry in told] == ["one", "two"]
    assert told[0].detail == {"number": 1}
    assert told[0].at == store.clock()
    assert told[0].id < told[1].id
    assert seen == [2]


def test_ids_of_events_rise_in_the_order_of_commits(store: Store) -> None:
    order: list[int] = []
    lock = threading.Lock()

    def listen(entries: Sequence[LogEntry]) -> None:
        with store.read() as conn, lock:
            ids = list(conn.execute(select(events.c.id).order_by(events.c.id)).scalars())
            # Whoever has read up to an id never finds a smaller one later.
            assert ids[: len(order)] == order
            order[:] = ids

    problems: list[BaseException] = []

    def emit() -> None:
        try:
            for _ in range(10):
                store.change(lambda tx: tx.emit("x"))
        except BaseException as error:
            problems.append(error)

    store.listen(listen)
    threads = [threading.Thread(target=emit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len(order) == 60


def test_a_lost_race_is_run_again_and_given_up_in_the_end(store: Store) -> None:
    calls: list[int] = []

    def loses_twice(tx: Tx) -> str:
        calls.append(1)
        tx.emit("tried")
        if len(calls) < 3:
            raise LostRace
        return "done"

    assert store.change(loses_twice) == "done"
    with store.read() as conn:
        assert conn.execute(select(func.count()).select_from(events)).scalar_one() == 1

    def always(tx: Tx) -> None:
        calls.append(1)
        raise LostRace

    calls.clear()
    with pytest.raises(Conflict):
        store.change(always)
    assert len(calls) == ATTEMPTS


def test_the_database_refuses_two_live_leases_on_a_task(store: Store, clock: Clock) -> None:
    def row(lease_id: str, status: str) -> dict[str, object]:
        shared = {"task_id": "t", "job_id": "j", "worker_id": "w", "created_at": clock(), "expires_at": clock()}
        return {"id": lease_id, "status": status} | shared

    with store.engine.begin() as conn:
        conn.execute(insert(leases), [row("a", "expired"), row("b", "held")])
    with pytest.raises(IntegrityError), store.engine.begin() as conn:
        conn.execute(insert(leases), [row("c", "held")])


def test_sqlite_writers_of_several_processes_wait_for_each_other(tmp_path: Path) -> None:
    url = f"sqlite:///{(tmp_path / 'shared.sqlite3').as_posix()}"
    first, second = Store(url), Store(url)
    first.migrate()
    problems: list[BaseException] = []

    def count_and_emit(tx: Tx) -> None:
        # Reads, then writes: fails at once in a transaction that did not begin as a writer's.
        tx.conn.execute(select(func.count()).select_from(events)).scalar_one()
        tx.emit("x")

    def write(store: Store) -> None:
        try:
            for _ in range(30):
                store.change(count_and_emit)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=write, args=(store,)) for store in (first, second) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    with first.read() as conn:
        assert conn.execute(select(func.count()).select_from(events)).scalar_one() == 120
        assert conn.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
    first.close()
    second.close()


def test_changes_that_share_a_commit_are_each_whole_or_not_at_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is under way while others queue up behind it; of those every third fails, and every fourth loses a race."""
    monkeypatch.setattr("renderbros_addon.dispatcher.store.MOST_TOGETHER", 5)
    told: list[str] = []
    store.listen(lambda entries: told.extend(entry.event for entry in entries))
    began, go = threading.Event(), threading.Event()
    tries: dict[int, int] = {}
    errors: list[int] = []

    def hold(tx: Tx) -> None:
        began.set()
        go.wait(10)

    def change(number: int) -> None:
        def work(tx: Tx) -> None:
            tx.emit(f"change {number}")
            row = {"scope": f"w{number}", "request": "", "status": 200, "body": "", "at": tx.now}
            tx.conn.execute(insert(idempotency).values(**row))
            tries[number] = tries.get(number, 0) + 1
            if number % 3 == 0:
                raise Unprocessable("not this one")
            if number % 4 == 0 and tries[number] == 1:
                raise LostRace("once")

        try:
            store.change(work)
        except Unprocessable:
            errors.append(number)

    holder = threading.Thread(target=store.change, args=(hold,))
    holder.start()
    assert began.wait(10)
    crowd = [threading.Thread(target=change, args=(number,)) for number in range(12)]
    for thread in crowd:
        thread.start()
    go.set()
    for thread in (holder, *crowd):
        thread.join()
    made = [number for number in range(12) if number % 3]
    assert sorted(errors) == [0, 3, 6, 9]
    with store.read() as conn:
        assert sorted(conn.execute(select(idempotency.c.scope)).scalars()) == sorted(f"w{number}" for number in made)
        names = list(conn.execute(select(events.c.event).order_by(events.c.id)).scalars())
    assert sorted(names) == sorted(f"change {number}" for number in made)
    assert sorted(told) == sorted(names)


def test_several_changes_are_each_whole_or_not_at_all(store: Store) -> None:
    told: list[str] = []
    store.listen(lambda entries: told.extend(entry.event for entry in entries))

    def change(tx: Tx, number: int) -> int:
        tx.emit(f"change {number}")
        if number == 1:
            raise KeyError(number)
        if number == 2:
            raise LostRace
        return number

    found = store.change_all([partial(change, number=number) for number in range(4)])
    assert (found[0], found[3]) == (0, 3)
    assert [type(found[1]), type(found[2])] == [KeyError, Conflict]
    with store.read() as conn:
        kept = list(conn.execute(select(events.c.event).order_by(events.c.id)).scalars())
    assert kept == told == ["change 0", "change 3"]
