from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from renderbros_addon.client import retry
from renderbros_addon.client.errors import Stopped
from renderbros_addon.client.retry import Retrier, parse_retry_after


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False

    def is_set(self) -> bool:
        return False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retry.time, "monotonic", clock.monotonic)
    return clock


class Broken(Exception):
    pass


def fail_until_given_up(retrier: Retrier, retry_after: float | None = None) -> None:
    for _ in range(10_000):
        retrier.wait(Broken(), retry_after)


def test_waits_double_up_to_the_longest_and_are_jittered(clock: Clock) -> None:
    with pytest.raises(Broken):
        fail_until_given_up(Retrier(3600.0, clock))
    ceilings = [min(retry.LONGEST_DELAY, retry.FIRST_DELAY * 2.0**n) for n in range(len(clock.waits))]
    assert all(top / 2 <= wait <= top for wait, top in zip(clock.waits[:-1], ceilings, strict=False))
    late = clock.waits[10:-1]
    assert len(set(late)) == len(late), "no two waits are the same"


@pytest.mark.parametrize("budget", [0.1, 5.0, 300.0])
def test_the_budget_is_used_up_and_not_exceeded(clock: Clock, budget: float) -> None:
    with pytest.raises(Broken):
        fail_until_given_up(Retrier(budget, clock))
    assert sum(clock.waits) == pytest.approx(budget)


def test_no_budget_is_for_ever(clock: Clock) -> None:
    retrier = Retrier(None, clock)
    fail_until_given_up(retrier)
    assert len(clock.waits) == 10_000
    assert max(clock.waits) <= retry.LONGEST_DELAY


def test_no_time_at_all_means_one_try(clock: Clock) -> None:
    with pytest.raises(Broken):
        Retrier(0.0, clock).wait(Broken())
    assert clock.waits == []


def test_progress_starts_the_count_anew(clock: Clock) -> None:
    retrier = Retrier(10.0, clock)
    for _ in range(100):
        retrier.wait(Broken())
        retrier.progressed()
    assert max(clock.waits) <= retry.FIRST_DELAY


def test_what_the_dispatcher_asks_for_is_honoured(clock: Clock) -> None:
    retrier = Retrier(60.0, clock)
    retrier.wait(Broken(), 20.0)
    assert clock.waits == [20.0]
    with pytest.raises(Broken):
        retrier.wait(Broken(), 41.0)
    assert clock.waits == [20.0], "waiting in vain is no use"


def test_a_stop_ends_a_wait_at_once() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        Retrier(None, stop).wait(Broken(), 60.0)
    assert time.monotonic() - began < 5
    with pytest.raises(Stopped):
        Retrier(None, stop).check_stopped()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 17 ", 17.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("1.5", None),
        ("\u0661", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value) == seconds


def test_retry_after_as_a_date() -> None:
    then = datetime.now(UTC) + timedelta(seconds=30)
    assert parse_retry_after(format_datetime(then, usegmt=True)) == pytest.approx(30, abs=2)
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
