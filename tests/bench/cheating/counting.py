"""Verdicts counted, and what a count says of a rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import sqrt
from typing import NamedTuple

from catalogue import HONEST

from renderbros_addon.protocol.verdicts import Verdict


class Row(NamedTuple):
    """What was counted."""

    checker: str
    level: str
    """Such as ``crops linear exact``, ``whole png default``, ``looks``, ``together linear calibrated``."""
    scene: str
    cheat: str
    """Its name, or ``honest``."""


@dataclass
class Tally:
    """How often each verdict was given."""

    match: int = 0
    mismatch: int = 0
    inconclusive: int = 0

    @property
    def total(self) -> int:
        return self.match + self.mismatch + self.inconclusive

    def add(self, verdict: Verdict) -> None:
        setattr(self, verdict, getattr(self, verdict) + 1)

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.match + other.match, self.mismatch + other.mismatch, self.inconclusive + other.inconclusive)


@dataclass
class Findings:
    """What came of checks."""

    tallies: dict[Row, Tally] = field(default_factory=dict)
    reasons: dict[Row, Counter[str]] = field(default_factory=dict)
    """Of honest frames that did not match, and of cheats that did: what was said, with the figures left out."""
    touched: dict[tuple[str, str], float] = field(default_factory=dict)
    """By scene and cheat: the fraction of pixels that are not bit-equal to the honest ones, in linear floats."""
    apart: dict[tuple[str, str], float] = field(default_factory=dict)
    """By scene and checker: the fraction of honest linear pixels that differ by more than slightly."""
    unequal: dict[tuple[str, str], float] = field(default_factory=dict)
    """The fraction that differs in any bit."""

    def note(self, row: Row, verdict: Verdict, reason: str) -> None:
        self.tallies.setdefault(row, Tally()).add(verdict)
        if (verdict == "match") != (row.cheat == HONEST):
            said = "".join("#" if c.isdigit() else c for c in reason)
            self.reasons.setdefault(row, Counter())[said] += 1

    def merge(self, other: Findings) -> None:
        self.tallies |= other.tallies
        self.reasons |= other.reasons
        self.touched |= other.touched
        self.apart |= other.apart
        self.unequal |= other.unequal

    def sum(self, wanted: Callable[[Row], bool]) -> Tally:
        return sum((tally for row, tally in self.tallies.items() if wanted(row)), Tally())

    def levels(self, checker: str) -> list[str]:
        """In the order in which they were first met."""
        return list(dict.fromkeys(row.level for row in self.tallies if row.checker == checker))


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a proportion of which ``count`` of ``total`` were seen; 0 to 1 if none were tried.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    if total == 0:
        return 0.0, 1.0
    z = 1.959964
    share, square = count / total, z * z / total
    centre, half = share + square / 2, z * sqrt(share * (1 - share) / total + square / total / 4)
    # At the ends the formula gives just these, but for its last bits.
    low = 0.0 if count == 0 else (centre - half) / (1 + square)
    return low, 1.0 if count == total else (centre + half) / (1 + square)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Of all crops of one frame together."""
    found = set(verdicts)
    return "mismatch" if "mismatch" in found else "inconclusive" if "inconclusive" in found else "match"
