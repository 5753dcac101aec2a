"""Tiles that are rendered at once: which, how many, and what becomes of each when one is cancelled or fails."""

from __future__ import annotations

import pytest
from worker.test_board import SPEC

from renderbros_addon.protocol.leases import Lease, Task
from renderbros_addon.protocol.regions import Region, TileGrid, fill, hull
from renderbros_addon.protocol.states import TaskKind
from renderbros_addon.worker.blocks import best_block
from renderbros_addon.worker.board import Board, HeldTask, Stage

GRID = TileGrid.parse("8x8").in_blocks(1280, 720)


def tile(number: int, region: Region, **changes: object) -> Task:
    fields = {"id": f"t{number}", "job_id": "j", "kind": TaskKind.RENDER, "frame": 1, "region": region, "linear": True}
    return Task(**fields | changes)  # type: ignore[arg-type]


def board_with(tasks: list[Task], seconds: float = 0.1) -> tuple[Board, list[HeldTask]]:
    """A board whose renderer took ``seconds`` for the job's first tile and has ``tasks`` to do."""
    board = Board()
    first = tile(-1, Region.full(9, 9))
    board.took([HeldTask(Lease(id="first", task=first, scene=SPEC, seconds=60), 0.0)], seconds, seconds)
    held = [board.add(Lease(id=f"l{i}", task=task, scene=SPEC, seconds=60)) for i, task in enumerate(tasks)]
    for task in held:
        board.ready(task)
    return board, held


def test_a_block_is_the_rectangle_with_the_least_edge() -> None:
    assert best_block(GRID[:8], 8) == list(range(8))
    assert best_block(GRID[:8], 5) == [0, 1, 2, 3]
    assert best_block(GRID[:3], 8) == [0, 1], "not the three, which make up an L"
    assert best_block((GRID[0], *GRID[20:24]), 8) == [0], "the oldest waits no longer for the sake of others"
    assert best_block(GRID[:4], 1) == [0]


def test_uneven_tiles_make_a_block_and_overlapping_ones_none() -> None:
    left, upper, lower = (Region.parse(text) for text in ("0,0,9,20", "9,0,30,7", "9,7,30,20"))
    assert best_block((upper, left, lower), 3) == [0, 1, 2]
    # Twice the same tile, one of them to check somebody else's: their areas sum up to the whole, and don't fill it.
    one, half = Region.parse("0,0,10,10"), Region.parse("10,0,20,10")
    assert best_block((one, one, half, half.shifted(10, 0)), 4) in ([0], [0, 2])
    block = best_block((one, one, half.shifted(0, 10), half), 4)
    assert fill([(one, one, half.shifted(0, 10), half)[i] for i in block], hull([one]))


def test_blocks_grow_while_they_take_little_time() -> None:
    board, _ = board_with([tile(i, region) for i, region in enumerate(GRID)])
    sizes = []
    while block := board.next_ready(0):
        sizes.append(len(block))
        regions = [task.lease.task.region for task in block]
        assert fill(regions, hull(regions))
    assert sizes[:3] == [2, 4, 8]
    assert 8 < max(sizes) <= 16
    assert sum(sizes) == 64


@pytest.mark.parametrize(("seconds", "most"), [(20.0, 1), (6.0, 2), (3.5, 4)])
def test_a_block_takes_no_longer_than_it_may(seconds: float, most: int) -> None:
    board, _ = board_with([tile(i, region) for i, region in enumerate(GRID)], seconds)
    assert max(len(board.next_ready(0)) for _ in range(6)) == most


def test_only_tiles_of_one_frame_are_rendered_at_once() -> None:
    others: list[dict[str, object]] = [{"frame": 2}, {"job_id": "k"}, {"linear": False}, {"kind": TaskKind.FINISH}]
    for other in others:
        board, held = board_with([tile(0, GRID[0]), tile(1, GRID[1], **other)])
        assert board.next_ready(0) == held[:1]


def test_a_block_at_hand_is_let_grow_until_there_is_hurry() -> None:
    board, held = board_with([tile(0, GRID[0])])
    assert board.next_of("j", hurry=False) == []
    assert board.next_of("j") == held


def test_what_failed_at_once_is_rendered_one_by_one() -> None:
    board, held = board_with([tile(i, region) for i, region in enumerate(GRID[:4])])
    block = board.next_ready(0)
    assert block == held[:2]
    board.one_by_one(block)
    assert held[0].stage is Stage.READY
    assert [board.next_ready(0) for _ in range(4)] == [[task] for task in held]


def test_a_block_is_interrupted_once_nobody_wants_any_of_it() -> None:
    board, held = board_with([tile(i, region) for i, region in enumerate(GRID[:3])])
    interrupted: list[HeldTask] = []
    board.interrupt = interrupted.append
    assert board.next_ready(0) == held[:2]
    board.cancel("l0")
    board.cancel("l2")
    assert interrupted == []
    board.cancel("l1")
    assert interrupted == [held[1]]


def test_a_block_is_not_waited_for_where_others_want_tiles_too() -> None:
    board, _ = board_with([tile(i, region) for i, region in enumerate(GRID[:8])], 1.5)
    for _ in range(2):
        board.next_ready(0)
    assert board.wanted() > 0, "two wait, and eight could be rendered at once"
    board.answered(8, 3)
    assert board.wanted() == 0
