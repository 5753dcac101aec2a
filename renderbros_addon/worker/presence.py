"""Whether somebody uses this machine, and whether it runs on its battery.

The one place that asks the system. The ways of Windows and macOS were written from their documentation and have not
been run on them.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import psutil

from . import x11_idle

_NEVER = float("inf")
_MUTTER = "org.gnome.Mutter.IdleMonitor"


def on_battery() -> bool:
    """Whether a battery feeds this machine; False where there is none or nothing is known."""
    read = getattr(psutil, "sensors_battery", None)
    try:
        battery = read() if read else None
    except (OSError, RuntimeError, ValueError):
        return False
    return battery is not None and battery.power_plugged is False


def idle_seconds() -> float | None:
    """Seconds since somebody used keyboard or mouse, of this machine or in a terminal on it.

    Infinite if nobody is logged in, None if somebody may be and the system does not tell.
    """
    if sys.platform == "win32":
        return _windows()
    if sys.platform == "darwin":
        return hid_idle(_said("ioreg", "-c", "IOHIDSystem", "-d", "4"))
    return _linux(os.environ, _said, _terminals())


def hid_idle(told: str) -> float | None:
    """From what macOS's ``ioreg`` tells of its input devices: nanoseconds since any of them was used."""
    found = [int(number) for number in re.findall(r'"HIDIdleTime"\s*=\s*(\d+)', told)]
    return min(found) / 1e9 if found else None


def _linux(environ: Mapping[str, str], said: Callable[..., str], terminals: Iterable[float]) -> float | None:
    """``said`` runs a command and tells what it said; ``terminals`` are idle seconds."""
    own = _own_session(environ, said)
    # A desktop that never tells logind counts as busy there for ever.
    others = list(_logind(said, but=environ.get("XDG_SESSION_ID") if own is not None else None))
    if own is None and not others:
        return None
    return min([_NEVER if own is None else own, *others, *terminals])


def _own_session(environ: Mapping[str, str], said: Callable[..., str]) -> float | None:
    """Of the windows around us; infinite if there are none, None if they don't tell."""
    if environ.get("WAYLAND_DISPLAY"):
        # Xwayland hears of input only while a window of its own has it. Of Wayland's desktops GNOME's tells;
        # others tell logind, if anybody.
        told = said(
            "gdbus", "call", "--session", "--dest", _MUTTER, "--object-path", f"/{_MUTTER.replace('.', '/')}/Core",
            "--method", f"{_MUTTER}.GetIdletime",
        )  # fmt: skip
        found = re.search(r"uint64 (\d+)", told)
        return int(found[1]) / 1e3 if found else None
    display = environ.get("DISPLAY", "")
    if x11_idle.is_local(display):
        try:
            return x11_idle.idle_seconds(display, environ)
        except (OSError, ValueError):
            return None
    return _NEVER


def _logind(said: Callable[..., str], but: str | None) -> Iterable[float]:
    """Of each session with windows that is in front of somebody, whoever's it is, without the session ``but``."""
    wanted = [word for name in ("Class", "State", "Type", "IdleHint", "IdleSinceHint") for word in ("-p", name)]
    for line in said("loginctl", "list-sessions", "--no-legend").splitlines():
        session = next(iter(line.split()), but)
        if session is None or session == but:
            continue
        told = said("loginctl", "show-session", session, *wanted)
        facts = dict(fact.split("=", 1) for fact in told.splitlines() if "=" in fact)
        windows = facts.get("Type") in ("x11", "wayland", "mir")
        if windows and facts.get("Class") == "user" and facts.get("State") == "active":
            since = facts.get("IdleSinceHint", "")
            idle = facts.get("IdleHint") == "yes" and since.isdigit()
            yield max(0.0, time.time() - int(since) / 1e6) if idle else 0.0


def _terminals() -> list[float]:
    """Idle seconds of each terminal that somebody is logged in at: reading what is typed touches it, as ``w`` knows."""
    found = []
    for user in psutil.users():
        try:
            found.append(max(0.0, time.time() - Path("/dev", user.terminal or "").stat().st_atime))
        except OSError:
            continue
    return found


def _windows() -> float | None:
    class LastInput(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint), ("ticks", ctypes.c_uint))

    told = LastInput(ctypes.sizeof(LastInput), 0)
    system: object = getattr(ctypes, "windll", None)
    try:
        if not system.user32.GetLastInputInfo(ctypes.byref(told)):  # type: ignore[attr-defined]
            return None
        now = int(system.kernel32.GetTickCount())  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return None
    # Both count milliseconds in 32 bits, and begin anew after seven weeks.
    return float((now - int(told.ticks)) & 0xFFFFFFFF) / 1e3


def _said(*command: str) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=5, check=False, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""
