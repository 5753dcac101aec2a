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
    subprocess.run(["import", "-window", "root", *cut, "-colors", "200", str(path)], check=True)
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
    """Find the button of the operator ``button`` in the render properties, and click it; ``at`` is its place across."""
    for turn in range(3):
        area, region = properties()
        y = region.y + region.height - 12
        while y > region.y + 6:
            x = region.x + region.width * at
            move(x, y)
            yield 0.06
            move(x + 2, y)
            yield 0.06
            if f"renderbros.{button}(" in under_mouse(area, region):
                xdotool("click", 1)
                say(f"clicked {button}")
                yield 0.5
                return
            y -= 11
        xdotool("click", 5 if turn == 0 else 4)  # the wheel
        yield 0.3
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


def scene_of(folder: Path) -> Any:
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 64, False
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 480, 320, 100
    scene.frame_start, scene.frame_end = 1, 1
    scene.render.filepath = "//frames/shot_####"
    scene.renderbros.cut, scene.renderbros.columns, scene.renderbros.rows = "GRID", 4, 3
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    return scene


def session() -> Steps:
    addon_utils.extensions_refresh()
    addon_utils.enable(KEY, default_set=True)
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
    yield from picture("start")
    yield from wheel(40)
    yield from picture("scrolled")


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


running = session()
bpy.app.timers.register(steps, first_interval=2.0)
