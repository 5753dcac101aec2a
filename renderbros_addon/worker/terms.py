"""On what terms a machine is lent: at which hours, only while its owner is away, only on mains power."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time

_SPAN = re.compile(r"(\d{1,2})(?::(\d{2}))?-(\d{1,2})(?::(\d{2}))?")
_DAY = 24 * 60


@dataclass(frozen=True)
class Hours:
    """A span of each day, in local time: from ``begin`` to before ``end``, in minutes after midnight.

    It goes over midnight if ``end`` comes before ``begin``; equal, it is the whole day.
    """

    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Hours:
        """``20:00-08:00`` or ``20-8``. ValueError says what is wrong."""
        found = _SPAN.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"hours are given as 20:00-08:00, not {text!r}")
        minutes = [int(found[i]) * 60 + int(found[i + 1] or 0) for i in (1, 3)]
        if any(int(found[i] or 0) > 59 for i in (2, 4)) or max(minutes) > _DAY:
            raise ValueError(f"there is no such time of day as in {text!r}")
        return cls(minutes[0] % _DAY, minutes[1] % _DAY)

    def __contains__(self, now: time) -> bool:
        minute = now.hour * 60 + now.minute
        return (minute - self.begin) % _DAY < ((self.end - self.begin) % _DAY or _DAY)

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (self.begin, self.end))


def parse_hours(text: str) -> tuple[Hours, ...]:
    """Several spans, with commas between them; none in an empty text."""
    return tuple(Hours.parse(part) for part in text.split(",") if part.strip())


@dataclass(frozen=True)
class Terms:
    """What the owner allows. The default allows everything."""

    hours: tuple[Hours, ...] = ()
    """Only within one of these; at any time if there are none."""
    idle_minutes: float | None = None
    """Only after keyboard and mouse were left alone for so long."""
    pause_on_battery: bool = False


@dataclass(frozen=True)
class Moment:
    """What the terms are held against."""

    now: time
    """Local time of day."""
    idle_seconds: float | None = None
    """Since somebody last used keyboard or mouse; None if this machine does not tell."""
    on_battery: bool = False
    told: str | None = None
    """Why the owner asked for a pause, which may be empty; None if they did not."""


@dataclass(frozen=True)
class Ruling:
    """Whether to work. If not, ``reason`` says why, and ``at_once`` that what is being rendered is given up, too."""

    may: bool
    reason: str = ""
    at_once: bool = False


def ruling(terms: Terms, moment: Moment) -> Ruling:
    """What ``terms`` say at ``moment``. An owner who is there, or a battery, can't wait for a frame; a clock can."""
    if moment.told is not None:
        return Ruling(False, moment.told or "its owner asked for it", at_once=True)
    if terms.pause_on_battery and moment.on_battery:
        return Ruling(False, "this machine runs on its battery", at_once=True)
    if terms.idle_minutes is not None:
        if moment.idle_seconds is None:
            return Ruling(False, "this machine does not tell whether somebody uses it", at_once=True)
        if moment.idle_seconds < terms.idle_minutes * 60:
            left = terms.idle_minutes - moment.idle_seconds / 60
            return Ruling(False, f"somebody uses this machine; free in {_minutes(left)} at the earliest", at_once=True)
    if terms.hours and not any(moment.now in span for span in terms.hours):
        return Ruling(False, f"lent only at {_spoken(terms.hours)}")
    return Ruling(True)


def _minutes(left: float) -> str:
    return f"{left:.0f} min" if left >= 1 else "less than a minute"


def _spoken(hours: Sequence[Hours]) -> str:
    return " and ".join(map(str, hours))
