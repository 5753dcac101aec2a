"""When a renderer has served long enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from renderbros_addon.worker import recycling
from renderbros_addon.worker.recycling import MOST_SCENES, Recycling
from renderbros_addon.worker.renderer_process import RendererProcess

MIB = 1 << 20


def renderer(memory: int) -> RendererProcess:
    """One that was seen to use ``memory`` bytes."""
    process = RendererProcess(["true"], scratch=Path("unused"))
    process._used = memory
    return process


def test_a_renderer_opens_so_many_scenes() -> None:
    watch, one = Recycling(), renderer(300 * MIB)
    assert watch.due(one, "job 0") == ""
    for number in range(MOST_SCENES):
        assert watch.due(one, f"job {number}") == ""
        watch.served(one, f"job {number}")
    last = f"job {MOST_SCENES - 1}"
    assert watch.due(one, last) == "", "not within a job: its scene is open"
    assert "scenes" in watch.due(one, "next")
    another = renderer(300 * MIB)
    assert watch.due(another, "next") == ""
    watch.served(another, "next")
    assert watch.due(another, "after that") == ""


@pytest.mark.parametrize(("grown", "due"), [(1500, True), (400, False)])
def test_a_renderer_that_grows_within_a_job(monkeypatch: pytest.MonkeyPatch, grown: int, due: bool) -> None:
    monkeypatch.setattr(recycling, "_LEAST_LIFE", 0.0)
    watch, one = Recycling(), renderer(800 * MIB)
    for _ in range(10):
        watch.served(one, "job")
    assert watch.due(one, "job") == ""
    one._used = (800 + grown) * MIB
    assert bool(watch.due(one, "job")) is due
    # Another job closes the scene, and with it goes what it took.
    assert watch.due(one, "another") == ""


def test_a_scene_that_grows_at_once_is_not_opened_over_and_over() -> None:
    watch, one = Recycling(), renderer(800 * MIB)
    for _ in range(10):
        watch.served(one, "job")
    one._used = 8000 * MIB
    assert watch.due(one, "job") == ""
