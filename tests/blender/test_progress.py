"""Progress from the words that engines print."""

from __future__ import annotations

from typing import Any

import pytest

from renderbros_addon.blender.progress import ProgressBoard, parse_samples


@pytest.mark.parametrize(
    ("text", "samples"),
    [
        (
            "Fra:1 Mem:8.43M (Peak 8.43M) | Time:00:00.00 | Mem:0.19M, Peak:0.19M | Scene, ViewLayer | Sample 1/8",
            (1, 8),
        ),
        ("Remaining: 00:00.00 | Mem: 1M | Sample 12/4096", (12, 4096)),
        ("Fra:1 Mem:8M | Scene, ViewLayer | Rendering 3 / 64 samples", (3, 64)),
        ("Mem: 1M | Updating Scene BVH | Building BVH 0%", None),
        ("Sample 9/8", None),
        ("Sample 0/0", None),
        ("Finished", None),
    ],
)
def test_lines_of_all_versions(text: str, samples: tuple[int, int] | None) -> None:
    assert parse_samples(text) == samples


def test_the_board_tells_news_once_and_guesses_the_rest() -> None:
    now = [100.0]
    board = ProgressBoard(clock=lambda: now[0])
    assert board.news() is None
    with board.watching("task"):
        assert board.news() is None
        board._note("Sample 0/8", None)
        news = board.news()
        assert news is not None
        assert (news[0], news[1].sample, news[1].seconds_left) == ("task", 0, None)
        now[0] += 3
        board._note("Sample 2/8", None)
        board._note("something else", None)
        news = board.news()
        assert news is not None
        assert (news[1].sample, news[1].samples, news[1].seconds_left) == (2, 8, 9.0)
        assert board.news() is None
    board._note("Sample 3/8", None)
    assert board.news() is None


def test_a_real_render_tells_its_samples(studio: Any) -> None:
    studio.take(samples=5)
    told: list[Any] = []

    class Listening(ProgressBoard):
        def _note(self, text: object, *rest: object) -> None:
            super()._note(text, *rest)
            told.append(self.news())

    from renderbros_addon.blender.render import render

    render(studio.request(), Listening())
    last = [news for news in told if news][-1]
    assert (last[0], last[1].sample, last[1].samples) == ("task", 5, 5)
