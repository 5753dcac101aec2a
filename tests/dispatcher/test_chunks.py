"""Whole frames are given out in runs, nobody idles while another has a rest, and every frame is given once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from dispatcher.bench import Bench
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from renderbros_addon.dispatcher import chunks, workers
from renderbros_addon.dispatcher.chunks import Chunk
from renderbros_addon.dispatcher.store import Tx
from renderbros_addon.dispatcher.tables import results
from renderbros_addon.protocol.leases import Lease


def frames_of(leases: Sequence[Lease]) -> list[int]:
    return [lease.task.frame for lease in leases]


def take_turns(bench: Bench, names: Sequence[str], *, seconds: float = 1.0, ahead: int = 1) -> dict[str, list[int]]:
    """Render a job to its end as agents with long frames do: each leases one ahead of what it renders."""
    hands: dict[str, list[Lease]] = {worker: [] for worker in names}
    done: dict[str, list[int]] = {worker: [] for worker in names}
    while True:
        for worker in names:
            while len(hands[worker]) <= ahead and (got := bench.lease(worker)):
                hands[worker] += got
        if not any(hands.values()):
            return done
        for worker in names:
            if hands[worker]:
                lease = hands[worker].pop(0)
                done[worker].append(lease.task.frame)
                _, result = bench.submit(lease)
                bench.change(lambda tx, result=result: _took(tx, result, seconds))
                bench.accept(result)


def _took(tx: Tx, result_id: int, seconds: float) -> None:
    tx.conn.execute(update(results).where(results.c.id == result_id).values(seconds=seconds))


def jumps(frames: Sequence[int]) -> int:
    """How often the next frame is not the one after."""
    return sum(b != a + 1 for a, b in pairwise(frames))


def test_long_frames_taken_one_at_a_time_stay_in_runs(bench: Bench) -> None:
    both = [bench.worker("a"), bench.worker("b")]
    job_id = bench.job(frames=tuple(range(1, 25)))
    done = take_turns(bench, both, seconds=600.0)
    assert sorted(done[both[0]] + done[both[1]]) == list(range(1, 25))
    assert bench.job_row(job_id).status == "completed"
    for worker in both:
        assert len(done[worker]) == 12, "equal workers do equal parts"
        assert jumps(done[worker]) <= 5, done


def test_a_submitter_says_how_long_the_runs_are(bench: Bench) -> None:
    both = [bench.worker("a"), bench.worker("b")]
    bench.job(frames=tuple(range(20)), chunk=5)
    done = take_turns(bench, both)
    assert done == {both[0]: [*range(5), *range(10, 15)], both[1]: [*range(5, 10), *range(15, 20)]}


def test_a_batch_is_a_run_and_the_next_one_goes_on_there(bench: Bench) -> None:
    first, second = bench.worker("a"), bench.worker("b")
    bench.job(frames=tuple(range(40)), chunk=8)
    assert [frames_of(bench.lease(worker, 3)) for worker in (first, second, first, second, first)] == [
        [0, 1, 2], [8, 9, 10], [3, 4, 5], [11, 12, 13], [6, 7],
    ]  # fmt: skip


def test_who_has_nothing_takes_the_back_half_of_a_rest(bench: Bench) -> None:
    slow, quick = bench.worker("slow"), bench.worker("quick")
    bench.job(frames=tuple(range(10)), chunk=9)
    [held] = bench.lease(slow)
    assert held.task.frame == 0
    seen = []
    while got := bench.lease(quick):
        seen += frames_of(got)
        bench.deliver(got[0])
    assert seen[:5] == [9, 5, 6, 7, 8], "its own chunk, then the back half of the other's"
    assert sorted(seen) == list(range(1, 10)), "the slow one holds up nothing but the frame in its hands"


def test_what_a_lost_worker_leaves_is_taken_up_first(bench: Bench) -> None:
    lost, other = bench.worker("lost"), bench.worker("other")
    bench.job(frames=tuple(range(12)), chunk=4)
    bench.lease(lost, 2)
    bench.lease(other, 4)
    bench.expire()
    bench.change(lambda tx: workers.fell_silent(tx, lost, bench.clock.now))
    assert frames_of(bench.lease(other, 4)) == [4, 5, 6, 7], "what came back of its own chunk"
    assert frames_of(bench.lease(other, 4)) == [0, 1, 2, 3]


def test_a_failed_frame_goes_to_another_who_goes_on_with_its_run_afterwards(bench: Bench) -> None:
    bad, good = bench.worker("bad"), bench.worker("good")
    bench.job(frames=tuple(range(40)), chunk=4)
    [lease] = bench.lease(bad)
    assert frames_of(bench.lease(good, 4)) == [4, 5, 6, 7]
    bench.fail(lease)
    assert frames_of(bench.lease(bad)) == [1], "not the one that it failed"
    assert frames_of(bench.lease(good)) == [0]


def test_tiles_of_a_frame_are_shared(bench: Bench) -> None:
    first, second = bench.worker("a"), bench.worker("b")
    bench.job(frames=(1, 2), tiles=(2, 2), chunk=2)
    seen = [bench.lease(worker)[0].task.frame for worker in (first, second, first, second)]
    assert seen == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("seconds", "free", "rivals", "size"),
    [(None, 240, 2, 60), (None, 3, 2, 1), (1.0, 10_000, 2, 300), (600.0, 240, 2, 4), (600.0, 8, 2, 2), (0.0, 9, 1, 5)],
)
def test_automatic_sizes(seconds: float | None, free: int, rivals: int, size: int) -> None:
    assert chunks.automatic(chunks.most_by_time(seconds), free, rivals) == size


@given(st.sets(st.integers(0, 60)), st.lists(st.integers(0, 60), max_size=8, unique=True))
def test_a_half_is_of_the_longest_rest_and_never_empty(open_frames: set[int], ends: list[int]) -> None:
    places = sorted(ends)
    others = [Chunk(f"w{i}", a, a, b) for i, (a, b) in enumerate(zip(places[::2], places[1::2], strict=False))]
    rest = {chunk.worker_id: sum(chunk.at <= frame < chunk.stop for frame in open_frames) for chunk in others}
    split = chunks.halved(sorted(open_frames), others)
    if split is None:
        assert not any(rest.values())
        return
    victim, middle = split
    back = sum(middle <= frame < victim.stop for frame in open_frames)
    assert rest[victim.worker_id] == max(rest.values())
    assert back == (rest[victim.worker_id] + 1) // 2
