"""When a renderer that still works is better replaced: Blender does not give back all that scenes have taken."""

from __future__ import annotations

import time

from .renderer_process import RendererProcess

MOST_SCENES = 8
"""Scenes that a renderer opens in its life, where it serves several jobs. The open that a new one begins with is due
at a change of job anyway, so a replacement costs no more than Blender's start."""

MOST_TASKS = 5000
"""Tasks that a renderer serves in its life, however well it behaves."""

_GROWN_SHARE, _GROWN_BYTES = 0.5, 512 << 20
"""A renderer has grown if it uses more than it did with the scene fresh by this share of that, and by so many bytes:
later frames of an honest scene take more as well."""

_SETTLED = 3
"""Tasks after which a scene has taken what it needs."""

_LEAST_LIFE = 120.0
"""Seconds that a renderer lives at least within a job: one that grows so fast again does not leak, its scene grows."""


class Recycling:
    """Watches one renderer after the other. All methods belong to one thread."""

    def __init__(self) -> None:
        self._renderer: RendererProcess | None = None
        self._job: str | None = None
        self._since = 0.0
        self._scenes = 0
        self._tasks = 0
        self._of_scene = 0
        self._fresh = 0

    def served(self, renderer: RendererProcess, job_id: str) -> None:
        """``renderer`` has just served a task of a job."""
        if renderer is not self._renderer:
            self._renderer, self._job, self._since = renderer, None, time.monotonic()
            self._scenes = self._tasks = 0
        if job_id != self._job:
            self._job = job_id
            self._scenes += 1
            self._of_scene = self._fresh = 0
        self._tasks += 1
        self._of_scene += 1
        if self._of_scene <= _SETTLED:
            self._fresh = max(self._fresh, renderer.memory)

    def due(self, renderer: RendererProcess, job_id: str) -> str:
        """Why ``renderer`` is to be replaced before it serves a task of a job; empty if it is not."""
        if renderer is not self._renderer:
            return ""
        if job_id != self._job and self._scenes >= MOST_SCENES:
            return f"it has opened {self._scenes} scenes"
        if self._tasks >= MOST_TASKS:
            return f"it has served {self._tasks} tasks"
        grown = renderer.memory - self._fresh
        if (
            job_id == self._job
            and self._of_scene > _SETTLED
            and grown > max(_GROWN_BYTES, _GROWN_SHARE * self._fresh)
            and time.monotonic() - self._since > _LEAST_LIFE
        ):
            return f"it has grown by {grown / 2**20:.0f} MiB since its scene was opened"
        return ""
