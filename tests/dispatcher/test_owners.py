"""What a cheat's owner can't do: take other names, or get back what was taken from one of its workers."""

from __future__ import annotations

import pytest
from dispatcher.bench import Bench
from dispatcher.pictures import enrolment

from renderbros_addon.dispatcher import recall, results, standings, workers
from renderbros_addon.dispatcher.errors import Conflict
from renderbros_addon.dispatcher.verification import Desk

MINE, ANOTHER = "the secret of one owner", "the secret of another"


@pytest.fixture
def database_url(tmp_path: object) -> str:
    return f"sqlite:///{tmp_path}/test.sqlite3"


def test_a_worker_keeps_its_owner(bench: Bench) -> None:
    for name, owner, other in (("b", MINE, None), ("c", MINE, ANOTHER)):
        first = bench.change(lambda tx, n=name, o=owner: workers.enrol(tx, enrolment(n, owner=o)))
        assert bench.change(lambda tx, n=name, o=owner: workers.enrol(tx, enrolment(n, owner=o))) == first
        with pytest.raises(Conflict, match="another owner"):
            bench.change(lambda tx, n=name, o=other: workers.enrol(tx, enrolment(n, owner=o)))


def test_a_worker_of_its_own_may_join_an_owner_once(bench: Bench) -> None:
    for owner in (None, MINE, MINE):
        bench.change(lambda tx, o=owner: workers.enrol(tx, enrolment("a", owner=o)))
    with pytest.raises(Conflict, match="another owner"):
        bench.change(lambda tx: workers.enrol(tx, enrolment("a")))


def test_what_is_recalled_goes_to_other_owners(bench: Bench) -> None:
    cheat, sibling = (
        bench.change(lambda tx, n=n: workers.enrol(tx, enrolment(n, owner=MINE))).id for n in ("cheat", "sibling")
    )
    other = bench.worker("other")
    for worker in (cheat, sibling):
        bench.change(lambda tx, w=worker: workers.seen(tx, w))
    bench.job()
    result_id = bench.submit(bench.lease(cheat)[0])[1]
    bench.accept(result_id)
    bench.change(lambda tx: standings.punish(tx, cheat))
    bench.change(lambda tx: recall.recall(tx, result_id, Desk()))
    assert not bench.lease(sibling)
    assert bench.lease(other)


def test_a_spoilt_file_is_no_verdict(bench: Bench) -> None:
    """Or an accomplice could send one first, and a wrong frame would pass as one that nobody can judge."""
    workers_ids = [bench.worker(name) for name in "abc"]
    bench.job()
    lease = bench.lease(workers_ids[0])[0]
    bench.reject(bench.submit(lease)[1])
    with bench.store.read() as conn:
        assert results.times_sent_back(conn, lease.task.id) == 0
