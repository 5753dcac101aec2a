"""Who gets what, in which order, on each database."""

from __future__ import annotations

import threading

import pytest
from dispatcher.bench import Bench

from renderbros_addon.dispatcher import jobs, standings, tasks, waiting, workers
from renderbros_addon.protocol.leases import Lease
from renderbros_addon.protocol.regions import fill, hull


def why(bench: Bench, job_id: str) -> str | None:
    with bench.store.read() as conn:
        return waiting.why_waiting(conn, jobs.load(conn, job_id), tasks.counts(conn, job_id), bench.clock())


def test_priority_then_open_scene_then_age(bench: Bench) -> None:
    worker = bench.worker()
    old, new, urgent = bench.job(), bench.job(), bench.job(priority=90)
    order = []
    for open_job in (new, new, None):
        [lease] = bench.lease(worker, open_job=open_job)
        order.append(lease.task.job_id)
        bench.deliver(lease)
    assert order == [urgent, new, old]


def test_frame_by_frame_tile_by_tile(bench: Bench) -> None:
    worker = bench.worker()
    bench.job(frames=(-3, 8), tiles=(4, 4))
    seen = [lease.task for _ in range(32) for lease in bench.lease(worker)]
    assert [task.frame for task in seen] == [-3] * 16 + [8] * 16
    # Those that follow each other lie together, to be rendered at once.
    for size in (2, 4, 8):
        for start in range(0, 32, size):
            run = [task.region for task in seen[start : start + size]]
            assert fill(run, hull(run))


def test_series_engine_and_device_must_fit(bench: Bench) -> None:
    job_id = bench.job(scene={"series": ["4.5", "5.2"], "engine": "BLENDER_EEVEE_NEXT", "device": "GPU"})
    assert why(bench, job_id) == "no worker is online"
    wrong = [bench.worker("a", series="4.3", engines=("BLENDER_EEVEE_NEXT",), gpu=True)]
    assert why(bench, job_id) == "no worker online has Blender 4.5 or 5.2 (there is 4.3)"
    wrong.append(bench.worker("b", series="5.2", gpu=True))
    assert "has the engine BLENDER_EEVEE_NEXT" in str(why(bench, job_id))
    wrong.append(bench.worker("c", series="5.2", engines=("CYCLES", "BLENDER_EEVEE_NEXT")))
    assert "offers a GPU" in str(why(bench, job_id))
    assert not [lease for worker in wrong for lease in bench.lease(worker)]
    right = bench.worker("d", series="4.5", engines=("BLENDER_EEVEE_NEXT",), gpu=True)
    assert why(bench, job_id) is None
    assert bench.lease(right)


def test_a_wait_for_a_blender_says_which_others_could_do(bench: Bench) -> None:
    job_id = bench.job(scene={"series": ["4.5"], "saved_by": "4.5"})
    bench.worker("a", series="4.3")
    words = "no worker online has Blender 4.5 (there is 4.3"
    assert why(bench, job_id) == f"{words})"
    bench.worker("b", series="5.2")
    more = "; submitted with --blender-series 4.5,5.2 it would be rendered by those too"
    assert why(bench, job_id) == f"{words}, 5.2){more}"


def test_pause_of_a_job(bench: Bench) -> None:
    worker = bench.worker()
    job_id = bench.job(frames=(1, 2))
    [lease] = bench.lease(worker)
    bench.change(lambda tx: jobs.pause(tx, job_id))
    assert not bench.lease(worker)
    assert why(bench, job_id) == "the job is paused"
    bench.deliver(lease)
    bench.change(lambda tx: jobs.resume(tx, job_id))
    assert bench.job_row(job_id).status == "active"
    [lease] = bench.lease(worker)
    bench.change(lambda tx: jobs.pause(tx, job_id))
    bench.deliver(lease)
    assert bench.job_row(job_id).status == "completed", "what was running was all there was"


def test_pause_of_a_worker(bench: Bench) -> None:
    worker = bench.worker()
    job_id = bench.job(frames=(1, 2))
    bench.change(lambda tx: workers.pause(tx, worker))
    assert not bench.lease(worker)
    assert why(bench, job_id) == "no worker is online (1 paused)"
    bench.change(lambda tx: workers.resume(tx, worker))
    assert bench.lease(worker)


def test_a_banned_worker_loses_its_tasks_at_once(bench: Bench) -> None:
    bad, good = bench.worker("bad"), bench.worker("good")
    bench.job()
    [lease] = bench.lease(bad)
    bench.change(lambda tx: workers.ban(tx, bad))
    [again] = bench.lease(good)
    assert again.task.id == lease.task.id
    assert not bench.lease(bad)
    bench.change(lambda tx: standings.pardon(tx, bad))
    bench.change(lambda tx: workers.seen(tx, bad))
    bench.job()
    assert bench.lease(bad)


def test_silence_makes_a_worker_offline(bench: Bench) -> None:
    worker = bench.worker()
    bench.clock.forward(61)
    moment = bench.clock.now
    with bench.store.read() as conn:
        assert workers.silent_since(conn, moment) == [worker]
    bench.change(lambda tx: workers.fell_silent(tx, worker, moment))
    bench.job()
    assert not bench.lease(worker)
    bench.change(lambda tx: workers.seen(tx, worker))
    assert bench.lease(worker)


def test_the_last_tasks_are_shared(bench: Bench) -> None:
    first, second = bench.worker("a"), bench.worker("b")
    bench.job(frames=(1, 2))
    assert len(bench.lease(first, count=32)) == 1
    assert not bench.lease(first, count=32), "the other one has nothing yet"
    assert len(bench.lease(second, count=32)) == 1


def test_a_job_of_another_priority_is_taken_when_the_first_has_nothing(bench: Bench) -> None:
    worker = bench.worker()
    bench.job(priority=90, scene={"device": "GPU"})
    second = bench.job(priority=10)
    [lease] = bench.lease(worker)
    assert lease.task.job_id == second


@pytest.mark.parametrize("size", [40])
def test_many_ask_at_once_and_each_task_is_given_once(bench: Bench, size: int) -> None:
    names = [bench.worker(f"w{i}") for i in range(8)]
    job_id = bench.job(frames=tuple(range(size)))
    granted: list[Lease] = []
    problems: list[BaseException] = []
    start = threading.Barrier(len(names))

    def ask(worker_id: str) -> None:
        try:
            start.wait()
            for _ in range(size):
                granted.extend(found := bench.lease(worker_id, count=2))
                for lease in found:
                    bench.deliver(lease)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert sorted(lease.task.frame for lease in granted) == list(range(size))
    assert bench.job_row(job_id).status == "completed"
