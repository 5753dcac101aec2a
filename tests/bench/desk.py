"""What the extension takes of Blender's main thread: each operator, each reply that comes in, each picture shown.

Run it: ``python3 bootstrap/start.py bench desk``. A live farm; an artist who signs in, checks and sends a scene in
tiles with 40 MB of textures, watches it and cancels it. Saving the copy is measured apart: it is the one call that may
take longer than 20 ms. A panel is not drawn: this Blender has no window.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import bpy
import numpy as np
from farm_processes import Farm
from measuring import Figure, options, report
from scenes import fresh_scene

import renderbros_addon
from renderbros_addon.desktop import activities, connection, jobs, pictures, preferences, submit
from renderbros_addon.protocol.access import Role

MOST = 20.0
"""Milliseconds."""


class Times:
    """Milliseconds of each kind of call."""

    def __init__(self) -> None:
        self.found: dict[str, list[float]] = defaultdict(list)

    def of(self, name: str, call: Callable[..., Any], *given: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*given)
        finally:
            self.found[name].append((time.perf_counter() - began) * 1e3)

    def watch(self, place: Any, name: str, label: Callable[..., str]) -> None:
        """Measure every call of ``place.name`` from now on."""
        before = getattr(place, name)

        def measured(*given: Any, **named: Any) -> Any:
            return self.of(label(*given), lambda: before(*given, **named))

        setattr(place, name, measured)

    def figures(self) -> list[Figure]:
        shown = []
        for name, values in sorted(self.found.items()):
            goal = None if name.startswith("save") else MOST
            shown.append(Figure(f"{name}, longest of {len(values)}", (max(values),), "ms", goal))
        return shown


def textured(folder: Path) -> None:
    """Images that the scene needs, as files."""
    material = bpy.context.scene.objects["Cube"].data.materials[0]
    for number in range(5):
        path = folder / f"texture{number}.ppm"
        path.write_bytes(b"P6 1600 1700 255\n" + np.random.default_rng(number).bytes(1600 * 1700 * 3))
        node = material.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = bpy.data.images.load(str(path))


def pump(true: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        activities.look()
        if time.monotonic() > end:
            raise SystemExit(f"it takes too long: {submit.findings(bpy.context.scene)} {jobs.listed()}")
        time.sleep(0.02)


def run(times: Times, farm: Farm, folder: Path) -> None:
    scene = fresh_scene(1280, 720, samples=1)
    textured(folder)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    times.of("register", renderbros_addon.register)
    bpy.context.preferences.addons.new().module = preferences.KEY
    bpy.context.preferences.system.use_online_access = True
    chosen = preferences.of(bpy.context)
    chosen.dispatcher, chosen.expect_seconds = farm.url, 0
    times.watch(submit, "_save", lambda *_: "save the copy (not ours)")
    times.watch(activities.Activity, "take", lambda _, reply: f"hear {reply['type']}")
    times.watch(activities.Activity, "over", lambda one: f"end of {one.purpose}")
    times.watch(activities, "look", lambda: "a look")

    chosen.code = farm.operator.invite(Role.SUBMITTER).code
    times.of("renderbros.login", bpy.ops.renderbros.login)
    pump(lambda: not activities.everything())
    if "as submitter" not in connection.told():
        raise SystemExit(connection.told())
    scene.renderbros.which, scene.renderbros.cut = "CURRENT", "GRID"
    scene.renderbros.columns = scene.renderbros.rows = 4
    times.of("renderbros.look and saving", bpy.ops.renderbros.look)
    pump(lambda: not activities.everything())
    times.of("renderbros.submit and saving", bpy.ops.renderbros.submit)
    pump(lambda: jobs.listed() and jobs.listed()[0].here)
    for name in ("open_result", "fetch", "retry", "cancel"):
        times.of(f"renderbros.{name}", getattr(bpy.ops.renderbros, name))
    pump(lambda: not activities.running("change"))
    large(times, folder)
    times.of("renderbros.watch, to stop", bpy.ops.renderbros.watch)
    pump(lambda: not activities.everything())
    # What an operator takes is without the copy that it saves.
    saved = times.found["save the copy (not ours)"]
    for name, took in (("look", saved[0]), ("submit", saved[1])):
        [whole] = times.found.pop(f"renderbros.{name} and saving")
        times.found[f"renderbros.{name} without saving"] = [whole - took]
    times.of("unregister", renderbros_addon.unregister)


def large(times: Times, folder: Path) -> None:
    """The largest picture that a child makes, of a frame of 3840x2160."""
    width, height = 1920, 1080
    path = folder / "large.rgba"
    np.random.default_rng(1).random(width * height * 4, np.float32).tofile(path)
    reply = {"width": width, "height": height, "path": str(path)}
    for _ in range(5):
        times.of("a picture of 1920x1080", pictures.unfinished, "large", "large", reply)
    bpy.data.images.remove(pictures.of_job("large"))


def main() -> None:
    asked = options(__doc__, rounds=1).parse_args()
    times = Times()
    with tempfile.TemporaryDirectory() as place:
        os.environ["RENDERBROS_CREDENTIALS"] = str(Path(place) / "kept.json")
        with Farm(Path(place) / "farm") as farm:
            farm.start_worker("one", "--threads", "1")
            (Path(place) / "project").mkdir()
            run(times, farm, Path(place) / "project")
    report(times.figures(), times.found, asked.json)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
