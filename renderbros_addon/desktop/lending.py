"""Lends this machine: a worker beside this Blender, which is told by one file what to do, and tells by another.

By files, because it may go on after this Blender, and the next one must find it. See ``protocol/lending.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import preferences
from .activities import redraw
from .child import OFFLINE, NotAllowed, command, environment

NO_ADDRESS = (
    "No farm is named: type its address, such as https://farm.example:8420, under Dispatcher in the preferences of "
    "RenderBros"
)

LOOK_SECONDS = 1.0
_SILENT_SECONDS = 20.0
"""A worker that is alive writes its status every few seconds."""
_POLITE_SECONDS = 8.0
"""For a worker to hand back its tasks and end, before it is killed."""
_MOST_BYTES = 1 << 16

_process: subprocess.Popen[bytes] | None = None
# The worker that this Blender started. One that outlived another Blender is known by its status alone.
_started_at = 0.0
_outlives = False
_ended = ""
# Why the last one ended, if not on purpose.
_status: dict[str, Any] = {}
_invite = ""
# As typed, until it has served.
_glanced = -LOOK_SECONDS
_ender: threading.Thread | None = None
_stopping = False


def folder() -> Path:
    """Where worker and Blender meet; made if need be."""
    if preferences.KEY.startswith("bl_ext."):
        return Path(bpy.utils.extension_path_user(preferences.KEY, path="lending", create=True))
    return Path(bpy.utils.user_resource("CONFIG", path="renderbros", create=True))  # run from a clone


def status() -> dict[str, Any]:
    """What the worker said last, as :class:`WorkerReport`; empty before it has said anything."""
    return _status


def problem() -> str:
    """Why the last worker ended without being told to; empty if it did not."""
    return _ended


def active() -> bool:
    """Whether a worker lends this machine now."""
    if _process is not None:
        return _process.poll() is None
    if _status.get("state") in (None, "stopped", "failed"):
        return False
    try:
        age = time.time() - datetime.fromisoformat(str(_status.get("at"))).timestamp()
    except ValueError:
        return False
    return age < _SILENT_SECONDS


def paused() -> bool:
    """Whether somebody pressed Pause, here or in another Blender."""
    word, _, whose = _said()
    return word == "pause" and not whose


def stopping() -> bool:
    """Whether the worker was told to end, and has not yet."""
    return _stopping


def invite() -> str:
    """The invite that was typed for this machine; empty once the farm knows the worker."""
    return _invite


def set_invite(code: str) -> None:
    """Have the next worker that is started come with the invite ``code``."""
    global _invite
    _invite = code.strip()


def start(context: Any) -> bool:
    """Start a worker on the terms of the preferences. NotAllowed or OSError if it can't be.

    False if another Blender had started one since we looked: that one is watched from now on.
    """
    global _process, _started_at, _outlives, _ended, _stopping
    if not bpy.app.online_access:
        raise NotAllowed(OFFLINE)
    look()
    if active():
        _watch()
        return False
    chosen, place = preferences.of(context), folder()
    if not preferences.connection(context)["dispatcher"]:
        raise NotAllowed(NO_ADDRESS)
    if chosen.cache_folder:
        _make_cache(Path(bpy.path.abspath(chosen.cache_folder)))
    _outlives, _ended, _stopping = bool(chosen.lend_outlives), "", False
    _say("run")
    words = ["worker", "--status", str(place / "status.json"), "--control", str(place / "control"), *_terms(chosen)]
    if not _outlives:
        words.append("--stop-with-parent")
    with (place / "log.txt").open("wb") as log:
        _process = subprocess.Popen(
            command(*words),
            # The end of the pipe tells a worker that is to end with Blender, however that comes about.
            stdin=subprocess.DEVNULL if _outlives else subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment() | _settings(context),
            cwd=tempfile.gettempdir(),
            start_new_session=os.name == "posix",
            creationflags=_windows_flags(),
        )
    _started_at = time.time()
    _status.clear()
    _watch()
    return True


def _make_cache(cache: Path) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        raise NotAllowed(
            f"Nothing can be kept in {cache} ({error.strerror or error}): choose another Cache Folder in the "
            "preferences of RenderBros, or none for the usual place"
        ) from error


def pause(on: bool) -> None:
    """Have the worker give back all it has, at once, and wait; or go on."""
    if on:
        _say("pause", "somebody pressed Pause")
    else:
        _say("run")


def stop() -> None:
    """Have the worker hand back its tasks and end; returns at once."""
    global _stopping, _ender
    if active() and not _stopping:
        _stopping = True
        _say("stop")
        if _process is not None:
            _ender = threading.Thread(target=_see_it_end, args=(_process,), name="renderbros-lending", daemon=True)
            _ender.start()


def look() -> bool:
    """Read what the worker says; whether anything changed. The timer's work, and that of scripts without one."""
    global _process, _ended, _stopping
    if active() and not bpy.app.online_access:
        stop()
    before = dict(_status)
    code = _process.poll() if _process is not None else None
    found = _read()
    if found and (_process is None or found.get("pid") == _process.pid or _began_after_start(found)):
        _status.clear()
        _status.update(found)
    if _process is not None and _status.get("worker_id"):
        set_invite("")  # it has served
    if code is not None:
        if code and not _stopping:
            _ended = str(_status.get("reason") or "") or _log_tail() or f"the worker ended with exit code {code}"
        _process = None
        _status["state"] = "failed" if code and not _stopping else "stopped"
    if not active():
        _stopping = False
    return before != _status or code is not None


def glance() -> None:
    """For a panel that is drawn: find a worker that another Blender has started since. Mostly does nothing."""
    global _glanced
    if _process is not None or bpy.app.timers.is_registered(_tick) or time.monotonic() - _glanced < LOOK_SECONDS:
        return
    _glanced = time.monotonic()
    look()
    if active():
        _watch()


def _read() -> dict[str, Any]:
    try:
        with (folder() / "status.json").open("rb") as opened:
            found = json.loads(opened.read(_MOST_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _began_after_start(found: dict[str, Any]) -> bool:
    # A Blender that hands over to its Python is another process than we started, on Windows.
    created = found.get("created")
    return isinstance(created, (int, float)) and created >= _started_at - 1


def _say(word: str, why: str = "", whose: str = "") -> None:
    """Write the control file."""
    place = folder()
    new = place / f"control.{os.getpid()}"
    with contextlib.suppress(OSError):
        new.write_text("\n".join((word, why, whose)), encoding="utf-8")
        new.replace(place / "control")


def _said() -> tuple[str, str, str]:
    """What stands in the control file, whoever wrote it: word, reason, and the process whose end ends it."""
    try:
        lines = (folder() / "control").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    word, why, whose = [*lines, "", "", ""][:3]
    return word, why, whose


def _terms(chosen: Any) -> list[str]:
    """The preferences as the worker's options."""
    words: list[str] = []
    if chosen.lend_memory_gb:
        words += ["--max-memory", f"{chosen.lend_memory_gb}GiB"]
    if chosen.lend_threads:
        words += ["--threads", str(chosen.lend_threads)]
    if chosen.lend_device != "ANY":
        words += ["--device", chosen.lend_device]
    if chosen.lend_hours:
        words += ["--hours", f"{chosen.lend_from}:00-{chosen.lend_until}:00"]
    if chosen.lend_only_idle:
        words += ["--only-when-idle", str(chosen.lend_idle_minutes)]
    if chosen.lend_pause_on_battery:
        words.append("--pause-on-battery")
    if chosen.cache_folder:
        words += ["--cache", bpy.path.abspath(chosen.cache_folder)]
    return words


def _settings(context: Any) -> dict[str, str]:
    """What is told by the environment: nobody reads it in a list of processes."""
    chosen, farm = preferences.of(context), preferences.connection(context)
    told = {
        "DISPATCHER": farm["dispatcher"],
        "CA": farm["ca"],
        "PIN": farm["pin"],
        "INSECURE": "true" if farm["insecure"] else "",
        "INVITE": _invite,
        "CACHE_SIZE": f"{chosen.cache_gb}GiB",
    }
    return {f"RENDERBROS_{name}": value for name, value in told.items() if value}


def _see_it_end(process: subprocess.Popen[bytes]) -> None:
    """From a thread: see to it that a worker that was told to end does."""
    with contextlib.suppress(OSError, ValueError):
        if process.stdin is not None:
            process.stdin.close()
    try:
        process.wait(_POLITE_SECONDS)
    except subprocess.TimeoutExpired:
        from ..worker.process_tree import ProcessTree

        ProcessTree(process).kill()
        process.wait()


def _log_tail() -> str:
    try:
        with (folder() / "log.txt").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 2000))
            return log.read().decode(errors="replace").strip()[-500:]
    except OSError:
        return ""


def _watch() -> None:
    """Look from now on, and heed what this Blender does."""
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=LOOK_SECONDS, persistent=True)
    for handlers, ours in _handlers():
        if ours not in handlers:
            handlers.append(ours)


def _unwatch() -> None:
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    for handlers, ours in _handlers():
        if ours in handlers:
            handlers.remove(ours)


def _handlers() -> list[tuple[Any, Any]]:
    events = bpy.app.handlers
    return [
        (events.render_init, _on_render),
        (events.render_complete, _on_rendered),
        (events.render_cancel, _on_rendered),
    ]


@persistent  # type: ignore[untyped-decorator]
def _on_render(*_: object) -> None:
    if _said()[0] == "run":
        _say("pause", "Blender renders here", str(os.getpid()))


@persistent  # type: ignore[untyped-decorator]
def _on_rendered(*_: object) -> None:
    if _said()[2] == str(os.getpid()):
        _say("run")


def _tick() -> float | None:
    if look():
        redraw()
    if active():
        return LOOK_SECONDS
    _unwatch()
    return None


def register() -> None:
    """Find a worker that another Blender started."""
    look()
    if active():
        _watch()


def unregister() -> None:
    """End the worker that this Blender started, unless it is to go on, and wait until it has ended."""
    global _process, _ender
    _unwatch()
    if _process is not None and not _outlives:
        stop()
        _process.wait()
    if _ender is not None:
        _ender.join()
    _process = _ender = None
    _status.clear()
    set_invite("")


def _windows_flags() -> int:
    if os.name != "nt":
        return 0
    return int(getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)) | int(getattr(subprocess, "CREATE_NO_WINDOW", 0))
