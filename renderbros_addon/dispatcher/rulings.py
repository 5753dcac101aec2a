"""Who is right when renders of one thing differ, by what other owners' renders of it say. Pure.

Two owners who agree may have agreed to: so nobody is punished unless three agree, as long as there are so many. And
where machines of different classes differ, nobody is punished but for what no honest difference of theirs explains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..protocol.verdicts import Verdict

AGREEING = 3
"""Owners whose renders must agree for it to be held certain what is right."""

MOST_DISPUTES = 4
"""Owners asked at most beyond the subject's and its first checkers'."""


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
    OWNERS = "owners"
    """So many owners' results differ from what others make that the scene is as likely at fault: what is odd is still
    rendered again, but nobody is punished."""
    ALL = "all"
    """Renders of one class differ from each other."""


@dataclass(frozen=True)
class Voice:
    """What another owner's render says of the subject: of all of it, or of the part that it is."""

    check_id: int
    owner: str
    found: Finding
    dispute: bool
    """Asked since others disagreed."""
    part: str | None = None
    """The region of a picture that was rendered whole of which this one is a part; None for all of it."""

    @property
    def agrees(self) -> bool:
        return self.found.verdict == "match"


@dataclass(frozen=True)
class Ruling:
    """What a dispute comes to."""

    subject: Verdict | None
    """Accepted with credit, rejected with a penalty, or neither; None if another owner is to be asked."""
    at_fault: tuple[int, ...] = ()
    """Checks whose makers are punished."""
    again: bool = False
    """The subject is rendered again by others, though nobody is blamed."""
    differs: Differs | None = None
    """What has been learned about the job."""
    ask_part: int | None = None
    """The check whose part the other owner is to render; None for all of the subject."""
    sentence: str = ""


Between = Mapping[tuple[int, int], Verdict]
"""How the renders of two checks compare, by their ids, the earlier first; those compared that differ from the subject,
as far as they show the same."""


def settle(
    voices: Sequence[Voice],
    between: Between,
    *,
    repeated: bool,
    parts_doubted: bool = False,
    parts_differ: bool = False,
    gross: bool = False,
    more: bool,
) -> Ruling:
    """Decide about a subject that some of ``voices`` contradict; at least one of them was asked as a dispute.

    ``repeated``: in this job two owners have made equal pixels before, so that it is repeatable. ``parts_doubted``:
    parts that others rendered have been contradicted by wholes in it before; ``parts_differ``: that is known to be the
    scene's nature. ``gross``: some of those asked show something else than the subject, which no difference between
    classes explains. ``more``: there is another owner who could be asked.
    """
    disputes = [voice for voice in voices if voice.dispute]
    against = [voice for voice in voices if voice.found.differs]
    backing = [voice for voice in disputes if voice.agrees]
    camp = _camp(against, between)
    right, wrong = 1 + len(backing), len({voice.owner for voice in camp})
    provable = gross or any(voice.found.exact for voice in camp)
    lonely = all(voice.found.exact for voice in voices) and not backing and wrong == 1
    if len(disputes) == 1 and disputes[0].found.verdict == "inconclusive":
        return Ruling("inconclusive", sentence="a third worker's render could not tell who is right")
    cleared = _cleared(against, backing, repeated=repeated, parts_doubted=parts_doubted)
    if right >= AGREEING:
        return cleared
    if wrong >= AGREEING and provable:
        return _condemned(wrong, backing, repeated=repeated)
    if wrong > right and not provable:
        why = "but neither has the same Blender on the same kind of machine"
        return Ruling("inconclusive", again=True, sentence=f"{wrong} {_ALONE}, {why}")
    telling = [voice for voice in against if voice.found.exact and not (parts_differ and voice.part)]
    # What class a worker is of is its own word: two of a class that nobody else is of may have made it up.
    among_friends = all(voice.found.exact for voice in backing) and not any(voice.found.exact for voice in against)
    unsure = among_friends or (telling and any(voice.found.exact for voice in backing))
    if right > wrong and not unsure:
        return cleared
    # That ends all checks of the job, so a few cheats that meet must not bring it about.
    if lonely and len(disputes) >= (MOST_DISPUTES if repeated else MOST_DISPUTES - 1):
        return Ruling("inconclusive", differs=Differs.ALL, sentence=_UNREPEATABLE)
    if more and len(disputes) < MOST_DISPUTES:
        return Ruling(None, ask_part=_part_to_ask(against, backing) if right > wrong else None)
    # Nobody else is there to ask: two of three have to do.
    if right > wrong:
        return cleared
    if wrong > right:
        return _condemned(wrong, backing, repeated=repeated)
    if lonely and not repeated:
        return Ruling("inconclusive", differs=Differs.ALL, sentence=_UNREPEATABLE)
    return Ruling("inconclusive", again=True, sentence="the renders differ, and none can be held wrong")


def _condemned(wrong: int, backing: Sequence[Voice], *, repeated: bool) -> Ruling:
    """The subject is alone, and so wrong, unless it may be the scene that can't be rendered alike twice."""
    if repeated:
        return Ruling("mismatch", _exact_wholes(backing), sentence=f"{wrong} {_ALONE}: it is wrong")
    why = "but nothing like it has been rendered alike by two owners in this job yet: it may be the scene's nature"
    return Ruling("inconclusive", again=True, sentence=f"{wrong} {_ALONE}, {why}")


_ALONE = "other owners' workers agree with each other and not with it"
_UNREPEATABLE = "workers that should make equal pixels all made different ones: the scene can't be rendered alike twice"


def _camp(against: Sequence[Voice], between: Between) -> Sequence[Voice]:
    """The largest group that agrees with one of them against the subject."""

    def alike(one: Voice, other: Voice) -> bool:
        first, second = sorted((one.check_id, other.check_id))
        return one is other or between.get((first, second)) == "match"

    camps = [[other for other in against if alike(one, other)] for one in against]
    return max(camps, key=lambda camp: len({voice.owner for voice in camp}), default=[])


def _exact_wholes(voices: Sequence[Voice]) -> tuple[int, ...]:
    return tuple(voice.check_id for voice in voices if voice.found.exact and voice.part is None)


def _part_to_ask(against: Sequence[Voice], backing: Sequence[Voice]) -> int | None:
    """Whose part differs, while the whole is right: only another's part tells whether that is the scene's nature."""
    heard = [voice.part for voice in (*against, *backing)]
    lone = (voice for voice in against if voice.part is not None and heard.count(voice.part) == 1)
    return next((voice.check_id for voice in lone), None)


def _cleared(against: Sequence[Voice], backing: Sequence[Voice], *, repeated: bool, parts_doubted: bool) -> Ruling:
    """The subject is right. Whoever had to make the same pixels and did not is at fault, if they can be made again."""
    same = {voice.part for voice in backing if voice.found.exact}
    liars = tuple(voice.check_id for voice in against if repeated and voice.found.exact and voice.part in same)
    parts = [voice for voice in against if voice.found.exact and voice.part is not None and voice.part not in same]
    differs = Differs.PARTS if parts and (parts_doubted or any(voice.dispute for voice in parts)) else None
    sentence = "other owners' workers confirm it"
    if liars:
        sentence += ", against one that checked it"
    elif parts:
        sentence += "; a part of it rendered alone differs, which may be the scene's nature"
    return Ruling("match", liars, differs=differs, sentence=sentence)
