"""Who is right when two renders of one thing differ, once a third owner's is there. Pure.

A is the worker whose result was checked, B the one who checked it, C the third. Nobody is punished by the word of one
other; and where machines of different classes differ, only by what no honest difference of theirs explains.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..protocol.verdicts import Verdict


@dataclass(frozen=True)
class Finding:
    """What the comparison of two results came to."""

    verdict: Verdict
    exact: bool
    """Both came from one class, so every bit had to be equal."""

    @property
    def differs(self) -> bool:
        return self.verdict == "mismatch"


class Differs(StrEnum):
    """What of a job has shown not to be repeatable."""

    PARTS = "parts"
    """A part rendered alone has other pixels than in the whole."""
    ALL = "all"
    """Renders of one class differ from each other."""


@dataclass(frozen=True)
class Ruling:
    """What a dispute comes to."""

    subject: Verdict
    """About A's result: accepted with credit, rejected with a penalty, or neither."""
    checker_at_fault: bool = False
    """B is punished."""
    again: bool = False
    """A's result is rendered again by others, though nobody is blamed."""
    differs: Differs | None = None
    """What has been learned about the job."""
    sentence: str = ""


def rule(
    a_b: Finding,
    a_c: Finding,
    b_c: Finding,
    *,
    part: bool,
    parts_proven: bool,
    parts_doubted: bool,
    repeated: bool,
    gross: bool = False,
) -> Ruling:
    """Decide between A, B and C.

    ``part``: B rendered a part of a picture that was rendered whole. ``parts_proven``: in this job such a part has been
    equal before; ``parts_doubted``: somebody else's has been contradicted like this one before. ``repeated``: in this
    job two owners have made equal pixels before, so that it is repeatable. ``gross``: C's result shows something else
    than A's, which no difference between classes explains.
    """
    if a_c.verdict == "match":
        return _a_is_right(a_b, b_c, part=part, parts_proven=parts_proven, parts_doubted=parts_doubted)
    if not a_c.differs:
        return Ruling("inconclusive", sentence="a third worker's render could not tell who is right")
    if b_c.verdict != "match":
        if a_b.exact and a_c.exact and b_c.exact and b_c.differs:
            return Ruling("inconclusive", differs=Differs.ALL, sentence=_UNREPEATABLE)
        return Ruling("inconclusive", again=True, sentence="three renders differ, and none can be held wrong")
    # B and C agree, and A is alone.
    if (a_b.exact or a_c.exact or gross) and repeated:
        return Ruling("mismatch", sentence=f"{_ALONE}: it is wrong")
    if not repeated:
        why = "but nothing in this job has been rendered alike by two owners yet, so the scene may not be repeatable"
    else:
        why = "but neither has the same Blender on the same kind of machine"
    return Ruling("inconclusive", again=True, sentence=f"{_ALONE}, {why}")


_ALONE = "two other owners' workers agree with each other and not with it"
_UNREPEATABLE = (
    "three workers that should make equal pixels made three different ones: the scene can't be rendered alike twice"
)


def _a_is_right(a_b: Finding, b_c: Finding, *, part: bool, parts_proven: bool, parts_doubted: bool) -> Ruling:
    confirmed = "a third owner's worker confirms it"
    if not b_c.differs or not (a_b.exact and b_c.exact):
        # B is of another class, or what it saw is within what is usual after all.
        return Ruling("match", sentence=confirmed)
    if part and not parts_proven:
        return Ruling(
            "match",
            differs=Differs.PARTS if parts_doubted else None,
            sentence=f"{confirmed}; a part of it rendered alone differs, which may be the scene's nature",
        )
    return Ruling("match", checker_at_fault=True, sentence=f"{confirmed}, against the one that checked it")
