"""What a person sees of a job."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from renderbros_addon.cli import progress
from renderbros_addon.cli.output import Output
from renderbros_addon.protocol.jobs import JobView, RunningTask
from renderbros_addon.protocol.states import JobStatus, TaskKind, TaskStatus


def running(worker: str, frame: int, sample: int | None = None, **more: Any) -> RunningTask:
    samples = None if sample is None else 64
    return RunningTask(
        task_id=f"t-{worker}-{frame}", kind=TaskKind.RENDER, frame=frame, worker_id=worker, worker_name=worker,
        sample=sample, samples=samples, **more,
    )  # fmt: skip


def job(*tasks: RunningTask, **more: Any) -> JobView:
    facts: dict[str, Any] = {
        "id": "j", "name": "[red]shot", "status": JobStatus.ACTIVE, "priority": 50, "created_at": datetime.now(UTC),
        "frames": (1, 2, 3), "tiles": None, "width": 64, "height": 48, "frame_name": "####.png",
        "tasks": {TaskStatus.ACCEPTED: 1, TaskStatus.LEASED: 2}, "frames_done": 1, "progress": 0.5, "running": tasks,
    }  # fmt: skip
    return JobView(**(facts | more))


@pytest.fixture
def out() -> Output:
    made = Output(as_json=False, verbose=False)
    made.notes = Console(file=io.StringIO(), width=120, highlight=False, soft_wrap=True)
    return made


def said(out: Output) -> str:
    assert isinstance(out.notes.file, io.StringIO)
    return out.notes.file.getvalue()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", -1.0)


@pytest.mark.usefixtures("at_once")
def test_plain_lines_tell_what_each_worker_renders_and_not_what_it_holds_ahead(out: Output) -> None:
    with progress.PlainDisplay(out) as shown:
        shown.show(job(running("b", 4), running("a", 2, 16, seconds_left=65.0), running("a", 3), running("b", 3, 1)))
    assert said(out) == "1 of 3 frames, 1 of 3 tasks: a frame 2 sample 16/64 1:05 left; b frame 3 sample 1/64\n"


def test_plain_lines_are_few(out: Output) -> None:
    with progress.PlainDisplay(out) as shown:
        for _ in range(100):
            shown.show(job(running("a", 2, 16)))
    assert said(out) == ""


def test_the_live_display_has_the_job_and_its_tasks_and_takes_names_literally(out: Output) -> None:
    out.notes = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    with progress.LiveDisplay(out) as shown:
        shown.show(job(running("a", 2, 16, seconds_left=5.0), seconds_left=70.0))
    assert "[red]shot" in said(out)
    assert "1 of 3 frames" in said(out)
    assert "1:10 left" in said(out)
    assert "sample 16/64 0:05 left" in said(out)


def test_the_live_display_says_why_nothing_runs(out: Output) -> None:
    out.notes = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    with progress.LiveDisplay(out) as shown:
        shown.show(job(waiting="no worker has a GPU"))
    assert "no worker has a GPU" in said(out)


def test_progress_is_redrawn_only_for_someone_who_looks() -> None:
    out = Output(as_json=False, verbose=False)
    out.notes = Console(file=io.StringIO())
    assert isinstance(progress.display(out), progress.PlainDisplay)
    out.notes = Console(file=io.StringIO(), force_terminal=True)
    assert isinstance(progress.display(out), progress.LiveDisplay)
