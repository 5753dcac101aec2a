"""Scenes that want more memory or time than they may have: the task ends with a name."""

from __future__ import annotations

from pathlib import Path

import bpy
import pydantic
import pytest
from attacks.greedy_runs import MEMORY, OVERSHOOT, run_greedy
from attacks.greedy_scenes import ENDLESS, GREEDY, Greed
from attacks.hostile_scenes import HEIGHT, WIDTH, black_scene

from renderbros_addon.worker.command import chosen_blender
from renderbros_addon.worker.guard import find_guard
from renderbros_addon.worker.limits import Limits


@pytest.mark.parametrize("greed", GREEDY, ids=lambda greed: greed.name)
def test_greed_ends_with_its_name(tmp_path: Path, greed: Greed) -> None:
    root = tmp_path / "job"
    root.mkdir()
    greed.build(black_scene())
    blend = root / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), compress=False)
    guard = find_guard(
        tmp_path, chosen_blender(None), [Path(pydantic.__file__).parents[1]], limits=Limits(memory=MEMORY)
    )
    series = "{}.{}".format(*bpy.app.version)
    timeout = 3.0 if greed.codes >= ENDLESS else 60.0
    ended = run_greedy(blend, tmp_path / "scratch", guard, (WIDTH, HEIGHT), series, timeout)
    assert ended.how in {code.value for code in greed.codes}, ended
    assert ended.message
    assert ended.peak_memory < MEMORY + OVERSHOOT
