"""What a worker tells those on its own machine, as JSON in a file, and the words they may tell it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from .base import MAX_COUNT, MAX_SECONDS, Prose, Wire
from .leases import Progress
from .regions import Region


class LendingState(StrEnum):
    STARTING = "starting"
    """Starts Blender, or is not known to the dispatcher yet."""
    WAITING = "waiting"
    """There is no work."""
    RENDERING = "rendering"
    PAUSED = "paused"
    """Its owner's terms allow no work now."""
    STOPPED = "stopped"
    FAILED = "failed"


class OwnerWord(StrEnum):
    """First line of a worker's control file. The second may say why, and the third for which process: when that has
    ended, nothing is said any more."""

    RUN = "run"
    PAUSE = "pause"
    """Hand back everything at once, and take nothing until told ``run``."""
    STOP = "stop"


class Earned(Wire):
    """What was rendered, delivered and taken."""

    tasks: int = Field(default=0, ge=0, le=MAX_COUNT)
    seconds: float = Field(default=0.0, ge=0, le=MAX_SECONDS)
    """Of rendering."""
    pixels: int = Field(default=0, ge=0, le=MAX_COUNT)

    def __add__(self, other: Earned) -> Earned:
        return Earned(
            tasks=self.tasks + other.tasks, seconds=self.seconds + other.seconds, pixels=self.pixels + other.pixels
        )


class TaskReport(Wire):
    """What is being rendered; of tiles that are rendered at once, the first."""

    job_id: str
    scene: Prose
    """File name of the scene."""
    frame: int
    region: Region
    width: int
    height: int
    """Of the whole frame."""
    tiles: int = 1
    seconds: float
    """Since it was begun."""
    progress: Progress | None = None


class WorkerReport(Wire):
    """The file of ``worker --status``. It is written at each change, and every few seconds."""

    state: LendingState
    reason: Prose = ""
    """Why it is paused or failed, or what holds it up."""
    at: datetime
    pid: int
    created: float
    """When the process ``pid`` was started, in seconds since 1970: a number alone may be another's by now."""
    dispatcher: str
    name: str = ""
    worker_id: str = ""
    devices: tuple[Prose, ...] = ()
    task: TaskReport | None = None
    held: int = Field(default=0, ge=0)
    """Tasks in hand, with those that wait or are under way to the dispatcher."""
    earned: Earned = Earned()
    """Since this process began."""
    earned_ever: Earned = Earned()
    """As far as this file goes back."""
