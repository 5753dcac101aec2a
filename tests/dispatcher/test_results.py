"""Results in time, late, twice, good and bad, on each database."""

from __future__ import annotations

import pytest
from dispatcher.bench import Bench
from dispatcher.pictures import claimed

from renderbros_addon.dispatcher import frames, jobs, results, tasks
from renderbros_addon.dispatcher.errors import Conflict, NotFound
from renderbros_addon.dispatcher.suspicion import suspicion
from renderbros_addon.protocol.leases import Acceptance, Lease


def test_a_good_result_finishes_the_frame_and_the_job(bench: Bench) -> None:
    worker = bench.worker()
    job_id = bench.job()
    [lease] = bench.lease(worker)
    answer, result_id = bench.submit(lease)
    assert answer == Acceptance(wanted=True, late=False)
    assert bench.task_status(lease.task.id) == "submitted"
    bench.accept(result_id)
    assert bench.task_status(lease.task.id) == "accepted"
    assert bench.job_row(job_id).status == "completed"


def test_a_bad_result_is_the_workers_failure(bench: Bench) -> None:
    worker = bench.worker()
    job_id = bench.job()
    for _ in range(3):
        [lease] = bench.lease(worker)
        bench.reject(bench.submit(lease)[1])
    job = bench.job_row(job_id)
    assert (job.status, job.reason_code) == ("failed", "bad_output")


def test_the_same_result_twice_and_another_under_the_same_lease(bench: Bench) -> None:
    worker = bench.worker()
    bench.job()
    [lease] = bench.lease(worker)
    result = claimed()
    first = bench.change(lambda tx: results.receive(tx, lease.id, worker, result))
    bench.accept(bench.submit(lease, sha256=result.output.sha256)[1])
    gone = bench.change(lambda tx: results.receive(tx, lease.id, worker, result, missing=["1" * 64]))
    assert gone == first
    with pytest.raises(Conflict):
        bench.change(lambda tx: results.receive(tx, lease.id, worker, claimed(sha256="3" * 64)))


def test_a_result_without_its_blob_or_without_a_lease_is_refused(bench: Bench) -> None:
    worker, other = bench.worker("a"), bench.worker("b")
    bench.job()
    [lease] = bench.lease(worker)
    with pytest.raises(Conflict, match="upload it"):
        bench.change(lambda tx: results.receive(tx, lease.id, worker, claimed(), missing=["1" * 64]))
    assert bench.task_status(lease.task.id) == "leased"
    for lease_id, worker_id in ((lease.id, other), ("unknown", worker)):
        with pytest.raises(NotFound):
            bench.change(lambda tx, i=lease_id, w=worker_id: results.receive(tx, i, w, claimed()))


def test_a_late_result_for_a_queued_task_is_welcome(bench: Bench) -> None:
    worker = bench.worker()
    job_id = bench.job()
    [lease] = bench.lease(worker)
    bench.expire()
    answer, result_id = bench.submit(lease)
    assert answer == Acceptance(wanted=True, late=True)
    assert bench.task_status(lease.task.id) == "queued", "until it has proved good"
    bench.accept(result_id)
    assert bench.job_row(job_id).status == "completed"


def test_a_late_result_stops_the_one_who_renders_it_again(bench: Bench) -> None:
    first, second = bench.worker("a"), bench.worker("b")
    job_id = bench.job()
    [late] = bench.lease(first)
    bench.expire()
    [again] = bench.lease(second)
    _, result_id = bench.submit(late)
    assert bench.task_status(again.task.id) == "leased", "a stranger's late word does not stop anyone yet"
    bench.accept(result_id)
    assert [event.worker_id for event in bench.events("lease.revoked")] == [second]
    assert bench.job_row(job_id).status == "completed"
    answer, _ = bench.submit(again)
    assert answer == Acceptance(wanted=False, late=True)


def test_a_bad_late_result_harms_nobody(bench: Bench) -> None:
    first, second = bench.worker("a"), bench.worker("b")
    job_id = bench.job()
    [late] = bench.lease(first)
    bench.expire()
    [again] = bench.lease(second)
    _, bad = bench.submit(late)
    _, good = bench.submit(again)
    bench.reject(bad)
    assert bench.task_status(again.task.id) == "submitted"
    bench.accept(good)
    assert bench.job_row(job_id).status == "completed"


def test_of_two_good_results_one_is_taken(bench: Bench) -> None:
    first, second = bench.worker("a"), bench.worker("b")
    bench.job()
    [late] = bench.lease(first)
    bench.expire()
    [again] = bench.lease(second)
    _, one = bench.submit(late)
    _, two = bench.submit(again)
    bench.accept(one)
    bench.accept(two)
    with bench.store.read() as conn:
        assert [results.load(conn, i).status for i in (one, two)] == ["accepted", "evidence"]


def test_a_result_for_a_cancelled_job_is_evidence(bench: Bench) -> None:
    worker = bench.worker()
    job_id = bench.job(frames=(1, 2))
    [lease] = bench.lease(worker)
    _, result_id = bench.submit(lease)
    bench.change(lambda tx: jobs.cancel(tx, job_id))
    bench.accept(result_id)
    with bench.store.read() as conn:
        assert results.load(conn, result_id).status == "evidence"
    assert bench.job_row(job_id).status == "cancelled"


def suspicion_of(bench: Bench, lease: Lease, digest: str) -> str | None:
    """What is odd about a result with these pixels, which is accepted all the same."""
    output = claimed(sha256=digest, pixel_digest=digest).output
    result_id = bench.submit(lease, pixel_digest=digest)[1]
    with bench.store.read() as conn:
        result = results.load(conn, result_id)
        found = suspicion(conn, tasks.load(conn, result.task_id), result, output)
    bench.accept(result_id)
    return found


def test_pixels_that_are_known_from_another_frame_are_odd(bench: Bench) -> None:
    worker = bench.worker()
    bench.job(frames=(1, 2, 3))
    leases = [bench.lease(worker)[0] for _ in range(3)]
    assert suspicion_of(bench, leases[0], "e" * 64) is None
    assert suspicion_of(bench, leases[1], "f" * 64) is None
    found = suspicion_of(bench, leases[2], "e" * 64)
    assert found is not None
    assert found.startswith("seen before: frame 1 ")


def test_equal_tiles_of_one_frame_raise_none(bench: Bench) -> None:
    worker = bench.worker()
    bench.job(tiles=(2, 1))
    for lease in bench.lease(worker, count=1) + bench.lease(worker, count=1):
        assert suspicion_of(bench, lease, "e" * 64) is None


def test_a_tiled_frame_goes_through_assembly_and_finish(bench: Bench) -> None:
    worker = bench.worker()
    job_id = bench.job(frames=(5,), tiles=(2, 1))
    for lease in bench.lease(worker) + bench.lease(worker):
        assert lease.task.linear
        bench.deliver(lease)
    assert bench.job_row(job_id).status == "finishing"
    assembled = claimed(sha256="a" * 64).output

    def store_assembled(tx: jobs.Tx) -> bool:
        job = jobs.lock(tx, job_id)
        return frames.assembled(tx, job, jobs.parse_spec(job.spec), 5, assembled)

    assert bench.change(lambda tx: frames.announce_assembled(tx, job_id, 5, "b" * 64)) is None
    assert bench.change(lambda tx: frames.announce_assembled(tx, job_id, 5, "a" * 64)) == "b" * 64, "an orphan, told"
    assert bench.change(store_assembled)
    [finish] = bench.lease(worker)
    assert (finish.task.kind, finish.task.frame, finish.task.assembled) == ("finish", 5, "a" * 64)
    assert not finish.task.linear
    assert bench.change(store_assembled), "taken again after a crash, the step changes nothing"
    bench.deliver(finish)
    assert bench.job_row(job_id).status == "completed"
    with bench.store.read() as conn:
        spare = frames.spare_blobs(conn, job_id, 5)
    assert "a" * 64 in spare
    assert len(spare) == 3


def test_a_blob_that_another_frame_needs_is_not_spare(bench: Bench) -> None:
    worker = bench.worker()
    job_id = bench.job(frames=(1, 2), tiles=(1, 1))
    for _ in range(2):
        [lease] = bench.lease(worker)
        bench.deliver(lease, sha256="d" * 64)
    output = claimed(sha256="c" * 64).output

    def assembled(tx: jobs.Tx, frame: int) -> None:
        job = jobs.lock(tx, job_id)
        frames.announce_assembled(tx, job_id, frame, output.sha256)
        frames.assembled(tx, job, jobs.parse_spec(job.spec), frame, output)

    def spare(frame: int) -> list[str]:
        with bench.store.read() as conn:
            return frames.spare_blobs(conn, job_id, frame)

    bench.change(lambda tx: assembled(tx, 1))
    [finish] = bench.lease(worker)
    bench.change(lambda tx: assembled(tx, 2))
    bench.deliver(finish, sha256="e" * 64)
    assert spare(1) == [], "frame 2 has the same tile and the same assembly"
    [finish] = bench.lease(worker)
    bench.deliver(finish, sha256="e" * 64)
    bench.change(lambda tx: frames.settle(tx, job_id, 1))
    assert spare(2) == ["c" * 64, "d" * 64]
