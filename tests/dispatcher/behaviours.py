"""How workers of the simulated farm behave: honest ones with their troubles, and the ways to cheat.

A cheat sees what a worker sees: the task. A part of a frame that is rendered whole is told by its size, and is a check.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from dispatcher.simulated_pixels import Cheat

from renderbros_addon.protocol.leases import Task
from renderbros_addon.protocol.regions import Region

WIDTH, HEIGHT = 1920, 1080
FULL = Region.full(WIDTH, HEIGHT)


def is_plain_check(task: Task) -> bool:
    """Can a worker see that this is a check?"""
    return not task.linear and task.region != FULL


class Behaviour(Protocol):
    def cheat(self, task: Task, random: Random) -> Cheat | None:
        """What is wrong with what comes of ``task``; None for right pixels. Asked once for each."""


class Honest:
    def cheat(self, task: Task, random: Random) -> Cheat | None:
        del task, random
        return None


@dataclass
class Always:
    """Never renders whole frames as asked; ``checks`` says whether it bothers with parts, which it knows for checks."""

    name: str
    lazy: bool = False

    def cheat(self, task: Task, random: Random) -> Cheat | None:
        del random
        return None if is_plain_check(task) and not self.lazy else Cheat(self.name)


@dataclass
class Sometimes:
    name: str
    rate: float

    def cheat(self, task: Task, random: Random) -> Cheat | None:
        return Cheat(self.name) if random.random() < self.rate and not is_plain_check(task) else None


@dataclass
class Turncoat:
    """Honest for so many tasks, then never."""

    name: str
    after: int
    done: int = 0

    def cheat(self, task: Task, random: Random) -> Cheat | None:
        del random
        self.done += 1
        return Cheat(self.name) if self.done > self.after and not is_plain_check(task) else None


@dataclass
class Stamp:
    """A small mark in each picture."""

    name: str
    spot: Region = field(default=Region(x0=1600, y0=900, x1=1800, y1=1000))

    def cheat(self, task: Task, random: Random) -> Cheat | None:
        del random
        return Cheat(self.name, spot=self.spot) if task.region == FULL else None


@dataclass
class BrokenGpu:
    """Garbage now and then, another one each time."""

    rate: float

    def cheat(self, task: Task, random: Random) -> Cheat | None:
        del task
        return Cheat(f"garbage {random.random()}", gross=True) if random.random() < self.rate else None


@dataclass
class Ring:
    """What colluding owners tell each other: which frames one of them has cheated with."""

    name: str
    rate: float
    """Of the frames that none of them had, those that they cheat with."""
    framing: float = 0.0
    """Of the checks that they see to be such, those that they answer wrong, so that the third may be one of them."""
    theirs: set[tuple[str, int]] = field(default_factory=set)


@dataclass
class Colluder:
    ring: Ring

    def cheat(self, task: Task, random: Random) -> Cheat | None:
        key = (task.job_id, task.frame)
        rate = self.ring.framing if is_plain_check(task) else self.ring.rate
        if key not in self.ring.theirs and random.random() >= rate:
            return None
        self.ring.theirs.add(key)
        return Cheat(f"{self.ring.name} {task.frame}")
