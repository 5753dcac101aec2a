"""The extension comes and goes, and nothing of it stays behind: not in Blender, not beside it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import bpy
import psutil
import pytest
from desktop_listener import Listener
from farm_processes import until

import renderbros_addon
from renderbros_addon.desktop import activities, preferences

ROOT = Path(__file__).resolve().parents[2]


def traces() -> dict[str, Any]:
    """All in this process by which an extension could be noticed."""
    handlers = {name: list(found) for name in dir(bpy.app.handlers) if isinstance(found := _handler(name), list)}
    return {
        "handlers": handlers,
        "timer": bpy.app.timers.is_registered(activities._tick),
        "threads": [thread.name for thread in threading.enumerate() if thread.name.startswith("renderbros")],
        "classes": {name for name in dir(bpy.types) if "renderbros" in name.lower()},
        "properties": [hasattr(kind, "renderbros") for kind in (bpy.types.Scene, bpy.types.WindowManager)],
        "lists": [hasattr(bpy.types.WindowManager, name) for name in ("renderbros_jobs", "renderbros_job")],
        "operators": [name for name in dir(bpy.ops.renderbros) if not name.startswith("_")],
        "children": children(),
    }


def children() -> list[psutil.Process]:
    """What works for the extension: others may have processes and threads here, which come and go."""
    return [one for one in psutil.Process().children(recursive=True) if "desk" in one.cmdline()]


def _handler(name: str) -> Any:
    return getattr(bpy.app.handlers, name)


def test_registering_twice_leaves_nothing_even_while_children_work() -> None:
    before = traces()
    for _ in range(2):
        renderbros_addon.register()
        bpy.context.preferences.addons.new().module = preferences.KEY
        bpy.context.preferences.system.use_online_access = True
        try:
            with Listener() as deaf:  # nobody answers: both children wait
                preferences.of(bpy.context).dispatcher = deaf.url
                bpy.ops.renderbros.watch()
                bpy.ops.renderbros.test_connection()
                assert len(activities.everything()) == 2
                during = traces()
                renderbros_addon.unregister()
        finally:
            bpy.context.preferences.system.use_online_access = False
            bpy.context.preferences.addons.remove(bpy.context.preferences.addons[preferences.KEY])
        assert during["timer"]
        assert during["threads"]
        assert len(during["children"]) == 2
        assert len(during["classes"]) > 5
        assert "submit" in during["operators"]
        assert traces() == before


OPERATORS = ("test_connection", "look", "submit", "watch", "logout")


@pytest.mark.parametrize("online", [False, True])
def test_nothing_touches_the_network_unless_blender_may(artist: Any, online: bool) -> None:
    artist.open_scene()
    with Listener() as dispatcher:
        artist.preferences.dispatcher = dispatcher.url
        if online:
            # The control: the same, where it is allowed.
            bpy.ops.renderbros.test_connection()
            until("a connection", lambda: dispatcher.connections > 0, 30)
            return
        bpy.context.preferences.system.use_online_access = False
        for name in OPERATORS:
            with pytest.raises(RuntimeError, match="may not go online"):
                getattr(bpy.ops.renderbros, name)()
        assert activities.everything() == ()
        assert children() == []
        assert dispatcher.connections == 0
        assert [path.name for path in artist.folder.iterdir()] == ["shot.blend"], "a copy was left"


BLENDER_THAT_DIES = """
import sys, time
sys.path[:0] = sys.argv[1:3]
import bpy, renderbros_addon
from renderbros_addon.desktop import activities, preferences
renderbros_addon.register()
bpy.context.preferences.addons.new().module = preferences.KEY
bpy.context.preferences.system.use_online_access = True
preferences.of(bpy.context).dispatcher = sys.argv[3]
bpy.ops.renderbros.watch()
print("child", activities.running().child.pid, flush=True)
time.sleep(60)
"""


def test_children_die_with_blender() -> None:
    with Listener() as dispatcher:
        words = [sys.executable, "-c", BLENDER_THAT_DIES, str(ROOT), str(ROOT / "tests"), dispatcher.url]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as blender:
            assert blender.stdout is not None
            told = next(line for line in blender.stdout if line.startswith("child "))
            child = psutil.Process(int(told.split()[1]))
            until("the child at the dispatcher's door", lambda: dispatcher.connections > 0, 30)
            blender.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        until("the end of the child", lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 10)
