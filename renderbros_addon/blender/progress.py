"""How far a render is, from what Blender prints while it renders."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import bpy

from ..protocol.leases import Progress

# Cycles says "Sample 3/64"; EEVEE says "Rendering 3 / 64 samples".
_SAMPLE = re.compile(r"(?:Sample|Rendering) +(\d+) ?/ ?(\d+)")


def parse_samples(text: str) -> tuple[int, int] | None:
    """Samples done and to do, from one line of an engine's statistics; None if it tells neither."""
    found = _SAMPLE.search(text)
    if not found:
        return None
    done, total = int(found[1]), int(found[2])
    return (done, total) if 0 <= done <= total and total > 0 else None


class ProgressBoard:
    """The latest count, written by Blender's render threads and read by the clock thread.

    A render thread only stores a tuple here, which Python does in one step: it never waits for the pipe.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = 0.0
        self._samples: tuple[int, int] | None = None
        self._shown: tuple[int, int] | None = None
        self._task: str | None = None

    @contextmanager
    def watching(self, task: str) -> Iterator[None]:
        """Take what Blender prints as progress of ``task``."""
        self._samples = self._shown = None
        self._started = self._clock()
        self._task = task
        bpy.app.handlers.render_stats.append(self._note)
        try:
            yield
        finally:
            self._task = None
            bpy.app.handlers.render_stats.remove(self._note)

    @contextmanager
    def counting(self, task: str, total: int) -> Iterator[Callable[[int], None]]:
        """Take what the yielded function is told as how many of ``total`` parts of ``task`` are done."""

        def tell(done: int) -> None:
            self._samples = (done, total)

        self._shown = None
        self._started = self._clock()
        self._samples = (0, total)
        self._task = task
        try:
            yield tell
        finally:
            self._task = None

    def news(self) -> tuple[str, Progress] | None:
        """The task and its progress if that has changed since the last call."""
        task, samples = self._task, self._samples
        if task is None or samples is None or samples == self._shown:
            return None
        self._shown = samples
        done, total = samples
        elapsed = self._clock() - self._started
        left = elapsed * (total - done) / done if done else None
        return task, Progress(sample=done, samples=total, seconds_left=left)

    def _note(self, text: object, *_: object) -> None:
        if isinstance(text, str):
            self._samples = parse_samples(text) or self._samples
