"""When a renderer has served long enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from renderbros_addon.worker import recycling
from renderbros_addon.worker.recycling import Recycling
from renderbros_addon.worker.renderer_process import RendererProcess

MIB = 1 << 20


def renderer(memory: int) -> RendererProcess:
    """One that was seen to use ``memory`` bytes."""
    process = RendererProcess(["true"], scratch=Path("unused"))
    process._watch.used = memory
    return process


def test_a_renderer_serves_so_many_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recycling, "MOST_TASKS", 5)
    watch, one = Recycling(), renderer(300 * MIB)
    for _ in range(5):
        assert watch.due(one) == ""
        watch.served(one)
    assert "5 tasks" in watch.due(one)
    another = renderer(300 * MIB)
    assert watch.due(another) == ""
    watch.served(another)
    assert watch.due(another) == ""


@pytest.mark.parametrize(("grown", "due"), [(1500, True), (400, False)])
def test_a_renderer_that_grows(monkeypatch: pytest.MonkeyPatch, grown: int, due: bool) -> None:
    monkeypatch.setattr(recycling, "_LEAST_LIFE", 0.0)
    watch, one = Recycling(), renderer(800 * MIB)
    for _ in range(10):
        watch.served(one)
    assert watch.due(one) == ""
    one._watch.used = (800 + grown) * MIB
    assert bool(watch.due(one)) is due


def test_a_scene_that_grows_at_once_is_not_opened_over_and_over() -> None:
    watch, one = Recycling(), renderer(800 * MIB)
    for _ in range(10):
        watch.served(one)
    one._watch.used = 8000 * MIB
    assert watch.due(one) == ""
