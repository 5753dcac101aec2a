"""The board: how many tasks are wanted, and what a cancel does at each stage."""

from __future__ import annotations

import threading
import time
from itertools import count

import pytest

from renderbros_addon.protocol.jobs import JobFile, SceneSpec
from renderbros_addon.protocol.leases import Lease, Task
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.states import TaskKind
from renderbros_addon.worker.board import Board, HandBack, HeldTask, Stage

SPEC = SceneSpec(
    blend="a.blend",
    files=(JobFile(path="a.blend", sha256="0" * 64, size=1),),
    width=4,
    height=4,
    format="PNG",
    series=("4.5",),
    engine="CYCLES",
)


NUMBERS = count()


def lease(number: int) -> Lease:
    task = Task(id=f"t{number}", job_id="j", kind=TaskKind.RENDER, frame=number, region=Region.full(4, 4), linear=False)
    return Lease(id=f"l{number}", task=task, scene=SPEC, seconds=60)


def add(board: Board, number: int) -> list[HeldTask]:
    return [board.add(lease(next(NUMBERS))) for _ in range(number)]


def test_long_tasks_are_leased_one_ahead() -> None:
    board = Board()
    assert board.wanted() == 1
    first = add(board, 1)[0]
    assert board.wanted() == 1
    board.ready(first)
    assert board.next_ready(0) == [first]
    assert board.wanted() == 1
    second = add(board, 1)[0]
    assert board.wanted() == 0
    board.finish(first, HandBack("done"))
    assert board.wanted() == 1
    assert second.stage is Stage.FETCHING


@pytest.mark.parametrize(("seconds", "ahead"), [(0.02, 31), (0.2, 9), (0.5, 3), (1.5, 1), (60, 1)])
def test_short_tasks_are_leased_in_batches(seconds: float, ahead: int) -> None:
    board = Board()
    board.took([HeldTask(lease(0), 0.0)], 30, seconds)  # the job's first, which opened its file
    for _ in range(3):
        board.took([HeldTask(lease(0), 0.0)], seconds, seconds)
    wanted = board.wanted()
    assert wanted == (ahead + 1 if ahead > 1 else 1)
    # No lease for each task that is through: a batch is asked for when it is worth it.
    add(board, wanted)
    asked = []
    for _ in range(30):
        board.drop(board.held()[0])
        asked.append(board.wanted())
        add(board, asked[-1])
    assert sum(number > 0 for number in asked) <= (30 // (ahead // 2) + 1 if ahead > 1 else 30)


def test_a_slow_way_to_the_dispatcher_is_outlasted() -> None:
    board = Board()
    for _ in range(3):
        board.took([HeldTask(lease(0), 0.0)], 1.0, 1.0)
    assert board.wanted() == 1
    board.travelled(0.05)
    board.travelled(4.0)
    add(board, 8)
    assert board.wanted() == 16
    board.travelled(400.0)  # the dispatcher was away: others are not to starve for it
    assert board.wanted() <= 24


def test_a_batch_that_turns_out_long_is_given_back() -> None:
    board = Board()
    short = HeldTask(lease(0), 0.0)
    for _ in range(3):
        board.took([short], 0.05, 0.05)
    tasks = add(board, 20)
    for task in tasks:
        board.ready(task)
    (first,), (second,) = (board.next_ready(0) for _ in range(2))
    for task, seconds in ((first, 20.0), (second, 20.0)):
        task.lease = task.lease.model_copy(update={"task": task.lease.task.model_copy(update={"job_id": "long"})})
        given_back = board.took([task], seconds, 20.0)
    assert given_back == tasks[:2:-1], "all but the next"
    assert board.next_ready(0) == [tasks[2]]
    assert board.next_ready(0) == []


def test_what_the_renderer_has_ahead_goes_back_if_it_was_not_begun() -> None:
    interrupted: list[HeldTask] = []
    board = Board(interrupt=interrupted.append)
    tasks = add(board, 3)
    for task in tasks:
        board.ready(task)
    assert board.next_ready(0) == [tasks[0]]
    assert board.next_of("another job") == []
    assert board.next_of("j") == [tasks[1]]
    board.put_back([tasks[1]])
    assert board.next_of("j") == [tasks[1]]
    board.cancel(tasks[1].lease.id)
    # It is not at work yet: what is, is not to be interrupted for it.
    assert interrupted == []
    assert not board.begin([tasks[1]])
    board.cancel(tasks[2].lease.id)
    assert board.next_of("j") == []


def test_results_that_pile_up_stop_the_leasing() -> None:
    board = Board()
    board.took([HeldTask(lease(0), 0.0)], 0.1, 0.1)
    for task in add(board, 16):
        board.finish(task, HandBack("done"))
    assert board.wanted() == 0
    task = board.next_finished(0)
    assert task is not None
    board.drop(task)
    assert board.wanted() > 0


def test_a_cancel_interrupts_only_what_renders() -> None:
    interrupted: list[HeldTask] = []
    board = Board(interrupt=interrupted.append)
    fetching, ready, rendering = add(board, 3)
    board.ready(rendering)
    assert board.next_ready(0) == [rendering]
    board.ready(ready)
    for task in (fetching, ready, rendering):
        board.cancel(task.lease.id)
        board.cancel(task.lease.id)
    finished = add(board, 1)[0]
    board.finish(finished, HandBack("done"))
    board.cancel(finished.lease.id)
    board.cancel("unknown")
    assert interrupted == [rendering]
    assert fetching.cancelled
    assert ready.cancelled
    assert rendering.cancelled
    assert not finished.cancelled
    assert board.wanted() == 1


def test_closing_hands_over_what_waits_and_wants_nothing() -> None:
    board = Board()
    waiting = add(board, 2)
    for task in waiting:
        board.ready(task)
    assert board.close() == waiting
    assert board.next_ready(0) == []
    assert board.wanted() == 0
    board.reopen()
    assert not board.empty


def test_waiting_ends_when_something_comes() -> None:
    board = Board()
    task = add(board, 1)[0]
    threading.Timer(0.1, board.ready, [task]).start()
    began = time.monotonic()
    assert board.next_ready(5) == [task]
    assert time.monotonic() - began < 2
