"""Showing how far a job is: redrawn in place for a person, plain lines for a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..protocol.jobs import JobView, RunningTask
from ..protocol.states import TaskKind, TaskStatus
from .fetching import FetchedFile
from .output import Output

PLAIN_SECONDS = 10.0
"""Between two lines about running tasks where nothing is redrawn."""


class Display(Protocol):
    """What watches a job."""

    def step(self, text: str) -> None:
        """Say what is being done before the job runs."""

    def show(self, job: JobView) -> None:
        """The job's present state."""

    def finished(self, file: FetchedFile, job: JobView) -> None:
        """A finished frame has come home."""


def display(out: Output) -> LiveDisplay | PlainDisplay:
    """The display that fits where standard error goes; a context manager."""
    return LiveDisplay(out) if out.live else PlainDisplay(out)


class PlainDisplay:
    """One line for what has changed."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._frames: set[int] = set()
        self._waiting: str | None = None
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def step(self, text: str) -> None:
        self._out.note(text)

    def show(self, job: JobView) -> None:
        now = time.monotonic()
        if job.waiting != self._waiting:
            self._waiting = job.waiting
            if job.waiting:
                self._out.note(f"waiting: {job.waiting}")
        if job.running and now - self._last > PLAIN_SECONDS:
            self._last = now
            self._out.note(f"{_headline(job)}: " + "; ".join(_words(task) for task in _at_work(job)))

    def finished(self, file: FetchedFile, job: JobView) -> None:
        self._frames.add(file.frame)
        self._last = time.monotonic()
        self._out.note(f"frame {file.frame} is done ({len(self._frames)} of {len(job.frames)}): {file.path}")


class LiveDisplay:
    """A bar for the job and a line for each running task."""

    def __init__(self, out: Output) -> None:
        self._live = Live(console=out.notes, refresh_per_second=8, transient=True)
        self._out = out
        self._step = Text("")
        self._job: JobView | None = None
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def step(self, text: str) -> None:
        self._step = Text(text, style="dim")
        self._live.update(self._draw())

    def show(self, job: JobView) -> None:
        self._job = job
        self._live.update(self._draw())

    def finished(self, file: FetchedFile, job: JobView) -> None:
        self.show(job)
        self._live.console.print(f"frame {file.frame}  {file.path}", markup=False)

    def _draw(self) -> RenderableType:
        if self._job is None:
            return self._step
        job = self._job
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            Text(job.name, style="bold"),
            ProgressBar(total=1.0, completed=job.progress, width=40),
            f"{job.progress:.0%}",
            f"{job.frames_done} of {len(job.frames)} frames",
            _clock(time.monotonic() - self._began) + (f", {_clock(job.seconds_left)} left" if job.seconds_left else ""),
        )
        tasks = Table.grid(padding=(0, 2))
        for task in _at_work(job):
            tasks.add_row(
                Text("  " + task.worker_name, style="cyan"),
                _what(task),
                ProgressBar(total=task.samples or 1, completed=task.sample or 0, width=20),
                _samples(task),
            )
        lines: list[RenderableType] = [bar, tasks]
        if not job.running:
            lines.append(Text(f"  {job.waiting or job.status.value}", style="dim"))
        return Group(*lines)


def _at_work(job: JobView) -> list[RunningTask]:
    """What each worker renders; what it has fetched ahead is left out."""
    shown: dict[str, RunningTask] = {}
    for task in job.running:
        if task.worker_id not in shown or (task.sample is not None and shown[task.worker_id].sample is None):
            shown[task.worker_id] = task
    return [shown[worker] for worker in sorted(shown, key=lambda worker: shown[worker].worker_name)]


def _headline(job: JobView) -> str:
    accepted = job.tasks.get(TaskStatus.ACCEPTED, 0)
    left = f", about {_clock(job.seconds_left)} left" if job.seconds_left else ""
    return f"{job.frames_done} of {len(job.frames)} frames, {accepted} of {sum(job.tasks.values())} tasks{left}"


def _words(task: RunningTask) -> str:
    return f"{task.worker_name} {_what(task)} {_samples(task)}".rstrip()


def _what(task: RunningTask) -> str:
    return f"{'finishes ' if task.kind is TaskKind.FINISH else ''}frame {task.frame}"


def _samples(task: RunningTask) -> str:
    words = f"sample {task.sample}/{task.samples}" if task.sample is not None and task.samples else ""
    return f"{words} {_clock(task.seconds_left)} left" if words and task.seconds_left else words


def _clock(seconds: float | None) -> str:
    whole = max(0, round(seconds or 0))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
