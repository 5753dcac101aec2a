"""Who is asked to check what, and what becomes of checks that are not made, on each database."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from dispatcher.bench import Bench
from dispatcher.pictures import claimed

from renderbros_addon.dispatcher import checks, results, tasks, unclaimed
from renderbros_addon.dispatcher.asking import whom
from renderbros_addon.dispatcher.scheduler import Checker
from renderbros_addon.dispatcher.verification import Desk
from renderbros_addon.protocol.checks import CheckStatus
from renderbros_addon.protocol.leases import Lease
from renderbros_addon.protocol.states import FailureCode, FailureKind

DESK = Desk(random=Random(3))


def held_result(bench: Bench, lease: Lease) -> int:
    """Hand in a result, of which all is to be rendered again; returns its id."""
    result_id = bench.submit(lease)[1]
    with bench.store.read() as conn:
        result = results.load(conn, result_id)
        whole = tasks.region_of(tasks.load(conn, result.task_id))
    output = claimed(sha256=result.sha256, pixel_digest=result.pixel_digest).output
    bench.change(lambda tx: DESK.receive(tx, result_id, output, regions=(whole,), reason="drawn by chance"))
    return result_id


def check_of(bench: Bench, result_id: int) -> Any:
    with bench.store.read() as conn:
        [check] = checks.of_subject(conn, result_id)
    return check


def drawn_for(bench: Bench, check: Any) -> str | None:
    with bench.store.read() as conn:
        worker_id: str | None = tasks.load(conn, check.task_id).wanted_worker
    return worker_id


def sweep(bench: Bench, seconds: float) -> None:
    bench.clock.forward(seconds)
    with bench.store.read() as conn:
        waiting = unclaimed.waiting(conn)
    for task_id in waiting:
        bench.change(lambda tx, task_id=task_id: unclaimed.look_after(tx, task_id))


def begin(bench: Bench) -> tuple[int, str, str]:
    """A result that is to be checked; its id, who was drawn to check it, and who was not."""
    workers = [bench.worker(name) for name in ("a", "b", "c")]
    bench.job()
    [lease] = bench.lease(workers[0])
    result_id = held_result(bench, lease)
    drawn = drawn_for(bench, check_of(bench, result_id))
    assert drawn in workers[1:]
    [other] = set(workers[1:]) - {drawn}
    return result_id, str(drawn), other


def test_a_check_is_for_the_one_who_was_drawn_until_its_turn_is_over(bench: Bench) -> None:
    result_id, drawn, other = begin(bench)
    assert not bench.lease(other)
    sweep(bench, 20)
    assert not bench.lease(other)
    sweep(bench, 20)
    [lease] = bench.lease(other)
    assert lease.task.kind == "render", "it looks like any other task"
    assert lease.task.id.rpartition("-")[2] == "0"
    assert not bench.lease(drawn)
    assert check_of(bench, result_id).status == CheckStatus.OPEN


def test_a_checker_cannot_void_a_check_or_fail_the_job(bench: Bench) -> None:
    result_id, drawn, other = begin(bench)
    [lease] = bench.lease(drawn)
    bench.fail(lease, FailureKind.SCENE, FailureCode.NO_CAMERA)
    assert bench.job_row(lease.task.job_id).status == "active"
    assert check_of(bench, result_id).status == CheckStatus.OPEN
    assert not bench.lease(drawn), "others are asked now"
    assert bench.lease(other)


def test_a_check_that_nobody_takes_holds_up_no_job(bench: Bench) -> None:
    result_id, _, _ = begin(bench)
    sweep(bench, 16 * 60)
    assert check_of(bench, result_id).status == CheckStatus.DROPPED
    bench.change(lambda tx: DESK.conclude(tx, result_id))
    with bench.store.read() as conn:
        result = results.load(conn, result_id)
    assert result.status == "accepted"
    assert bench.job_row(result.job_id).status == "completed"


def ask(able: Sequence[Checker], own: str | None, *, settles: bool = False) -> tuple[set[str | None], dict[str, int]]:
    random = Random(5)
    drawn = [whom(random, own, able, settles=settles) for _ in range(300)]
    times = {one.worker_id: sum(worker == one.worker_id for _, worker in drawn) for one in able}
    return {asked for asked, _ in drawn}, times


def test_friends_of_a_class_of_their_own_are_not_asked_to_vouch_for_each_other() -> None:
    crowd = [Checker(f"w{i}", f"o{i}", "known") for i in range(9)]
    friend = Checker("friend", "friend's owner", "made up")
    asked, times = ask([*crowd, friend], "made up")
    assert asked == {None}
    assert times["friend"] < 60
    asked, times = ask([*crowd, friend], "known")
    assert asked == {"known"}
    assert times["friend"] == 0
    assert ask([*crowd, friend], "made up", settles=True)[0] == {"made up"}


def test_an_owner_of_many_machines_is_drawn_no_more_often_than_one_of_one() -> None:
    many = [Checker(f"m{i}", "many", "x") for i in range(20)]
    times = ask([*many, Checker("one", "one", "x")], "x")[1]
    assert 100 < times["one"] < 200
