"""When a machine may be used, without waiting for it: the rules, and what systems tell about their owner."""

from __future__ import annotations

from datetime import time

import pytest

from renderbros_addon.worker import presence
from renderbros_addon.worker.terms import Hours, Moment, Terms, parse_hours, ruling

NOON, NIGHT, MORNING = time(12, 0), time(23, 30), time(7, 59)


@pytest.mark.parametrize(
    ("hours", "now", "within"),
    [
        ("20:00-08:00", NIGHT, True), ("20:00-08:00", MORNING, True), ("20:00-08:00", time(8, 0), False),
        ("20:00-08:00", time(20, 0), True), ("20:00-08:00", NOON, False), ("9-17:30", time(17, 29), True),
        ("9-17:30", time(17, 30), False), ("0-24", NOON, True), ("22-24", time(23, 59), True),
        ("22-24", time(0), False),
    ],
)  # fmt: skip
def test_hours_go_over_midnight(hours: str, now: time, within: bool) -> None:
    assert (now in Hours.parse(hours)) is within


@pytest.mark.parametrize("text", ["8", "25-3", "8:60-9", "8:0-9:00", "-3-4", "8-9-10", "24:01-2"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"hours are given as|no such time"):
        parse_hours(text)


def test_the_owner_goes_first_then_the_battery_then_the_clock() -> None:
    terms = Terms(parse_hours("20:00-08:00, 12:30-13:00"), idle_minutes=5, pause_on_battery=True)
    free = Moment(NIGHT, idle_seconds=301)
    assert ruling(terms, free).may
    assert ruling(Terms(), Moment(NOON, idle_seconds=0, on_battery=True)).may, "nothing was asked for"
    for moment, words, at_once in [
        (Moment(NIGHT, idle_seconds=900, told="Blender renders"), "Blender renders", True),
        (Moment(NIGHT, idle_seconds=900, told=""), "its owner asked", True),
        (Moment(NIGHT, idle_seconds=900, on_battery=True), "battery", True),
        (Moment(NIGHT, idle_seconds=299), "somebody uses this machine", True),
        (Moment(NIGHT, idle_seconds=None), "does not tell", True),
        (Moment(NOON, idle_seconds=900), "20:00-08:00 and 12:30-13:00", False),
    ]:
        found = ruling(terms, moment)
        assert not found.may
        assert found.at_once is at_once
        assert words in found.reason


LOGIND = {
    "list-sessions": " c1 1000 ann seat0 tty2\n c2 1001 bob seat0 tty3\n c3 120 gdm seat0 tty1\n c4 1000 ann - pts/0\n",
    "c1": "Class=user\nState=active\nType=x11\nIdleHint=no\nIdleSinceHint=0\n",
    "c2": "Class=user\nState=online\nType=wayland\nIdleHint=no\nIdleSinceHint=0\n",
    "c3": "Class=greeter\nState=active\nType=wayland\nIdleHint=no\nIdleSinceHint=0\n",
    "c4": "Class=user\nState=active\nType=tty\nIdleHint=no\nIdleSinceHint=0\n",
}


def answers(*command: str) -> str:
    if command[0] == "gdbus":
        return "(uint64 61500,)\n"
    return LOGIND["list-sessions" if "list-sessions" in command else command[2]]


def silent(*_: str) -> str:
    return ""


def test_linux_asks_whoever_knows() -> None:
    linux = presence._linux
    wayland = {"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0", "XDG_SESSION_ID": "c1"}
    assert linux(wayland, answers, []) == 61.5, "GNOME tells of our session better than logind"
    assert linux(wayland | {"XDG_SESSION_ID": "c9"}, answers, []) == 0, "ann is at work in another one"
    assert linux(wayland, answers, [3.0]) == 3, "somebody types in a terminal"
    assert linux(wayland, silent, [3.0]) is None, "there are windows, and nobody tells"
    assert linux({"DISPLAY": ":987654"}, silent, []) is None
    assert linux({}, silent, []) == float("inf"), "nobody is here"
    assert linux({"DISPLAY": "elsewhere:10.0"}, silent, [7.0]) == 7, "the window is on another machine"


def test_macos_tells_nanoseconds() -> None:
    told = '  | |   "HIDIdleTime" = 5250000000\n  | | "HIDIdleTimeDelta"=3\n  "HIDIdleTime" = 9000000000\n'
    assert presence.hid_idle(told) == 5.25
    assert presence.hid_idle("nothing") is None
