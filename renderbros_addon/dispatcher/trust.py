"""How far a worker is trusted: pure functions of what has become of its results.

A worker begins on probation. Each check that it passes makes it more credible, and it is checked less, though never
below a floor. A confirmed fault undoes all of that.

Sources: L. F. G. Sarmenta, "Sabotage-tolerance mechanisms for volunteer computing systems", Future Generation Computer
Systems 18 (2002), for the credibility of a worker that has survived spot-checks. The probation, the rate's floor and
the penalties are this project's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

FAULTY_SHARE = 0.2
"""f in the formulas: the share of workers that are assumed to cheat or to be broken before anything is known."""

RESIDUAL = 0.005
"""Wrong results among those of a worker that may pass unseen, at most; what its check rate aims at."""

FLOOR = 0.05
"""No worker is ever checked less often: a turncoat's first wrong result is as likely seen as any other's."""

PROBATION = 20
"""First results of a worker that are all checked; also the number whose credit is held in escrow."""

PROVEN = 38
"""Checks passed in a row from which on only what a worker sent after the last of them is doubtful if it is caught."""

REPLICA_SHARE = 0.25
"""Of the checks that could be of a part, those that are made of the whole: a small tamper is seen by no other."""

STRIKES = 2
"""Confirmed faults that ban, counted from the beginning or from the last pardon."""

BACKOFF = timedelta(hours=1)
"""First quarantine; each further fault doubles it."""


@dataclass(frozen=True)
class Trust:
    """What is known of a worker; :data:`NEW` for one that nothing is known of."""

    frames: int = 0
    """Results accepted since it began, or began again after a fault or a pardon."""
    passed: int = 0
    """k in the formulas: checks passed in a row. One that could not tell interrupts nothing."""
    inconclusive: int = 0
    faults: int = 0
    strikes: int = 0
    until: datetime | None = None
    """End of its latest quarantine."""

    @property
    def probation(self) -> bool:
        return self.frames < PROBATION


NEW = Trust()


class Happening(StrEnum):
    """What a worker's history is made of."""

    ACCEPTED = "accepted"
    """A result was accepted."""
    PASSED = "passed"
    """A check of one of its results, or several at once, found it right."""
    INCONCLUSIVE = "inconclusive"
    """A check could not tell."""
    FAULT = "fault"
    """A result was found wrong, and other owners confirmed it."""
    PARDON = "pardon"
    CLEARED = "cleared"
    """A fault turned out to be none."""


class Draw(StrEnum):
    """What is to be checked of a result."""

    NOTHING = "nothing"
    PART = "part"
    WHOLE = "whole"


def after(trust: Trust, happening: Happening, now: datetime) -> Trust:
    """``trust`` once ``happening`` has happened at ``now``."""
    if happening is Happening.ACCEPTED:
        return replace(trust, frames=trust.frames + 1)
    if happening is Happening.PASSED:
        return replace(trust, passed=trust.passed + 1)
    if happening is Happening.INCONCLUSIVE:
        return replace(trust, inconclusive=trust.inconclusive + 1)
    if happening is Happening.PARDON:
        # What it had earned before stays lost: it shows anew that it is worth it.
        return replace(trust, frames=0, passed=0, strikes=0, until=None)
    if happening is Happening.CLEARED:
        return replace(trust, faults=max(0, trust.faults - 1), strikes=max(0, trust.strikes - 1), until=None)
    faults = trust.faults + 1
    return replace(
        trust, frames=0, passed=0, faults=faults, strikes=trust.strikes + 1, until=now + quarantine(faults)
    )  # fmt: skip


def of_history(history: Iterable[tuple[Happening, datetime]]) -> Trust:
    """The trust that a whole history comes to."""
    trust = NEW
    for happening, at in history:
        trust = after(trust, happening, at)
    return trust


def quarantine(faults: int) -> timedelta:
    """How long a worker gets nothing after its ``faults``-th confirmed fault: an hour, then twice as long each time."""
    return BACKOFF * (1 << min(max(0, faults - 1), 16))


def is_banned(trust: Trust) -> bool:
    return trust.strikes >= STRIKES


def credibility(passed: int, share: float = FAULTY_SHARE, *, caught_pay: bool = False) -> float:
    """Estimated probability that a worker's result is right, after ``passed`` checks in a row.

    Sarmenta's bounds for the worst mix of cheats, of which ``share`` (f) are faulty and each survives its checks by
    giving wrong results rarely. Where an identity that was caught can be replaced by a new one at no cost: 1 - f/k.
    Where it can't (``caught_pay``): 1 - [f / (1 - f)] / (k e). Before any check it is 1 - f.
    """
    if passed <= 0:
        return 1 - share
    wrong = share / (1 - share) / (passed * 2.718281828459045) if caught_pay else share / passed
    return 1 - min(share, wrong)


def check_rate(trust: Trust) -> float:
    """Probability that a worker's next result is checked.

    On probation always. Then as often as leaves :data:`RESIDUAL` wrong results unseen at most: of the results, 1 - c
    are wrong at credibility c, and of those the part that is not checked passes, so 1 - RESIDUAL / (1 - c), and at
    least :data:`FLOOR`. An identity costs an invite, so whoever is caught pays.
    """
    if trust.probation:
        return 1.0
    return max(FLOOR, 1 - RESIDUAL / (1 - credibility(trust.passed, caught_pay=True)))


def is_all_doubtful(trust: Trust) -> bool:
    """Is all that a worker sent since it began doubtful once it is found at fault, or what came after its last check?

    Who gave wrong results now and then from the start passes some checks before. Of what was not checked of a worker
    that passed k checks before the one that it failed, one in k + 2 is expected to be wrong (Laplace). Below
    :data:`PROVEN` checks that is more than one in forty, and not many frames are lost with them.
    """
    return trust.passed < PROVEN


def draw(trust: Trust, random: Random) -> Draw:
    """What to check of a result that has just come in. ``random`` must be one that nobody can foresee."""
    if random.random() >= check_rate(trust):
        return Draw.NOTHING
    return Draw.WHOLE if random.random() < REPLICA_SHARE else Draw.PART
