"""Trust: pure functions, held against what their sources and the design say."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from renderbros_addon.dispatcher.trust import (
    FLOOR,
    NEW,
    PROBATION,
    Draw,
    Happening,
    Trust,
    after,
    check_rate,
    credibility,
    draw,
    is_banned,
    of_history,
    quarantine,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
H = Happening


def history(*happenings: Happening) -> Trust:
    return of_history((happening, NOW) for happening in happenings)


def test_credibility_is_sarmentas_bound() -> None:
    assert credibility(0) == pytest.approx(0.8)
    assert credibility(1) == pytest.approx(0.8)
    assert credibility(20) == pytest.approx(1 - 0.2 / 20)
    assert credibility(20, 0.1) == pytest.approx(1 - 0.1 / 20)
    assert credibility(20, 0.2, caught_pay=True) == pytest.approx(1 - (0.2 / 0.8) / (20 * math.e))
    rising = [credibility(passed) for passed in range(500)]
    assert rising == sorted(rising)


def test_everything_is_checked_on_probation_and_never_less_than_the_floor() -> None:
    known = NEW
    for _ in range(PROBATION):
        assert check_rate(known) == 1.0
        known = after(after(known, H.ACCEPTED, NOW), H.PASSED, NOW)
    rates = []
    for _ in range(200):
        rates.append(check_rate(known))
        known = after(after(known, H.ACCEPTED, NOW), H.PASSED, NOW)
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(FLOOR)
    assert rates[-1] == FLOOR


def test_a_worker_that_nobody_could_check_is_checked_as_soon_as_somebody_can() -> None:
    assert check_rate(history(*[H.ACCEPTED] * 500)) > 0.9
    assert check_rate(history(*[H.ACCEPTED, H.INCONCLUSIVE] * 500)) > 0.9, "what can't be told gives no credit"


def test_a_fault_undoes_what_was_earned_and_the_second_one_bans() -> None:
    trusted = history(*[H.ACCEPTED, H.PASSED] * 100)
    caught = after(trusted, H.FAULT, NOW)
    assert caught.probation
    assert (caught.passed, caught.faults) == (0, 1)
    assert caught.until == NOW + timedelta(hours=1)
    assert not is_banned(caught)
    again = after(caught, H.FAULT, NOW)
    assert is_banned(again)
    assert again.until == NOW + timedelta(hours=2)
    assert quarantine(5) == timedelta(hours=16)
    pardoned = after(again, H.PARDON, NOW)
    assert not is_banned(pardoned)
    assert pardoned.probation
    assert pardoned.faults == 2, "the record stays"


def test_draws_follow_the_rate_and_a_quarter_is_of_the_whole() -> None:
    random = Random(1)
    drawn = [draw(NEW, random) for _ in range(4000)]
    assert Draw.NOTHING not in drawn
    assert drawn.count(Draw.WHOLE) / 4000 == pytest.approx(0.25, abs=0.03)
    steady = history(*[H.ACCEPTED, H.PASSED] * 300)
    seldom = [draw(steady, random) is not Draw.NOTHING for _ in range(20_000)]
    assert sum(seldom) / 20_000 == pytest.approx(FLOOR, abs=0.006)
