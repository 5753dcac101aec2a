"""Failure kinds and what they lead to, on each database."""

from __future__ import annotations

import pytest
from dispatcher.bench import Bench

from renderbros_addon.dispatcher import failures, jobs, tasks, waiting, workers
from renderbros_addon.dispatcher.failures import TRANSIENT_LIMIT
from renderbros_addon.protocol.states import FailureCode, FailureKind


def test_two_owners_that_blame_the_scene_end_the_job(bench: Bench) -> None:
    first, second, third = (bench.worker(name) for name in "abc")
    job_id = bench.job(frames=tuple(range(30)))
    [lease], [one], [other] = bench.lease(first), bench.lease(second), bench.lease(third)
    bench.fail(lease, FailureKind.SCENE, FailureCode.MISSING_FILE)
    assert bench.job_row(job_id).status == "active", "one alone may lie"
    assert not bench.lease(first), "nor is it asked again"
    bench.fail(one, FailureKind.SCENE, FailureCode.MISSING_FILE)
    job = bench.job_row(job_id)
    assert (job.status, job.reason_code) == ("failed", "missing_file")
    assert job.reason_message == "missing_file it was"
    assert bench.task_status(other.task.id) == "cancelled"
    revoked = bench.events("lease.revoked")
    assert [event.worker_id for event in revoked] == [third], "its worker is told to stop"
    assert not bench.lease(third)


def test_one_that_blames_a_good_scene_stops_nobody_else(bench: Bench) -> None:
    liar, sibling = (bench.worker(name, owner="the owner of both, a secret") for name in "ab")
    honest = bench.worker("c")
    job_id = bench.job(frames=(1, 2))
    for worker_id in (liar, sibling):
        [lease] = bench.lease(worker_id)
        bench.fail(lease, FailureKind.SCENE, FailureCode.NO_CAMERA)
    assert bench.job_row(job_id).status == "active", "both are one voice"
    for _ in range(2):
        [lease] = bench.lease(honest)
        bench.deliver(lease)
    assert bench.job_row(job_id).status == "completed"


def test_with_nobody_else_to_ask_it_is_tried_once_more(bench: Bench) -> None:
    lone = bench.worker("a")
    job_id = bench.job()
    [lease] = bench.lease(lone)
    bench.fail(lease, FailureKind.SCENE, FailureCode.NO_CAMERA)
    [lease] = bench.lease(lone)
    bench.fail(lease, FailureKind.SCENE, FailureCode.NO_CAMERA)
    assert bench.job_row(job_id).reason_code == "no_camera"
    # Another one was there, but goes before it has said anything.
    gone = bench.worker("b")
    job_id = bench.job()
    [lease] = bench.lease(lone)
    bench.fail(lease, FailureKind.SCENE, FailureCode.NO_CAMERA)
    bench.change(lambda tx: workers.pause(tx, gone))
    assert not bench.lease(lone)
    bench.change(lambda tx: waiting.judge_stuck(tx, job_id))
    bench.clock.forward(61)
    bench.change(lambda tx: waiting.judge_stuck(tx, job_id))
    assert bench.job_row(job_id).reason_code == "no_camera"


def test_one_that_blames_a_scene_while_the_others_are_away_for_a_moment(bench: Bench) -> None:
    liar, sibling = (bench.worker(name, owner="the owner of both, a secret") for name in "ab")
    honest = bench.worker("c")
    job_id = bench.job()
    [lease] = bench.lease(liar)
    bench.fail(lease, FailureKind.SCENE, FailureCode.CORRUPT_BLEND)
    bench.change(lambda tx: workers.pause(tx, honest))
    [lease] = bench.lease(sibling)
    bench.fail(lease, FailureKind.SCENE, FailureCode.CORRUPT_BLEND)
    for _ in range(3):
        bench.change(lambda tx: waiting.judge_stuck(tx, job_id))
        assert bench.job_row(job_id).status == "active"
        bench.clock.forward(19)
    bench.change(lambda tx: workers.resume(tx, honest))
    bench.change(lambda tx: waiting.judge_stuck(tx, job_id))
    [lease] = bench.lease(honest)
    bench.deliver(lease)
    assert bench.job_row(job_id).status == "completed"


def test_a_worker_failure_goes_to_another_worker(bench: Bench) -> None:
    first, second = bench.worker("a"), bench.worker("b")
    bench.job()
    [lease] = bench.lease(first)
    bench.fail(lease)
    assert not bench.lease(first), "the other one shall try first"
    [again] = bench.lease(second)
    assert again.task.id == lease.task.id
    bench.fail(again)
    assert bench.lease(first), "all have failed it: anyone may try again"


def test_three_workers_fail_a_task(bench: Bench) -> None:
    names = [bench.worker(name) for name in "abcd"]
    job_id = bench.job()
    for worker_id in names[:3]:
        [lease] = bench.lease(worker_id)
        bench.fail(lease)
    assert bench.task_status(lease.task.id) == "failed"
    job = bench.job_row(job_id)
    assert (job.status, job.reason_code) == ("failed", "crashed")
    assert "crashed it was" in job.reason_message
    assert "likely damaged" in job.reason_message


def test_one_owner_fails_no_job_while_another_is_there(bench: Bench) -> None:
    mine = [bench.worker(name, owner="the owner of three, a secret") for name in "abc"]
    honest = bench.worker("d")
    job_id = bench.job(frames=(1, 2))
    for worker_id in mine:
        [lease] = bench.lease(worker_id)
        bench.fail(lease)
    assert bench.job_row(job_id).status == "active", "three workers are one voice"
    for _ in range(2):
        [lease] = bench.lease(honest)
        bench.deliver(lease)
    assert bench.job_row(job_id).status == "completed"


def test_one_owner_alone_gives_a_task_up_as_one_worker_does(bench: Bench) -> None:
    mine = [bench.worker(name, owner="the owner of four, a secret") for name in "abcd"]
    job_id = bench.job()
    for worker_id in mine[:3]:
        assert bench.job_row(job_id).status != "failed"
        [lease] = bench.lease(worker_id)
        bench.fail(lease)
    assert bench.job_row(job_id).status == "failed"


def test_a_file_is_not_called_damaged_for_a_worker_that_lacks_something(bench: Bench) -> None:
    names = [bench.worker(name) for name in "abc"]
    job_id = bench.job()
    for worker_id, code in zip(names, ("out_of_memory", "crashed", "crashed"), strict=True):
        [lease] = bench.lease(worker_id)
        bench.fail(lease, FailureKind.WORKER, FailureCode(code))
    assert "damaged" not in bench.job_row(job_id).reason_message


def test_three_attempts_of_a_lone_worker_fail_a_task(bench: Bench) -> None:
    lone = bench.worker()
    job_id = bench.job()
    for _ in range(3):
        assert bench.job_row(job_id).status != "failed"
        [lease] = bench.lease(lone)
        bench.fail(lease)
    assert bench.job_row(job_id).status == "failed"


def test_a_job_survives_few_failed_tasks_but_never_completes_with_one(bench: Bench) -> None:
    lone = bench.worker()
    job_id = bench.job(frames=tuple(range(11)))
    for _ in range(3):
        [lease] = bench.lease(lone)
        assert lease.task.frame == 0
        bench.fail(lease)
    assert bench.task_status(lease.task.id) == "failed"
    assert bench.job_row(job_id).status == "active", "one of eleven is less than a tenth"
    helper = bench.worker("b")
    for frame in range(1, 11):
        [lease] = bench.lease(helper)
        assert lease.task.frame == frame
        bench.deliver(lease)
    job = bench.job_row(job_id)
    assert job.status == "failed"
    assert "1 of 11 tasks" in job.reason_message


def test_a_job_fails_with_a_tenth_of_its_tasks(bench: Bench) -> None:
    workers = [bench.worker(name) for name in "abc"]
    job_id = bench.job(frames=tuple(range(10)))
    for worker_id in workers:
        [lease] = bench.lease(worker_id)
        bench.fail(lease)
    assert bench.job_row(job_id).status == "failed"


def test_three_strikes_block_a_worker_for_the_job_only(bench: Bench) -> None:
    bad, good = bench.worker("bad"), bench.worker("good")
    job_id = bench.job(frames=tuple(range(40)))
    for _ in range(3):
        [lease] = bench.lease(bad)
        bench.fail(lease)
    assert not bench.lease(bad)
    assert [event.worker_id for event in bench.events("worker.blocked")] == [bad]
    assert bench.lease(good)
    other = bench.job(frames=(1,))
    [lease] = bench.lease(bad)
    assert lease.task.job_id == other
    bench.change(lambda tx: jobs.cancel(tx, job_id))
    bench.change(lambda tx: jobs.retry(tx, job_id))
    bench.change(lambda tx: jobs.cancel(tx, other))
    assert bench.lease(bad), "a retry forgives"


def test_a_job_that_blocked_everyone_waits_a_while_and_fails(bench: Bench) -> None:
    lone = bench.worker()
    job_id = bench.job(frames=tuple(range(40)))
    for _ in range(3):
        [lease] = bench.lease(lone)
        bench.fail(lease)
    with bench.store.read() as conn:
        assert waiting.stuck_jobs(conn) == [job_id]
        counts = tasks.counts(conn, job_id)
        why = waiting.why_waiting(conn, bench.job_row(job_id), counts, bench.clock())
    assert why.startswith("every worker online that fits failed this job too often, the last with: ")
    bench.change(lambda tx: waiting.judge_stuck(tx, job_id))
    assert bench.job_row(job_id).status == "active"
    bench.clock.forward(61)
    bench.change(lambda tx: waiting.judge_stuck(tx, job_id))
    job = bench.job_row(job_id)
    assert job.status == "failed"
    assert "crashed it was" in job.reason_message


def test_a_new_worker_saves_such_a_job(bench: Bench) -> None:
    lone = bench.worker()
    job_id = bench.job(frames=tuple(range(40)))
    for _ in range(3):
        [lease] = bench.lease(lone)
        bench.fail(lease)
    bench.change(lambda tx: waiting.judge_stuck(tx, job_id))
    bench.worker("helper")
    bench.clock.forward(61)
    bench.change(lambda tx: waiting.judge_stuck(tx, job_id))
    job = bench.job_row(job_id)
    assert job.status == "active"
    assert job.blocked_since is None


def test_a_transient_failure_is_tried_again_after_a_growing_pause(bench: Bench) -> None:
    lone = bench.worker()
    bench.job()
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        [lease] = bench.lease(lone)
        bench.fail(lease, FailureKind.TRANSIENT, FailureCode.NETWORK)
        assert not bench.lease(lone), "not at once"
        bench.clock.forward(pause - 0.1)
        assert not bench.lease(lone)
        bench.clock.forward(0.1)


def test_endless_transient_failures_end(bench: Bench) -> None:
    lone = bench.worker()
    job_id = bench.job()
    attempts = 0
    while bench.job_row(job_id).status != "failed":
        attempts += 1
        assert attempts < 50
        [lease] = bench.lease(lone)
        bench.fail(lease, FailureKind.TRANSIENT, FailureCode.NETWORK)
        bench.clock.forward(61)
    assert attempts == TRANSIENT_LIMIT + 3


def test_expiry_returns_the_task_but_not_for_ever(bench: Bench) -> None:
    lone = bench.worker()
    job_id = bench.job()
    for _ in range(TRANSIENT_LIMIT):
        [lease] = bench.lease(lone)
        assert bench.expire(59.9) == 0
        assert bench.expire(0.2) == 1
        assert bench.task_status(lease.task.id) == "queued"
    for _ in range(3):
        [lease] = bench.lease(lone)
        bench.expire()
    assert bench.job_row(job_id).status == "failed", "what silences every worker is no longer taken for chance"


def test_a_release_blames_nobody(bench: Bench) -> None:
    lone = bench.worker()
    job_id = bench.job()
    for _ in range(20):
        [lease] = bench.lease(lone)
        bench.change(lambda tx, lease=lease: failures.release(tx, lease.id, lone))
    assert bench.job_row(job_id).status == "active"
    assert not bench.events("task.failure")


@pytest.mark.parametrize("kind", list(FailureKind))
def test_a_failure_under_a_lease_that_is_over_changes_nothing(bench: Bench, kind: FailureKind) -> None:
    first, second = bench.worker("a"), bench.worker("b")
    job_id = bench.job()
    [late] = bench.lease(first)
    bench.expire()
    [lease] = bench.lease(second)
    bench.fail(late, kind, FailureCode.CRASHED)
    assert bench.task_status(lease.task.id) == "leased"
    assert bench.job_row(job_id).status == "active"
