"""The board: how many tasks are wanted, and what a cancel does at each stage."""

from __future__ import annotations

import threading
import time

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


def lease(number: int) -> Lease:
    task = Task(id=f"t{number}", job_id="j", kind=TaskKind.RENDER, frame=number, region=Region.full(4, 4), linear=False)
    return Lease(id=f"l{number}", task=task, scene=SPEC, seconds=60)


def add(board: Board, count: int) -> list[HeldTask]:
    start = len(board.held())
    return [board.add(lease(start + i)) for i in range(count)]


def test_long_tasks_are_leased_one_ahead() -> None:
    board = Board()
    assert board.wanted() == 1
    first = add(board, 1)[0]
    assert board.wanted() == 1
    board.ready(first)
    assert board.next_ready(0) is first
    assert board.wanted() == 1
    second = add(board, 1)[0]
    assert board.wanted() == 0
    board.finish(first, HandBack("done"))
    assert board.wanted() == 1
    assert second.stage is Stage.FETCHING


@pytest.mark.parametrize(("seconds", "ahead"), [(0.05, 13), (0.5, 9), (1.5, 4), (2.5, 1), (60, 1)])
def test_short_tasks_are_leased_in_batches(seconds: float, ahead: int) -> None:
    board = Board()
    board.took(seconds)
    assert board.wanted() == ahead


def test_results_that_pile_up_stop_the_leasing() -> None:
    board = Board()
    board.took(0.1)
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
    assert board.next_ready(0) is rendering
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
    assert board.next_ready(0) is None
    assert board.wanted() == 0
    board.reopen()
    assert not board.empty


def test_waiting_ends_when_something_comes() -> None:
    board = Board()
    task = add(board, 1)[0]
    threading.Timer(0.1, board.ready, [task]).start()
    began = time.monotonic()
    assert board.next_ready(5) is task
    assert time.monotonic() - began < 2
