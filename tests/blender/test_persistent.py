"""Frames from a scene that is kept open equal those of one just opened; ``bench persistent_matrix`` has all changes."""

from __future__ import annotations

from typing import Any

import bpy
import pytest
from blender_images import channels_of
from changing_scenes import Change, build, every_change
from scenes import fresh_scene

from renderbros_addon.blender import freshness
from renderbros_addon.blender.inspect import inspect
from renderbros_addon.blender.open import open_blend
from renderbros_addon.blender.versions import cycles_engine
from renderbros_addon.protocol.jobs import RenderSettings
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.renderer import InspectRequest

CHANGES = (
    # What Cycles gets wrong by itself, in one Blender or another.
    "hair", "hair_on_deforming", "skin", "samples", "simplify", "layer_samples", "layer_surfaces", "layer_passes",
    "dicing",
    # What it gets right, by kind.
    "object_moves", "shape_keys", "nodes_instances", "displacement_scale", "emission", "image_sequence", "fog_appears",
    "light_off_at_first", "shown_later", "camera_markers", "stops_deforming", "shadow_catcher", "workbench",
)  # fmt: skip


CROP = Region(x0=7, y0=3, x1=30, y1=21)

TASKS: dict[str, tuple[RenderSettings, dict[str, Any]]] = {
    "whole": (RenderSettings(), {"linear": False}),
    "part": (RenderSettings(), {"linear": False, "region": CROP}),
    "linear": (RenderSettings(), {}),
    "linear tile": (RenderSettings(), {"region": CROP}),
    "fewer samples": (RenderSettings(samples=1, seed=99), {"region": CROP}),
    "more samples": (RenderSettings(samples=17), {"linear": False}),
    "half": (RenderSettings(percentage=50), {"width": 30, "height": 21}),
    "other camera": (RenderSettings(camera="Second"), {"region": CROP}),
    "one layer": (RenderSettings(view_layers=("Extra",)), {"region": CROP}),
}
"""Settings and options of tasks that one scene may get."""


def two_layers(scene: Any) -> None:
    scene.view_layers.new("Extra")
    second = bpy.data.objects.new("Second", scene.camera.data)
    second.location, second.rotation_euler = (0, -4, 2), (1.2, 0, 0)
    scene.collection.objects.link(second)


def alike(expected: dict[str, Any], found: dict[str, Any]) -> bool:
    return expected.keys() == found.keys() and all(
        expected[name].tobytes() == found[name].tobytes() for name in expected
    )


def opened(studio: Any, change: Change, make_spec: Any) -> None:
    build(change, studio.blend)
    studio.inspection = inspect(InspectRequest(id="look", blend=str(studio.blend)))
    studio.spec = make_spec(studio.blend, studio.inspection)
    open_blend(studio.blend)


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_seen(name: str, studio: Any, make_spec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(studio, every_change()[name], make_spec)
    order = (1, 5, 3, 1)
    kept = [channels_of(studio.render(frame=frame, linear=False)) for frame in order]
    monkeypatch.setattr("renderbros_addon.blender.render.keep_what_stays_fresh", from_scratch)
    fresh = {}
    for frame in set(order):
        open_blend(studio.blend)
        fresh[frame] = channels_of(studio.render(frame=frame, linear=False))
    assert not alike(fresh[1], fresh[5]), "nothing changes"
    assert [alike(fresh[frame], found) for frame, found in zip(order, kept, strict=True)] == [True] * 4


def test_tiles_of_one_frame_after_the_other_are_each_of_their_own(
    studio: Any, make_spec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(studio, every_change()["diced_for_markers"], make_spec)
    tiles = (Region(x0=0, y0=0, x1=20, y1=20), Region(x0=20, y0=10, x1=44, y1=30))
    asked = [(frame, tile) for frame in (1, 3, 1) for tile in tiles]
    kept = [channels_of(studio.render(frame=frame, region=tile)) for frame, tile in asked]
    monkeypatch.setattr("renderbros_addon.blender.render.keep_what_stays_fresh", from_scratch)
    for (frame, tile), found in zip(asked, kept, strict=True):
        open_blend(studio.blend)
        assert alike(channels_of(studio.render(frame=frame, region=tile)), found), (frame, tile)


def from_scratch(scene: Any) -> None:
    scene.render.use_persistent_data = False


def test_tasks_of_other_settings_show_what_a_fresh_file_does(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.take(two_layers)
    names = [*TASKS, *reversed(TASKS)]

    def shot(name: str) -> dict[str, Any]:
        settings, options = TASKS[name]
        size = studio.spec.model_copy(update={key: options[key] for key in ("width", "height") if key in options})
        region = options.get("region") or Region.full(size.width, size.height)
        rest = {key: value for key, value in options.items() if key != "region"}
        return channels_of(studio.render(region, settings=settings, **rest))

    kept = [shot(name) for name in names]
    monkeypatch.setattr("renderbros_addon.blender.render.keep_what_stays_fresh", from_scratch)
    fresh = {}
    for name in TASKS:
        open_blend(studio.blend)
        fresh[name] = shot(name)
    assert [name for name, found in zip(names, kept, strict=True) if not alike(fresh[name], found)] == []


@pytest.mark.parametrize("region", [None, CROP], ids=["whole", "linear tile"])
def test_a_frame_after_another_finds_what_cycles_kept(
    studio: Any, region: Region | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.take()
    engine, found = cycles_engine(), []
    own = engine.update

    def update(self: Any, data: Any, depsgraph: Any) -> None:
        found.append(bool(self.session))
        own(self, data, depsgraph)

    monkeypatch.setattr(engine, "update", update)
    for frame in (1, 2, 3):
        studio.render(region, linear=region is not None, frame=frame)
    assert found == [False, True, True]


def test_what_is_not_known_to_be_followed_is_not_trusted() -> None:
    scene = fresh_scene()
    assert list(freshness.stale_because(scene)) == []
    modifier = bpy.data.objects["Ball"].modifiers.new("Hair", "PARTICLE_SYSTEM")
    modifier.particle_system.settings.type = "HAIR"
    assert list(freshness.stale_because(scene)) == []
    bpy.data.objects["Ball"].keyframe_insert("location", frame=1)
    assert any("hair" in reason for reason in freshness.stale_because(scene))
    bpy.data.objects["Cube"].modifiers.new("Cloth", "CLOTH")
    assert any("Cloth" in reason for reason in freshness.stale_because(scene))
