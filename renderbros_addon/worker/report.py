"""Tells the machine's owner what the worker does: a JSON file that is replaced at each change."""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from pydantic import ValidationError

from ..protocol.lending import Earned, LendingState, TaskReport, WorkerReport
from .board import Board, HeldTask, Image, Stage
from .log_ring import clean_text

log = logging.getLogger("renderbros.worker")

_ALL, _CLIENT = "renderbros", "renderbros.client"
_BEAT_SECONDS = 5.0
"""The file is written so often though nothing changed."""
_MOST_BYTES = 1 << 16


class Report:
    """What is in the file at ``path``; with None nothing is written. Safe between threads.

    What the file says was earned before is counted on.
    """

    def __init__(self, path: Path | None, dispatcher: str) -> None:
        self._path = path
        self._before = _earned_before(path)
        self._earned = Earned()
        self._lock = threading.Lock()
        self._known: dict[str, Any] = {
            "dispatcher": dispatcher, "pid": os.getpid(), "created": psutil.Process().create_time(),
        }  # fmt: skip
        self._state = LendingState.STARTING
        self._reason = ""
        self._written: WorkerReport | None = None
        self._written_at = 0.0
        self._begun: dict[str, float] = {}
        self._handler = _LastTrouble()
        logging.getLogger(_ALL).addHandler(self._handler)

    def know(self, **facts: Any) -> None:
        """Facts that stay: ``name``, ``worker_id``, ``devices``."""
        with self._lock:
            self._known |= facts

    def delivered(self, task: HeldTask, image: Image) -> None:
        """The dispatcher took it."""
        region = task.lease.task.region
        share = Earned(tasks=1, seconds=max(0.0, image.render_seconds), pixels=region.width * region.height)
        with self._lock:
            self._earned += share

    def end(self, code: int) -> None:
        """The last word, with the exit code."""
        logging.getLogger(_ALL).removeHandler(self._handler)
        with self._lock:
            failed = LendingState.FAILED, self._handler.trouble or f"it ended with exit code {code}"
            self._state, self._reason = failed if code else (LendingState.STOPPED, "")
            self._write(None, 0)

    def tell(self, state: LendingState, reason: str = "", board: Board | None = None) -> None:
        """Write what changed. ``RENDERING`` and ``WAITING`` are told apart by what is on the ``board``."""
        held = board.held() if board else []
        rendering = [task for task in held if task.stage is Stage.RENDERING and not task.cancelled]
        if state is LendingState.WAITING and rendering:
            state = LendingState.RENDERING
        if state is LendingState.STARTING:
            reason = reason or self._handler.latest
        with self._lock:
            self._state, self._reason = state, reason
            self._write(self._task(rendering), len(held))

    def _task(self, rendering: list[HeldTask]) -> TaskReport | None:
        now = time.monotonic()
        self._begun = {task.lease.id: self._begun.get(task.lease.id, now) for task in rendering}
        if not rendering:
            return None
        first = rendering[0]
        task, scene = first.lease.task, first.lease.scene
        return TaskReport(
            job_id=task.job_id,
            scene=scene.blend.rpartition("/")[2],
            frame=task.frame,
            region=task.region,
            width=scene.width,
            height=scene.height,
            tiles=len(rendering),
            seconds=round(now - self._begun[first.lease.id], 1),
            progress=first.progress,
        )

    def _write(self, task: TaskReport | None, held: int) -> None:
        if self._path is None:
            return
        report = WorkerReport(
            state=self._state,
            reason=self._reason,
            at=datetime.now(UTC),
            task=task,
            held=held,
            earned=self._earned,
            earned_ever=self._before + self._earned,
            **self._known,
        )
        now = time.monotonic()
        same = self._written is not None and report == self._written.model_copy(update={"at": report.at})
        if same and now - self._written_at < _BEAT_SECONDS:
            return
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(report.model_dump_json(), encoding="utf-8")
            new.replace(self._path)
        except OSError as error:
            # On Windows somebody may read it just now. The next one comes soon.
            log.debug("the status can't be written: %s", error)
            return
        self._written, self._written_at = report, now


class _LastTrouble(logging.Handler):
    """Remembers what the log last warned of: why a start takes long, or why it failed."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.trouble = ""
        """The last warning."""
        self.latest = ""
        """That, or what came after it of tries to reach the dispatcher, which are no warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        warns = record.levelno >= logging.WARNING
        if warns or record.name == _CLIENT:
            self.latest = clean_text(record.getMessage())
        if warns:
            self.trouble = self.latest


def _earned_before(path: Path | None) -> Earned:
    try:
        if path is None or path.stat().st_size > _MOST_BYTES:
            return Earned()
        return WorkerReport.model_validate_json(path.read_bytes()).earned_ever
    except (OSError, ValidationError):
        return Earned()
