"""What the extension has children do just now, and the timer by which their words reach the main thread."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Mapping
from typing import Any

import bpy

from .child import OFFLINE, Child

log = logging.getLogger("renderbros.desktop")

LOOK_SECONDS = 0.1
"""Between two looks at what children have said, while there are any."""

BUDGET_SECONDS = 0.005
"""What a look may take, apart from the reply that it is at: Blender draws and answers in between."""

Reply = dict[str, Any]


class Activity:
    """A child at work for one ``purpose``. ``hear`` is called on the main thread with each reply it does not know."""

    def __init__(
        self,
        purpose: str,
        request: Mapping[str, Any],
        hear: Callable[[Reply], None],
        ended: Callable[[Activity], None] | None = None,
    ) -> None:
        self.purpose = purpose
        self.step = ""
        """What it is doing, in words."""
        self.fraction: float | None = None
        """How much of that is done; None where nobody knows."""
        self.problem: str | None = None
        """Why it failed."""
        self.cancelled = False
        self.child = Child(request)
        self._hear = hear
        self._ended = ended

    def cancel(self) -> None:
        """End it; returns at once."""
        self.cancelled = True
        self.child.end()

    def take(self, reply: Reply) -> None:
        """Act on one reply."""
        kind = reply.get("type")
        if kind == "step":
            self.step, self.fraction = str(reply.get("text", "")), reply.get("fraction")
        elif kind == "failed":
            self.problem = str(reply.get("message") or "it failed and did not say why")
            self._hear(reply)
        else:
            self._hear(reply)

    def over(self) -> None:
        """Its child has ended, and all it said was heard."""
        done = self.child.exit_code == 0
        if not done and self.problem is None and not self.cancelled:
            self.problem = f"the process that should do it ended unexpectedly:\n{self.child.log_tail}".rstrip(":\n")
        if self._ended:
            self._ended(self)


_running: list[Activity] = []
_outcome: dict[str, str] = {}


def start(
    purpose: str,
    request: Mapping[str, Any],
    hear: Callable[[Reply], None],
    ended: Callable[[Activity], None] | None = None,
) -> Activity:
    """Have a child do what ``request`` says. NotAllowed and OSError as :class:`Child`."""
    activity = Activity(purpose, request, hear, ended)
    _running.append(activity)
    if not bpy.app.timers.is_registered(_tick):
        # Opening another file must not silence the children.
        bpy.app.timers.register(_tick, first_interval=LOOK_SECONDS, persistent=True)
    return activity


def running(purpose: str | None = None) -> Activity | None:
    """The latest activity for ``purpose`` (any, for None) that has not ended."""
    return next((one for one in reversed(_running) if purpose in (None, one.purpose)), None)


def everything() -> tuple[Activity, ...]:
    """All that runs."""
    return tuple(_running)


def look() -> bool:
    """Hear what children have said, for as long as the budget allows; whether something came or ended."""
    stop = time.perf_counter() + BUDGET_SECONDS
    news = False
    if not bpy.app.online_access:
        # It was allowed when they were started, and is not any more.
        for activity in _running:
            if not activity.cancelled:
                activity.cancel()
                activity.problem = OFFLINE
    for activity in list(_running):
        alive = activity.child.running
        while time.perf_counter() < stop:
            try:
                reply = activity.child.replies.get_nowait()
            except queue.Empty:
                # Nothing is left to come: it had ended before the last word was heard.
                if not alive:
                    _running.remove(activity)
                    activity.over()
                    news = True
                break
            news = True
            activity.take(reply)
    return news


def _tick() -> float | None:
    try:
        if look():
            redraw()
    except Exception:
        # A timer that raises is gone for good, and with it all that children say.
        log.exception("what a child said could not be shown")
    return LOOK_SECONDS if _running else None


def redraw() -> None:
    """Have Blender draw again where the extension shows something."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("PROPERTIES", "PREFERENCES", "IMAGE_EDITOR"):
                area.tag_redraw()


def register() -> None:
    """There is nothing to register before something runs."""


def unregister() -> None:
    """End all children, and wait until they have: none outlives the extension."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    ending = list(_running)
    _running.clear()
    for activity in ending:
        activity.cancel()
    for activity in ending:
        activity.child.wait()
        activity.over()
