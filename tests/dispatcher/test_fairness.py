"""Jobs of one priority share the workers, and a worker keeps its scene for a stretch, on each database."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from dispatcher.bench import Bench

from renderbros_addon.dispatcher import workers
from renderbros_addon.dispatcher.fairness import STRETCH

MINUTES = int(STRETCH.total_seconds() // 60)
MANY = tuple(range(200))


def render(bench: Bench, names: Sequence[str], minutes: int) -> dict[str, list[str]]:
    """Have workers render frames of one minute each, and say that they have open what they rendered last.

    Returns the jobs that each was at, minute by minute.
    """
    at: dict[str, list[str]] = {name: [] for name in names}
    for _ in range(minutes):
        hands = []
        for name in names:
            hands += [(name, lease) for lease in bench.lease(name, open_job=at[name][-1] if at[name] else None)]
        bench.clock.forward(60)
        for name, lease in hands:
            at[name].append(lease.task.job_id)
            bench.deliver(lease)
    return at


def changes(jobs: Sequence[str]) -> int:
    return sum(one != other for one, other in pairwise(jobs))


def test_one_worker_takes_turns_and_opens_each_scene_seldom(bench: Bench) -> None:
    worker = bench.worker()
    first, second, third = bench.job(MANY), bench.job(MANY), bench.job(MANY)
    turns = 6
    seen = render(bench, [worker], turns * MINUTES)[worker]
    assert seen[::MINUTES] == [first, second, third, first, second, third]
    assert changes(seen) == turns - 1


def test_a_later_job_waits_no_longer_than_a_stretch(bench: Bench) -> None:
    worker = bench.worker()
    early = bench.job(MANY)
    render(bench, [worker], 30)
    late = bench.job(MANY)
    seen = render(bench, [worker], 2 * MINUTES + 1)[worker]
    begins = seen.index(late)
    assert begins <= MINUTES, "however long the other one has been rendered"
    assert set(seen[begins : begins + MINUTES]) == {late}
    assert seen[begins + MINUTES] == early


def test_a_job_that_nobody_is_at_gets_a_worker_at_once(bench: Bench) -> None:
    names = [bench.worker(f"w{i}") for i in range(3)]
    early = bench.job(MANY)
    render(bench, names, 1)
    late = bench.job(MANY)
    [at] = zip(*render(bench, names, 1).values(), strict=True)
    assert sorted(at) == sorted([early, early, late])


def test_who_is_alone_with_a_scene_keeps_it_for_its_stretch(bench: Bench) -> None:
    names = [bench.worker(f"w{i}") for i in range(2)]
    early = [bench.job(MANY), bench.job(MANY)]
    render(bench, names, 1)
    bench.job(MANY)
    at = render(bench, names, MINUTES - 1)
    assert sorted(jobs[0] for jobs in at.values()) == sorted(early)
    assert not any(changes(jobs) for jobs in at.values())


def test_two_jobs_with_a_worker_each_never_change_scenes(bench: Bench) -> None:
    names = [bench.worker(f"w{i}") for i in range(2)]
    bench.job(MANY), bench.job(MANY)
    assert not any(changes(jobs) for jobs in render(bench, names, 5 * MINUTES).values())


def test_shares_are_even_where_workers_do_not_divide_evenly(bench: Bench) -> None:
    names = [bench.worker(f"w{i}") for i in range(3)]
    one, other = bench.job(tuple(range(400))), bench.job(tuple(range(400)))
    minutes = 12 * MINUTES
    rendered = [job for jobs in render(bench, names, minutes).values() for job in jobs]
    assert abs(rendered.count(one) - rendered.count(other)) <= 0.2 * len(rendered), "over time, and on the whole"


def test_a_worker_that_is_gone_counts_nowhere(bench: Bench) -> None:
    names = [bench.worker(f"w{i}") for i in range(3)]
    one = bench.job(MANY)
    render(bench, names, 1)
    for name in names[1:]:
        bench.change(lambda tx, name=name: workers.pause(tx, name))
    bench.job(MANY)
    assert render(bench, names[:1], MINUTES - 2)[names[0]] == [one] * (MINUTES - 2), "it is alone with its scene"


def test_priority_comes_before_any_share(bench: Bench) -> None:
    names = [bench.worker(f"w{i}") for i in range(2)]
    bench.job(MANY), bench.job(MANY)
    render(bench, names, 1)
    urgent = bench.job(MANY, priority=90)
    assert all(set(jobs) == {urgent} for jobs in render(bench, names, 2 * MINUTES).values())
