"""Scenes that want more memory or time than they may have: the task ends with a name, and the next is rendered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import pydantic
import pytest
from attacks.hostile_scenes import HEIGHT, WIDTH, black_scene, wall

from renderbros_addon.protocol.jobs import JobFile, SceneSpec
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.renderer import RenderRequest
from renderbros_addon.protocol.states import FailureCode
from renderbros_addon.worker.command import chosen_blender, renderer_command
from renderbros_addon.worker.guard import find_guard
from renderbros_addon.worker.limits import Limits
from renderbros_addon.worker.renderer_process import RendererLost, RendererProcess

MEMORY = 1 << 30
OVERSHOOT = 1 << 30
"""Bytes that may be taken between two looks."""


def many_walls(scene: Any) -> None:
    thing, _ = wall(scene)
    for name in ("Much", "More"):
        modifier = thing.modifiers.new(name, "ARRAY")
        modifier.count, modifier.show_viewport = 4_000, False


def endless(scene: Any) -> None:
    _, glow = wall(scene)
    glow.inputs["Strength"].default_value = 1
    scene.cycles.samples = 1 << 24


def request(root: Path, out: Path) -> RenderRequest:
    blend = root / "scene.blend"
    out.mkdir(parents=True)
    file = JobFile(path=blend.name, sha256=hashlib.sha256(blend.read_bytes()).hexdigest(), size=blend.stat().st_size)
    major, minor, _ = bpy.app.version
    spec = SceneSpec(
        blend=blend.name, files=(file,), width=WIDTH, height=HEIGHT, format="PNG", series=(f"{major}.{minor}",),
        engine="CYCLES",
    )  # fmt: skip
    return RenderRequest(
        id=root.name, root=str(root), spec=spec, frame=1, region=Region.full(WIDTH, HEIGHT), linear=False,
        out_dir=str(out),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("greed", "codes"),
    [
        (many_walls, {FailureCode.OUT_OF_MEMORY}),
        (endless, {FailureCode.TIMED_OUT}),
    ],
)
def test_greed_ends_with_its_name(tmp_path: Path, greed: Callable[[Any], None], codes: set[FailureCode]) -> None:
    root = tmp_path / "job"
    root.mkdir()
    greed(black_scene())
    bpy.ops.wm.save_as_mainfile(filepath=str(root / "scene.blend"), compress=False)
    limits = Limits(memory=MEMORY)
    guard = find_guard(tmp_path, chosen_blender(None), [Path(pydantic.__file__).parents[1]], limits=limits)
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def wrap(command: list[str]) -> list[str]:
        return guard.wrap(command, readable=[root], writable=[scratch])

    renderer = RendererProcess(
        renderer_command(chosen_blender(None)), scratch=scratch, threads=1, wrap=wrap, limits=limits,
        max_memory=MEMORY, task_timeout=4.0 if greed is endless else 60.0,
    )  # fmt: skip
    with renderer, pytest.raises(RendererLost) as caught:
        renderer.request(request(root, scratch / "out"))
    assert caught.value.code in codes, caught.value
    assert renderer.peak_memory < MEMORY + OVERSHOOT
