"""Of many who wait for work, only as many are woken as it takes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

from dispatcher.pictures import job_spec
from dispatcher.running import OPERATOR, Worker, running, submit

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher.hub import Hub
from renderbros_addon.protocol.jobs import LogEntry

NUMBER = 50


def entry(event: str, **detail: object) -> LogEntry:
    return LogEntry(id=1, at=datetime.now(UTC), event=event, job_id="j", task_id=None, worker_id=None, detail=detail)


async def crowd(hub: Hub, pile: list[int], fits: range) -> tuple[list[asyncio.Task[None]], list[int]]:
    """Waiters that take one from ``pile`` if their number ``fits``; returns them, and where their looks are noted."""
    looks: list[int] = []

    async def wait(number: int) -> None:
        with hub.waiting(f"w{number}") as waiter:
            while True:
                await waiter.event.wait()
                began = hub.begin_look(waiter)
                looks.append(number)
                await asyncio.sleep(0)
                left = bool(pile)
                if pile and number in fits:
                    pile.pop()
                hub.end_look(waiter, began, left=left)

    tasks = [asyncio.create_task(wait(number)) for number in range(NUMBER)]
    await asyncio.sleep(0.01)
    return tasks, looks


def looks_after(new: int, fits: range = range(NUMBER)) -> tuple[int, int]:
    """How many waiters look once ``new`` tasks are there, one at a time; and how many tasks are left in the end."""

    async def run() -> tuple[int, int]:
        hub = Hub()
        hub.open()
        pile: list[int] = []
        tasks, looks = await crowd(hub, pile, fits)
        for _ in range(new):
            pile.append(1)
            hub.publish([entry("task.queued")])
        await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(looks), len(pile)

    return asyncio.run(run())


def test_one_task_wakes_few() -> None:
    looks, left = looks_after(1)
    assert left == 0
    assert looks <= 2


def test_as_many_tasks_as_waiters_wake_all() -> None:
    assert looks_after(NUMBER)[1] == 0


def test_a_task_for_one_of_them_finds_it() -> None:
    assert looks_after(1, range(NUMBER - 1, NUMBER))[1] == 0
    assert looks_after(3, range(40, 43))[1] == 0


def test_one_that_is_woken_and_goes_away_wakes_another() -> None:
    async def run() -> None:
        hub = Hub()
        hub.open()
        with hub.waiting("stays") as stays:
            # Whoever came first is woken first; so the one that stays waits behind the other one.
            with hub.waiting("goes") as goes:
                hub.begin_look(stays)
                hub.publish([entry("task.queued")])
                await asyncio.sleep(0)
                assert stays.event.is_set() != goes.event.is_set(), "one task wakes one of them"
                if stays.event.is_set():
                    hub.end_look(stays, hub.begin_look(stays), left=True)
                assert goes.owes, "it is its turn now"
                stays.event.clear()
                stays.due = True
            assert stays.event.is_set()

    asyncio.run(run())


def test_a_task_that_may_be_taken_later_wakes_somebody_then() -> None:
    async def run() -> list[bool]:
        hub = Hub()
        hub.open()
        with hub.waiting("a") as waiter:
            hub._publish([entry("task.queued", pause=0.2)])
            seen = [waiter.event.is_set()]
            await asyncio.sleep(0.4)
            return [*seen, waiter.event.is_set()]

    assert asyncio.run(run()) == [False, True]


def test_work_that_another_dispatcher_makes_wakes_at_once(tmp_path: Path, postgresql_database: str) -> None:
    """Two on one PostgreSQL database: neither looks by itself more often than every ten seconds."""
    storage = (tmp_path / "blobs").as_uri()
    with (
        running(tmp_path / "one", database=postgresql_database, storage=storage) as here,
        running(tmp_path / "other", database=postgresql_database, storage=storage) as there,
    ):
        worker = Worker(here, tmp_path)
        assert not worker.lease()
        got: list[float] = []
        thread = Thread(target=lambda: got.extend(monotonic() for _ in worker.lease(wait=9)))
        thread.start()
        sleep(0.5)
        began = monotonic()
        with DispatcherClient(there, OPERATOR) as client:
            submit(client, job_spec(), tmp_path)
        thread.join(15)
        assert got
        assert got[0] - began < 3
