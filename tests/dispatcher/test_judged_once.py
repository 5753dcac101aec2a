"""A result is judged once, though several threads or dispatchers look at it, or one is killed over it."""

from __future__ import annotations

import pytest
from dispatcher.bench import Bench
from dispatcher.pictures import FULL, claimed

from renderbros_addon.dispatcher import checks, results, standings, workers
from renderbros_addon.dispatcher.checks import Opinion
from renderbros_addon.dispatcher.escrow import Unpaid
from renderbros_addon.dispatcher.store import Tx
from renderbros_addon.dispatcher.verification import Desk
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.results import Output


class Counting(Unpaid):
    """Notes what is earned."""

    def __init__(self) -> None:
        self.earned: list[int] = []

    def earn(self, tx: Tx, worker_id: str, result_id: int) -> None:
        del tx, worker_id
        self.earned.append(result_id)


@pytest.fixture
def database_url(tmp_path: object) -> str:
    return f"sqlite:///{tmp_path}/test.sqlite3"


def found_good(bench: Bench, result_id: int) -> Output:
    with bench.store.read() as conn:
        row = results.load(conn, result_id)
    return claimed(sha256=row.sha256, pixel_digest=row.pixel_digest).output


def take(bench: Bench, desk: Desk, result_id: int, regions: tuple[Region, ...] = ()) -> str:
    output = found_good(bench, result_id)
    return bench.change(lambda tx: desk.receive(tx, result_id, output, regions=regions, reason="drawn"))


def test_what_one_thread_holds_another_does_not_accept(bench: Bench) -> None:
    """Both found the result pending, and both have looked at its image by now."""
    desk = Desk(Counting())
    worker, _ = bench.worker("worker"), bench.worker("other")
    bench.job()
    result_id = bench.submit(bench.lease(worker)[0])[1]
    assert take(bench, desk, result_id, (FULL,)) == "checking"
    assert take(bench, desk, result_id, (FULL,)) == "checking"
    assert take(bench, desk, result_id) == "checking"
    with bench.store.read() as conn:
        assert len(checks.of_subject(conn, result_id)) == 1


def test_a_result_is_paid_and_counted_once(bench: Bench) -> None:
    ledger = Counting()
    desk = Desk(ledger)
    worker = bench.worker("worker")
    bench.job()
    result_id = bench.submit(bench.lease(worker)[0])[1]
    assert [take(bench, desk, result_id) for _ in range(2)] == ["accepted"] * 2
    assert ledger.earned == [result_id]
    with bench.store.read() as conn:
        assert standings.load(conn, worker).frames == 1


def test_a_worker_in_quarantine_has_no_say_in_a_check(bench: Bench) -> None:
    desk = Desk()
    worker, *others = (bench.worker(name) for name in ("worker", "other", "third"))
    bench.job()
    result_id = bench.submit(bench.lease(worker)[0])[1]
    take(bench, desk, result_id, (FULL,))
    [lease] = [lease for other in others for lease in bench.lease(other)]
    checker = bench.holder(lease)
    bench.change(lambda tx: workers.quarantine(tx, checker))
    theirs = bench.submit(lease)[1]
    said = Opinion("match", "told", exact=True)
    output = found_good(bench, theirs)
    assert bench.change(lambda tx: desk.take_opinion(tx, theirs, output, {}, said)) != "accepted"
    with bench.store.read() as conn:
        [check] = checks.of_subject(conn, result_id)
        assert check.status == "open"
