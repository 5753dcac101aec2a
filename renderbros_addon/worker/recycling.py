"""When a renderer that still works is better replaced: Blender does not give back all that a scene has taken."""

from __future__ import annotations

import time

from .renderer_process import RendererProcess

MOST_TASKS = 5000
"""Tasks that a renderer serves in its life, however well it behaves."""

_GROWN_SHARE, _GROWN_BYTES = 0.5, 512 << 20
"""A renderer has grown if it uses more than it did with the scene fresh by this share of that, and by so many bytes:
later frames of an honest scene take more as well."""

_SETTLED = 3
"""Tasks after which a scene has taken what it needs."""

_LEAST_LIFE = 120.0
"""Seconds that a renderer lives at least: one that grows so fast again does not leak, its scene grows."""


class Recycling:
    """Watches one renderer after the other, each of which serves one job. All methods belong to one thread."""

    def __init__(self) -> None:
        self._renderer: RendererProcess | None = None
        self._since = 0.0
        self._tasks = 0
        self._fresh = 0

    def served(self, renderer: RendererProcess) -> None:
        """``renderer`` has just served a task."""
        if renderer is not self._renderer:
            self._renderer, self._since = renderer, time.monotonic()
            self._tasks = self._fresh = 0
        self._tasks += 1
        if self._tasks <= _SETTLED:
            self._fresh = max(self._fresh, renderer.memory)

    def due(self, renderer: RendererProcess) -> str:
        """Why ``renderer`` is to be replaced before it serves another task; empty if it is not."""
        if renderer is not self._renderer:
            return ""
        if self._tasks >= MOST_TASKS:
            return f"it has served {self._tasks} tasks"
        grown = renderer.memory - self._fresh
        if (
            self._tasks > _SETTLED
            and grown > max(_GROWN_BYTES, _GROWN_SHARE * self._fresh)
            and time.monotonic() - self._since > _LEAST_LIFE
        ):
            return f"it has grown by {grown / 2**20:.0f} MiB since its scene was opened"
        return ""
