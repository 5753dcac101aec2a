"""Who is right: no two owners get a third punished, while somebody else is there to be asked."""

from __future__ import annotations

from itertools import combinations
from random import Random
from types import MappingProxyType

import pytest

from renderbros_addon.dispatcher.rulings import Between, Differs, Finding, Ruling, Voice, settle
from renderbros_addon.protocol.verdicts import Verdict

MATCH, MISMATCH, UNSURE = (Finding(verdict, exact=True) for verdict in ("match", "mismatch", "inconclusive"))
FAR = Finding("mismatch", exact=False)
"""What two classes may differ by, or not."""


def decide(subject: str, pixels: str, *, part: str = "", repeated: bool = True, more: bool = False) -> Ruling:
    """``subject`` and each letter of ``pixels`` stand for what an owner rendered: the first checks, the others dispute.

    ``part`` has, at the places of those that rendered a part only, a name for it; elsewhere a dash.
    """
    parts = [None if name == "-" else name for name in part.ljust(len(pixels), "-")]
    voices = [
        Voice(i, f"owner {i}", MATCH if made == subject else MISMATCH, dispute=i > 0, part=parts[i])
        for i, made in enumerate(pixels)
    ]
    against = [voice.check_id for voice in voices if voice.found.differs]
    between: Between = {
        (a, b): "match" if pixels[a] == pixels[b] else "mismatch"
        for a, b in combinations(against, 2)
        if parts[b] in (None, parts[a])
    }
    return settle(voices, between, repeated=repeated, more=more)


@pytest.mark.parametrize(("subject", "pixels", "part", "verdict", "at_fault"), [
    ("w", "rr", "", None, ()),  # the subject is alone against two: a third is asked
    ("w", "rrr", "", "mismatch", ()),
    ("w", "rwrr", "", "mismatch", (1,)),  # one vouched for it
    ("r", "wwrr", "", "match", (0, 1)),  # two tried to frame it
    ("r", "wr", "", None, ()),
    ("r", "wrr", "", "match", (0,)),
    ("w", "vrr", "", None, ()),  # two cheats met
    ("w", "vrrr", "", "mismatch", ()),
    ("r", "wr", "a", None, ()),
    ("r", "wrr", "a-a", "match", (0,)),  # the same part by another owner is like the whole
    ("r", "wrw", "a-a", None, ()),  # it is not: another whole tells whether two lie or the scene is like that
    ("r", "wrwr", "a-a", "match", ()),
    ("w", "rwrr", "a-a", "mismatch", (1,)),
])  # fmt: skip
def test_three_owners_decide(
    subject: str, pixels: str, part: str, verdict: Verdict | None, at_fault: tuple[int, ...]
) -> None:
    ruling = decide(subject, pixels, part=part, more=True)
    assert (ruling.subject, ruling.at_fault) == (verdict, at_fault)


@pytest.mark.parametrize(("subject", "pixels", "part", "verdict", "at_fault"), [
    ("w", "rr", "", "mismatch", ()),
    ("r", "wr", "", "match", (0,)),
    ("r", "wr", "a", "match", ()),  # but never for a part alone
    ("w", "vr", "", "inconclusive", ()),
])  # fmt: skip
def test_where_nobody_else_is_there_two_of_three_do(
    subject: str, pixels: str, part: str, verdict: Verdict, at_fault: tuple[int, ...]
) -> None:
    ruling = decide(subject, pixels, part=part, more=False)
    assert (ruling.subject, ruling.at_fault) == (verdict, at_fault)


def test_what_a_job_has_shown_is_learned() -> None:
    assert decide("r", "wrwr", part="a-a").differs is Differs.PARTS
    assert decide("a", "bcd", repeated=False, more=True).subject is None
    assert decide("a", "bcde", repeated=False, more=True).differs is Differs.ALL
    assert decide("a", "bcde", repeated=True, more=True).subject is None
    assert decide("a", "bcdef", repeated=True, more=True).differs is Differs.ALL
    assert decide("a", "bc", repeated=False).differs is Differs.ALL
    assert decide("a", "bc", repeated=True).differs is None


def test_other_classes_prove_nothing_against_anybody() -> None:
    voices = [Voice(i, f"owner {i}", FAR, dispute=i > 0) for i in range(4)]
    between: Between = dict.fromkeys(combinations(range(4), 2), "match")
    for number in (2, 3, 4):
        ruling = settle(voices[:number], between, repeated=True, more=True)
        assert (ruling.subject, ruling.again, ruling.at_fault) == ("inconclusive", True, ())
    assert settle(voices, between, repeated=True, gross=True, more=True).subject == "mismatch"
    unsure = [voices[0], Voice(1, "owner 1", UNSURE, dispute=True)]
    assert settle(unsure, {}, repeated=True, more=True).subject == "inconclusive"


def test_two_liars_among_honest_owners_never_get_one_punished() -> None:
    """Whoever they are, whatever they say and in whatever order they are asked, as long as enough others are there."""
    random = Random(1)
    for _ in range(3000):
        owners = ["r"] * 6
        for liar in random.sample(range(6), 2):
            owners[liar] = random.choice("rvw")
        subject, heard = owners[0], 2
        while (ruling := decide(subject, "".join(owners[1 : 1 + heard]), more=heard < 5)).subject is None:
            heard += 1
        assert ruling.subject != ("mismatch" if subject == "r" else "match"), owners
        assert all(owners[1 + at] != "r" for at in ruling.at_fault), owners


ALIKE: Between = dict.fromkeys(combinations((1, 2, 3), 2), "match")
"""The renders of the first three checks, where they differ from the subject, agree with each other."""


def ruled(
    *found: Finding, between: Between = MappingProxyType({}), part: bool = False, more: bool = False, **facts: bool
) -> Ruling:
    """The ruling about a subject that a first check, perhaps of a part, and then disputes in turn found to be so."""
    voices = [
        Voice(number, f"owner {number}", one, dispute=number > 1, part="1,2,3,4" if part and number == 1 else None)
        for number, one in enumerate(found, 1)
    ]
    return settle(voices, between, more=more, **({"repeated": True} | facts))


def test_while_there_are_owners_to_ask_three_must_agree() -> None:
    assert ruled(MISMATCH, MISMATCH, between=ALIKE, more=True).subject is None
    assert ruled(MISMATCH, MISMATCH, MISMATCH, between=ALIKE, more=True).subject == "mismatch"
    assert ruled(MISMATCH, MATCH, more=True).subject is None
    cleared = ruled(MISMATCH, MATCH, MATCH, more=True)
    assert (cleared.subject, cleared.at_fault) == ("match", (1,))


def test_of_three_owners_two_have_to_do() -> None:
    assert ruled(MISMATCH, MISMATCH, between=ALIKE).subject == "mismatch"
    cleared = ruled(MISMATCH, MATCH)
    assert (cleared.subject, cleared.at_fault) == ("match", (1,))


def test_nobody_is_convicted_where_nothing_has_been_rendered_alike_yet() -> None:
    ruling = ruled(MISMATCH, MISMATCH, between=ALIKE, repeated=False)
    assert (ruling.subject, ruling.at_fault, ruling.again) == ("inconclusive", (), True)


def test_nobody_is_convicted_by_other_builds_alone() -> None:
    alone = ruled(FAR, FAR, FAR, between=ALIKE)
    assert (alone.subject, alone.again) == ("inconclusive", True)
    confirmed = ruled(FAR, MATCH)
    assert (confirmed.subject, confirmed.at_fault) == ("match", ())
    assert ruled(FAR, FAR, FAR, between=ALIKE, gross=True).subject == "mismatch"
    assert ruled(FAR, MISMATCH, between=ALIKE).subject == "mismatch", "the second has its build, and sides with them"


def test_renders_of_one_class_that_all_differ_tell_about_the_scene() -> None:
    ruling = ruled(MISMATCH, MISMATCH, repeated=False)
    assert (ruling.subject, ruling.differs, ruling.again) == ("inconclusive", Differs.ALL, False)


def test_a_part_that_differs_from_a_confirmed_whole_convicts_nobody() -> None:
    once = ruled(MISMATCH, MATCH, MATCH, part=True)
    assert (once.subject, once.at_fault, once.differs) == ("match", (), None)
    assert ruled(MISMATCH, MATCH, MATCH, part=True, parts_doubted=True).differs is Differs.PARTS
