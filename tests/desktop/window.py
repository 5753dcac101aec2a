"""Run in a Blender with a window, under Xvfb: opens the panels, clicks through them with xdotool, and takes pictures.

``blender --online-mode --python tests/desktop/window.py -- DISPATCHER SUBMITTER_INVITE WORKER_INVITE OUT PICTURES``,
which ``.ci/real-blender BLENDER PYTHON window PICTURES`` does. It needs xdotool and ImageMagick's ``import``.

A button is found as a person finds it, by looking: the mouse goes down the panel until Blender says that the button
under it is the one. What comes of a click is seen in the extension's state.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

# isort: split
import addon_utils

KEY = "bl_ext.user_default.renderbros_addon"
dispatcher, submitter, lender, out, pictures = sys.argv[sys.argv.index("--") + 1 :]
began = time.monotonic()
seen: dict[str, int] = {}
"""At which height buttons were found."""
Steps = Iterator[float]
"""Seconds until Blender, which draws and answers meanwhile, is to come back."""


def room(name: str) -> Any:
    return importlib.import_module(f"{KEY}.renderbros_addon.desktop.{name}")


def say(text: str) -> None:
    print(f"{time.monotonic() - began:6.1f} s: {text}", flush=True)


def until(what: str, true: Callable[[], Any], seconds: float = 90.0) -> Steps:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"in {seconds:g} s never came true: {what}")
        yield 0.2
    say(what)


def xdotool(*words: object) -> None:
    subprocess.run(["xdotool", *map(str, words)], check=True)


def picture(name: str, crop: str = "") -> Steps:
    """Of the whole window, or of ``crop``, as ImageMagick writes it."""
    yield 0.6
    path = Path(pictures) / f"{name}.png"
    cut = ["-crop", crop, "+repage"] if crop else []
    subprocess.run(["import", "-window", "root", *cut, "+dither", "-colors", "96", str(path)], check=True)
    say(f"picture {path.name}, {path.stat().st_size / 1e3:.0f} kB")


def properties() -> tuple[Any, Any]:
    """The area of the render properties, and its region."""
    window = bpy.context.window_manager.windows[0]
    areas = [area for area in window.screen.areas if area.type == "PROPERTIES"]
    area = max(areas, key=lambda one: one.width)
    return area, next(region for region in area.regions if region.type == "WINDOW")


def crop_of(area: Any) -> str:
    window = bpy.context.window_manager.windows[0]
    return f"{area.width}x{area.height}+{area.x}+{window.height - area.y - area.height}"


def both() -> str:
    """The image editor and the properties beside it."""
    area, _ = properties()
    height = bpy.context.window_manager.windows[0].height
    return f"{area.x + area.width}x{area.height}+0+{height - area.y - area.height}"


def under_mouse(area: Any, region: Any) -> str:
    """The command of the button under the mouse; empty if there is none."""
    manager = bpy.context.window_manager
    manager.clipboard = ""
    try:
        with bpy.context.temp_override(window=manager.windows[0], area=area, region=region):
            bpy.ops.ui.copy_python_command_button()
    except RuntimeError:
        return ""
    return str(manager.clipboard)


def move(x: float, y: float) -> None:
    """Blender counts from the bottom, X from the top."""
    xdotool("mousemove", round(x), round(bpy.context.window_manager.windows[0].height - y))


def click(button: str, at: float = 0.3) -> Steps:
    """Find the button of the operator ``button`` in the render properties, and click it."""
    yield from look_for(button, at)
    xdotool("click", 1)
    say(f"clicked {button}")
    yield 0.5


def look_for(button: str, at: float = 0.3) -> Steps:
    """Bring the mouse over the button of the operator ``button``, which is ``at`` that place across the panels."""
    for turn in range(4):
        area, region = properties()
        top = region.y + region.height - 12
        # Where it was last, it may still be.
        rows = [y for y in (seen.get(button, top), seen.get(button, top) + 8) if not turn]
        for y in [*rows, *range(top, region.y + 6, -13)]:
            x = region.x + region.width * at
            move(x, y)
            yield 0.04
            move(x + 2, y)
            yield 0.05
            if f"renderbros.{button}(" in under_mouse(area, region):
                seen[button] = y
                return
        if turn < 3:
            yield from wheel((60, -6, -12)[turn])
    raise AssertionError(f"there is no button {button} to be seen")


def wheel(times: int) -> Steps:
    """Turn it over the properties; downwards if ``times`` is positive."""
    _, region = properties()
    move(region.x + region.width / 2, region.y + region.height / 2)
    for _ in range(abs(times)):
        xdotool("click", 5 if times > 0 else 4)
        yield 0.03
    yield 0.3


def windows() -> Steps:
    """An image editor beside the render properties, in which only our panels are open."""
    window = bpy.context.window_manager.windows[0]
    area = max(window.screen.areas, key=lambda one: one.width * one.height)
    with bpy.context.temp_override(window=window, area=area):
        bpy.ops.screen.area_split(direction="VERTICAL", factor=0.5)
    yield 0.5
    largest = sorted(window.screen.areas, key=lambda one: one.width * one.height)[-2:]
    left, right = sorted(largest, key=lambda one: one.x)
    left.type, right.type = "IMAGE_EDITOR", "PROPERTIES"
    yield 1.0  # it has tabs once it was drawn
    right.spaces.active.context = "RENDER"
    yield 0.5


def open_lending() -> Steps:
    """Click its header: one of the lowest, whatever else this Blender has there."""
    yield from wheel(60)
    for row in (3, 2, 4, 1, 0):
        _, region = properties()
        move(region.x + region.width * 0.4, region.y + 13 + 28 * row)
        yield 0.2
        xdotool("click", 1)
        yield 0.5
        yield from wheel(60)
        try:
            yield from look_for("lend_start")
            say("opened Lend to RenderBros")
            return
        except AssertionError:
            move(region.x + region.width * 0.4, region.y + 13 + 28 * row)
            xdotool("click", 1)
            yield 0.5
    raise AssertionError("the panel does not open")


def scene_of(folder: Path) -> Any:
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 160, False
    scene.cycles.use_adaptive_sampling = False
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 480, 320, 100
    scene.frame_start, scene.frame_end = 1, 1
    scene.render.filepath = "//frames/shot_####"
    scene.renderbros.cut, scene.renderbros.columns, scene.renderbros.rows = "GRID", 4, 3
    material = bpy.data.materials.new("Glaze")
    material.use_nodes = True
    surface = material.node_tree.nodes["Principled BSDF"].inputs
    surface["Base Color"].default_value, surface["Roughness"].default_value = (0.8, 0.16, 0.05, 1), 0.15
    bpy.data.objects["Cube"].data.materials.clear()
    bpy.data.objects["Cube"].data.materials.append(material)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    return scene


def session() -> Steps:
    activities, connection, jobs, lending, submit = map(room, ("activities", "connection", "jobs", "lending", "submit"))
    preferences = bpy.context.preferences.addons[KEY].preferences
    preferences.dispatcher, preferences.expect_seconds, preferences.lend_threads = dispatcher, 0, 1
    preferences.lend_only_idle = preferences.lend_pause_on_battery = False
    bpy.context.preferences.view.show_splash = False
    xdotool("key", "Escape")
    yield 1.0
    scene = scene_of(Path(out))
    yield from windows()
    preferences.code = submitter
    bpy.ops.renderbros.login()
    yield from until("signed in", lambda: "Signed in" in connection.told())

    def state() -> str:
        return str(lending.status().get("state"))

    yield from wheel(60)
    yield from click("look")
    yield from until("estimated", lambda: submit.findings(scene).estimated)
    yield from until("nothing is done now", lambda: activities.running(submit.PURPOSE) is None)
    yield from wheel(60)
    yield from picture("submit", crop_of(properties()[0]))

    yield from open_lending()
    bpy.context.window_manager.renderbros_lend_invite = lender
    yield from picture("not-lent", crop_of(properties()[0]))
    yield from click("lend_start")
    yield from until("waiting for work", lambda: state() == "waiting")

    yield from click("submit")
    yield from until("sent", lambda: submit.findings(scene).sent)
    job = jobs.listed()[0].id
    yield from until("a part is shown", lambda: any("(farm)" in one.name for one in bpy.data.images))
    yield from until("rendering", lambda: (lending.status().get("task") or {}).get("progress"))
    yield from wheel(60)
    yield from picture("building", both())
    yield from picture("lend", crop_of(properties()[0]))
    yield from until("completed", lambda: jobs.find(job).facts["status"] == "completed", 150)
    yield from until("brought", lambda: jobs.find(job).here)
    yield from wheel(60)
    yield from picture("watch", both())

    scene.cycles.samples = 20_000  # minutes, for clicks in between
    yield from click("submit")
    yield from until("another", lambda: jobs.listed()[0].id != job)
    other = jobs.listed()[0].id
    yield from until("it is rendered", lambda: jobs.find(other).facts["status"] == "active")
    yield from until("by us", lambda: state() == "rendering")
    yield from click("lend_pause", 0.25)
    yield from until("paused", lambda: state() == "paused", 5)
    yield from picture("paused", crop_of(properties()[0]))
    yield from click("lend_pause", 0.25)
    yield from until("going on", lambda: state() == "rendering")
    yield from click("cancel", 0.88)
    yield from until("cancelled", lambda: jobs.find(other).facts["status"] == "cancelled")
    yield from click("retry", 0.6)
    yield from until("open again", lambda: jobs.find(other).facts["status"] in ("queued", "active"))
    bpy.ops.renderbros.cancel(job=other)
    yield from wheel(60)
    yield from click("lend_stop", 0.75)
    yield from until("stopped", lambda: not lending.active())

    preferences.lend_only_idle, preferences.lend_idle_minutes = True, 1
    yield from click("lend_start")
    yield from until("somebody is here", lambda: "somebody uses" in str(lending.status().get("reason")))
    yield from until("nobody has been here for a minute", lambda: state() == "waiting", 80)
    xdotool("mousemove_relative", 3, 3)
    touched = time.monotonic()
    yield from until("somebody is back", lambda: state() == "paused", 8)
    say(f"it heeds a mouse within {time.monotonic() - touched:.1f} s")
    bpy.ops.renderbros.lend_stop()
    yield from until("stopped again", lambda: not lending.active())

    bpy.ops.screen.userpref_show("INVOKE_DEFAULT", section="ADDONS")
    yield 1.0
    bpy.context.window_manager.addon_search = "RenderBros"
    bpy.ops.preferences.addon_expand(module=KEY)
    # There is no window manager that would keep it on the screen.
    xdotool("search", "--name", "Preferences", "windowmove", 200, 20, "windowsize", 900, 860)
    yield 1.0
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            area.tag_redraw()
    yield 1.0
    yield from picture("preferences", "900x860+200+20")


def steps() -> float | None:
    global running
    try:
        return next(running)
    except StopIteration:
        print("all was seen", flush=True)
    except BaseException:
        traceback.print_exc()
        subprocess.run(["import", "-window", "root", str(Path(pictures) / "trouble.png")], check=False)
    sys.stdout.flush()
    addon_utils.disable(KEY)
    os._exit(0)


addon_utils.extensions_refresh()
addon_utils.enable(KEY, default_set=True)
running = session()
bpy.app.timers.register(steps, first_interval=2.0)
