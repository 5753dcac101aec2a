"""Run in a Blender that has the extension: lends this machine, and does what the lines of standard input say.

``lender.py SOURCE DISPATCHER INVITE``: SOURCE is the extension's folder, which is linked to where Blender looks for
extensions, or empty if it is installed already. It answers each line with one JSON object.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from pathlib import Path

import bpy  # first: it brings the next one

# isort: split
import addon_utils

KEY = "bl_ext.user_default.renderbros_addon"
source, dispatcher, invite = (sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:])[:3]


noted: list[str] = []


def note_control(*_: object) -> None:
    noted.append((lending.folder() / "control").read_text())


def enable() -> None:
    addon_utils.enable(KEY, default_set=True)


def ours() -> list[str]:
    """What of the extension is in this Blender."""
    left = [name for name in dir(bpy.types) if name.startswith("RENDERBROS_")]
    left += [name for name in dir(bpy.types.WindowManager) + dir(bpy.types.Scene) if "renderbros" in name]
    left += [
        f"{name}: {one}"
        for name in dir(bpy.app.handlers)
        if isinstance(found := getattr(bpy.app.handlers, name), list)
        for one in found
        if "renderbros" in getattr(one, "__module__", "")
    ]
    left += [thread.name for thread in threading.enumerate() if "renderbros" in thread.name]
    return left


if source:
    place = Path(bpy.utils.user_resource("EXTENSIONS", path="user_default", create=True)) / "renderbros_addon"
    if not place.exists():
        place.symlink_to(source, target_is_directory=True)
addon_utils.extensions_refresh()
bpy.context.preferences.system.use_online_access = True
enable()
lending = importlib.import_module(f"{KEY}.renderbros_addon.desktop.lending")
chosen = bpy.context.preferences.addons[KEY].preferences
chosen.dispatcher = dispatcher
chosen.lend_only_idle = chosen.lend_pause_on_battery = False
chosen.lend_threads = 1

for line in sys.stdin:
    word, _, more = line.strip().partition(" ")
    told: dict[str, object] = {}
    began = time.perf_counter()
    try:
        if word == "start":
            bpy.context.window_manager.renderbros_lend_invite = invite
            told["result"] = list(bpy.ops.renderbros.lend_start())
        elif word in ("pause", "stop"):
            told["result"] = list(getattr(bpy.ops.renderbros, f"lend_{word}")())
        elif word == "offline":
            bpy.context.preferences.system.use_online_access = False
        elif word in ("dispatcher", "cache_folder"):
            setattr(chosen, word, more)
        elif word == "outlive":
            chosen.lend_outlives = True
        elif word == "render":
            bpy.context.scene.render.resolution_x = bpy.context.scene.render.resolution_y = 16
            bpy.context.scene.cycles.samples = 1
            bpy.context.scene.render.engine = "CYCLES"
            bpy.app.handlers.render_pre.append(note_control)
            bpy.ops.render.render()
            bpy.app.handlers.render_pre.clear()
            note_control()
            told["while"], told["after"] = noted
        elif word == "disable":
            addon_utils.disable(KEY)
            told["left"] = ours()
        elif word == "enable":
            enable()
        elif word == "leave":
            break
        if word not in ("disable", "offline"):
            lending.look()
            told["typed"] = bpy.context.window_manager.renderbros_lend_invite
            told |= {"status": lending.status(), "active": lending.active(), "problem": lending.problem()}
    except Exception as error:
        told["error"] = str(error)
    told["milliseconds"] = round((time.perf_counter() - began) * 1e3, 1)
    print("told:" + json.dumps(told), flush=True)
