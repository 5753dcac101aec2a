"""What is told of a scene, and the copy that is made of it, without a farm."""

from __future__ import annotations

import shutil
from typing import Any

import bpy
import pytest

from renderbros_addon.desktop import activities, fitness, scene_settings, submit, watch_panel
from renderbros_addon.desktop.submit_panel import clock, estimate


def test_the_wish_is_what_the_scene_and_the_panel_say(artist: Any) -> None:
    scene = artist.open_scene()
    chosen = scene.renderbros
    assert scene_settings.wished(scene) == {
        "scene": "Scene", "frames": "1-4", "tiles": None, "priority": 50, "series": None, "allow_missing": False,
    }  # fmt: skip
    scene.frame_start, scene.frame_end, scene.frame_step = 5, 9, 2
    chosen.cut, chosen.columns, chosen.rows = "GRID", 3, 2
    assert scene_settings.frames(scene) == "5-9x2"
    assert scene_settings.wished(scene)["tiles"] == "3x2"
    chosen.series = " 4.5-5.2 "
    assert scene_settings.wished(scene)["series"] == "4.5-5.2"
    chosen.which, chosen.cut = "CURRENT", "AUTO"
    scene.frame_set(3)
    assert scene_settings.frames(scene) == "3"
    assert scene_settings.wished(scene)["tiles"] == "auto"
    assert scene_settings.output_folder(scene) == artist.folder
    scene.render.filepath = "//out/a/../shot_####"
    assert scene_settings.output_folder(scene) == artist.folder / "out"
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.filepath = "//frames/"
    with pytest.raises(scene_settings.NoFolder, match="save it"):
        scene_settings.output_folder(bpy.context.scene)


def test_the_copy_lies_beside_the_file_or_where_it_can(artist: Any) -> None:
    artist.open_scene()
    blend, copy = submit.save_copy()
    assert (blend, copy.parent) == (artist.blend, artist.folder)
    assert copy.read_bytes()[:4] == artist.blend.read_bytes()[:4]
    shutil.rmtree(artist.folder)
    blend, copy = submit.save_copy()
    assert blend == copy
    assert copy.name == "shot.blend"
    assert copy.stat().st_size > 1000
    shutil.rmtree(copy.parent)


def test_children_end_when_blender_may_not_go_online_any_more(artist: Any) -> None:
    artist.open_scene()
    bpy.ops.renderbros.watch()
    [watching] = activities.everything()
    bpy.context.preferences.system.use_online_access = False
    artist.idle()
    assert "may not go online" in (watching.problem or "")


def test_what_is_wrong_is_told_without_the_options_of_the_command_line(artist: Any) -> None:
    chosen = artist.open_scene().renderbros
    chosen.which, chosen.frames = "LIST", "one to ten"
    bpy.ops.renderbros.look()
    artist.idle()
    assert submit.findings(artist.scene).problem.startswith("Frames: ")
    chosen.frames, chosen.series, chosen.cut = "1", "4.5-5.2", "AUTO"
    bpy.ops.renderbros.look()
    artist.idle()
    told = submit.findings(artist.scene).problem
    assert told.startswith("Blender Versions: ")
    assert told.endswith("leave out Tiles")


def test_buttons_are_for_what_a_job_can_do() -> None:
    jobs = (("active", False), ("failed", True), ("cancelled", True), ("completed", True))
    can = {
        status: [name for name in ("retry", "cancel") if watch_panel._can(name, {"status": status, "ended": ended})]
        for status, ended in jobs
    }
    assert can == {"active": ["cancel"], "failed": ["retry"], "cancelled": ["retry"], "completed": []}


def test_times_are_told_in_words() -> None:
    assert [clock(seconds) for seconds in (0.34, 12, 200, 7500)] == ["0.3 s", "12 s", "3 min 20 s", "2 h 05 min"]
    told = estimate({"frames": 100}, {"seconds": 30.0, "device": "CPU", "problem": ""})
    assert "30 s a frame, 50 min 00 s in all" in told
    assert "with ten, 5 min 00 s" in told
    assert estimate({"frames": 1}, {"seconds": None, "problem": "no camera"}) == "No estimate: no camera"


def test_a_blender_without_the_libraries_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitness.problem() is None
    fitness.problem.cache_clear()
    monkeypatch.setattr(fitness, "NEEDED", ("no_such_library",))
    try:
        told = fitness.problem() or ""
    finally:
        fitness.problem.cache_clear()
    assert "no_such_library" in told
    assert "build --for-distributions" in told
