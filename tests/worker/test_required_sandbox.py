"""A worker that must be guarded, and what the farm is told of the guards."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from worker.farm import Dispatcher, Work, until

from renderbros_addon.worker import kernel_guard
from renderbros_addon.worker.command import chosen_blender
from renderbros_addon.worker.guard import find_guard


def test_a_worker_that_must_be_guarded_does_not_start_without(
    dispatcher: Dispatcher,
    work: Work,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where there is no bwrap and the kernel has neither of its guards."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setattr(kernel_guard, "landlock_abi", lambda: 0)
    monkeypatch.setattr(kernel_guard, "has_seccomp", lambda: False)
    with caplog.at_level(logging.ERROR, "renderbros.worker"):
        agent = work(sandbox_required=True)
        agent.thread.join(30)
    assert agent.code == [1]
    assert "to have the system's guards" in caplog.text
    assert "bwrap" in caplog.text
    assert dispatcher.client.workers() == ()


def test_the_guards_in_force_are_told(dispatcher: Dispatcher, work: Work, tmp_path: Path) -> None:
    there = find_guard(tmp_path, chosen_blender(None), [])
    work(sandbox_required=there.by_the_system)
    until("a worker", dispatcher.client.workers)
    [told] = dispatcher.client.workers()
    assert told.capabilities.guards == there.layers
    if sys.platform.startswith("linux"):
        assert {"landlock", "bwrap"} & set(told.capabilities.guards) or told.capabilities.unguarded
