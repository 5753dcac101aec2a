"""Run in a Blender that has the extension: signs in, lends the machine, sends a scene, watches it and gets its frames.

``blender -b --online-mode --python tests/desktop/artist.py -- DISPATCHER SUBMITTER_INVITE WORKER_INVITE OUT``

It clicks what an artist clicks, by operators, and prints what came of it; an exit code of 1 says that
something did not. In the background timers don't run, so it does their work.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

# isort: split
import addon_utils

KEY = "bl_ext.user_default.renderbros_addon"
FRAMES = (1, 2)
longest: dict[str, float] = {}


def timed(what: str, work: Callable[[], Any]) -> Any:
    """Do ``work``, which the main thread would do, and remember how long the longest of its kind took."""
    began = time.perf_counter()
    try:
        return work()
    finally:
        longest[what] = max(longest.get(what, 0.0), time.perf_counter() - began)


def until(what: str, true: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit(f"in {seconds:g} s never came true: {what}\n{state()}")
        timed("look at children", activities.look)
        timed("look at the worker", lending.look)
        time.sleep(0.05)
    print(f"{what}: yes", flush=True)


def state() -> str:
    return "\n".join(
        (
            f"lending: {lending.status()} {lending.problem()}",
            f"jobs: {[job.facts for job in jobs.listed()]} {jobs.trouble()}",
            f"connection: {connection.told()}",
            f"scene: {submit.findings(bpy.context.scene)}",
        )
    )


def room(name: str) -> Any:
    return importlib.import_module(f"{KEY}.renderbros_addon.desktop.{name}")


def left() -> list[str]:
    """What of the extension is in this Blender."""
    found = [name for name in dir(bpy.types) if name.startswith("RENDERBROS_") or name.startswith("RenderBros")]
    found += [name for name in dir(bpy.types.WindowManager) + dir(bpy.types.Scene) if "renderbros" in name]
    for name in dir(bpy.app.handlers):
        handlers = getattr(bpy.app.handlers, name)
        if isinstance(handlers, list):
            found += [f"{name}: {one}" for one in handlers if "renderbros" in getattr(one, "__module__", "")]
    return found + [thread.name for thread in threading.enumerate() if "renderbros" in thread.name]


def scene_of(folder: Path) -> Any:
    """A cube, in tiles that the farm puts together."""
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 96, 64, 100
    scene.frame_start, scene.frame_end = FRAMES
    scene.render.filepath = "//frames/shot_####"
    scene.renderbros.cut = "GRID"
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    return scene


dispatcher, submitter, lender, out = sys.argv[sys.argv.index("--") + 1 :]
addon_utils.extensions_refresh()
timed("enable", lambda: addon_utils.enable(KEY, default_set=True))
activities, connection, jobs, lending, submit = map(room, ("activities", "connection", "jobs", "lending", "submit"))
folder = Path(submit.__file__).parents[2]
before = sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)
preferences = bpy.context.preferences.addons[KEY].preferences
preferences.dispatcher, preferences.expect_seconds, preferences.lend_threads = dispatcher, 0, 1
preferences.lend_only_idle = preferences.lend_pause_on_battery = False

preferences.code = submitter
timed("sign in", bpy.ops.renderbros.login)
until("signed in", lambda: "Signed in" in connection.told())
bpy.context.window_manager.renderbros_lend_invite = lender
timed("lend", bpy.ops.renderbros.lend_start)
scene = scene_of(Path(out))
timed("save and check", bpy.ops.renderbros.look)
until("checked", lambda: submit.findings(scene).looked)
until("estimated", lambda: submit.findings(scene).estimated)
print("estimate:", submit.findings(scene).estimated, flush=True)
until("nothing is done now", lambda: activities.running(submit.PURPOSE) is None)
timed("save and send", bpy.ops.renderbros.submit)
until("sent", lambda: submit.findings(scene).sent)
until("watched", lambda: jobs.listed() and "frames" in jobs.listed()[0].facts)
job = jobs.listed()[0]
until("completed", lambda: jobs.find(job.id).facts["status"] == "completed", 120)
until("brought", lambda: jobs.find(job.id).here)
names = sorted(path.name for path in (Path(out) / "frames").iterdir())
if names != [f"shot_{frame:04}.png" for frame in FRAMES]:
    raise SystemExit(f"the frames are called {names}")
image = bpy.data.images.load(str(Path(out) / "frames" / names[0]))
pixels = list(image.pixels)
mean, shades = sum(pixels) / len(pixels), len(set(pixels))
if tuple(image.size) != (96, 64) or not 0.02 < mean < 0.98 or shades < 50:
    raise SystemExit(f"the first frame does not look like a render: {tuple(image.size)}, {mean:.3f}, {shades} shades")
shown = [one for one in bpy.data.images if one.name.endswith("(farm)")]
if [one.colorspace_settings.name for one in shown] != [image.colorspace_settings.name]:
    raise SystemExit(f"what the image editor shows looks other than the file: {shown}")
until("earned", lambda: (lending.status().get("earned") or {}).get("tasks", 0) >= 8)
print("earned:", lending.status()["earned"], flush=True)

timed("pause", bpy.ops.renderbros.lend_pause)
until("paused", lambda: lending.status().get("state") == "paused")
timed("stop lending", bpy.ops.renderbros.lend_stop)
until("stopped", lambda: not lending.active())
timed("disable", lambda: addon_utils.disable(KEY))
if found := left():
    raise SystemExit(f"left behind: {found}")
after = sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)
if before != after:
    raise SystemExit(f"it wrote into its own folder: {set(after) ^ set(before)}")
addon_utils.enable(KEY, default_set=True)
addon_utils.disable(KEY)
if found := left():
    raise SystemExit(f"left behind the second time: {found}")
print("milliseconds on the main thread:", {what: round(took * 1e3, 1) for what, took in longest.items()})
