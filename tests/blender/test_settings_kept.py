"""Nothing of one task is left for the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from blender_images import channels_of
from scene_features import set_border

from renderbros_addon.blender import render_call
from renderbros_addon.blender.failures import CannotServe
from renderbros_addon.protocol.jobs import RenderSettings
from renderbros_addon.protocol.regions import Region

CROP = Region(x0=7, y0=3, x1=30, y1=21)

TASKS: dict[str, tuple[RenderSettings, dict[str, Any]]] = {
    "whole": (RenderSettings(), {"linear": False}),
    "linear tile": (RenderSettings(samples=2, seed=99), {"region": CROP}),
    "other size": (RenderSettings(resolution_x=40, resolution_y=30, percentage=50), {"width": 20, "height": 15}),
    "other format": (RenderSettings(format="JPEG"), {"linear": False, "format": "JPEG"}),
    "bmp": (RenderSettings(format="BMP"), {"linear": False, "format": "BMP"}),
    "exr": (RenderSettings(format="OPEN_EXR_MULTILAYER"), {"linear": False, "format": "OPEN_EXR_MULTILAYER"}),
    "workbench": (RenderSettings(engine="BLENDER_WORKBENCH", samples=5), {"linear": False}),
    "other camera": (RenderSettings(camera="Second"), {"region": CROP}),
    "one layer": (RenderSettings(view_layers=("Extra",)), {"region": CROP}),
}


def everything(owner: Any, depth: int = 4) -> dict[str, str]:
    """Every property below ``owner`` that Blender shows to Python, pointers followed, as text."""
    found: dict[str, str] = {}
    for prop in owner.bl_rna.properties:
        name = prop.identifier
        # Persistent data stays as the task before had it: Blender forgets the scene when it goes off.
        if name in ("rna_type", "depsgraph", "objects", "frame_current_final", "active_aov", "use_persistent_data"):
            continue
        value = getattr(owner, name)
        if prop.type == "POINTER":
            if value is None or isinstance(value, bpy.types.ID) or depth == 0:
                found[name] = repr(value)
            else:
                found |= {f"{name}.{key}": text for key, text in everything(value, depth - 1).items()}
        elif prop.type == "COLLECTION":
            found[name] = str(len(value))
        else:
            found[name] = repr(value if isinstance(value, (str, int, float, bool, set)) else tuple(value))
    return found


def dump(scene: Any) -> dict[str, str]:
    owners = {
        "render": scene.render,
        "cycles": scene.cycles,
        "eevee": scene.eevee,
        "view": scene.view_settings,
        "display": scene.display,
        "device": scene.display_settings,
    }
    owners |= {f"layer {layer.name}": layer for layer in scene.view_layers}
    found = {f"{who}.{name}": text for who, owner in owners.items() for name, text in everything(owner).items()}
    found["camera"] = repr(scene.camera)
    found["markers"] = repr([marker.camera for marker in scene.timeline_markers])
    return found


def unusual(scene: Any) -> None:
    """A scene whose settings are nowhere the defaults that a careless restore would put back."""
    render, image = scene.render, scene.render.image_settings
    scene.view_layers.new("Extra")
    render.use_persistent_data = False
    render.use_overwrite, render.use_placeholder, render.use_file_extension = False, True, False
    render.use_compositing = render.use_sequencer = render.use_stamp = True
    render.threads_mode, render.threads = "FIXED", 1
    image.file_format, image.color_mode, image.color_depth, image.compression = "PNG", "BW", "16", 77
    scene.cycles.use_denoising, scene.cycles.use_layer_samples = False, "BOUNDED"
    set_border(scene, crop=False)
    second = bpy.data.objects.new("Second", scene.camera.data)
    second.location, second.rotation_euler = (0, -4, 2), (1.2, 0, 0)
    scene.collection.objects.link(second)
    scene.timeline_markers.new("cut", frame=2).camera = scene.camera


def test_settings_are_what_they_were(studio: Any) -> None:
    studio.take(unusual)
    scene = bpy.context.scene
    scene.frame_set(2)
    before = dump(scene)
    assert len(before) > 300
    for name, (settings, options) in TASKS.items():
        studio.render(settings=settings, **options)
        after = dump(scene)
        assert {key: (before[key], after[key]) for key in before if before[key] != after[key]} == {}, name


def test_settings_are_put_back_after_a_failure(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.take(unusual)
    scene = bpy.context.scene
    before = dump(scene)
    with pytest.raises(CannotServe):
        studio.render(settings=RenderSettings(format="NO_SUCH", samples=9, seed=3), format="NO_SUCH")
    with pytest.raises(CannotServe):
        studio.render(settings=RenderSettings(engine="BLENDER_WORKBENCH", camera="Nobody"))

    def broken(*_: object) -> None:
        raise OSError("out of luck")

    monkeypatch.setattr(render_call, "call_blender", broken)
    with pytest.raises(OSError, match="luck"):
        studio.render(CROP, settings=RenderSettings(samples=9, engine="BLENDER_WORKBENCH"))
    assert dump(scene) == before


def test_a_task_renders_the_same_after_another(studio: Any, tmp_path: Path) -> None:
    studio.take(unusual)

    def first() -> dict[str, Any]:
        return channels_of(studio.render(linear=False)) | {
            f"linear {name}": pixels for name, pixels in channels_of(studio.render(CROP)).items()
        }

    expected = first()
    for name, (settings, options) in TASKS.items():
        studio.render(settings=settings, **options)
        again = first()
        assert all(np.array_equal(expected[key], again[key]) for key in expected), name


def test_overrides_take_effect(studio: Any) -> None:
    studio.take(unusual)
    pictures = {}
    for name in ("linear tile", "other camera"):
        settings, _ = TASKS[name]
        pictures[name] = channels_of(studio.render(CROP, settings=settings))["ViewLayer.Combined.R"]
    pictures["plain"] = channels_of(studio.render(CROP))["ViewLayer.Combined.R"]
    assert not np.array_equal(pictures["linear tile"], pictures["plain"])
    assert np.abs(pictures["other camera"] - pictures["plain"]).mean() > 0.05
    assert next(iter(channels_of(studio.render(CROP, settings=TASKS["one layer"][0])))).startswith("Extra.")


def test_finishing_leaves_nothing_behind(studio: Any) -> None:
    studio.take(unusual)
    scene = bpy.context.scene
    before = dump(scene)
    assembled = studio.render()

    def blocks() -> dict[str, set[str]]:
        kinds = ("scenes", "images", "node_groups", "objects", "worlds", "actions")
        # Blender makes the images Render Result and Viewer Node by itself, once.
        found = {
            kind: {b.name for b in getattr(bpy.data, kind) if getattr(b, "source", "") != "VIEWER"} for kind in kinds
        }
        assert found["scenes"]
        return found

    blocks_before = blocks()
    studio.finished(assembled)
    assert dump(scene) == before
    assert blocks() == blocks_before
    assert bpy.context.scene == scene


def test_threads_are_what_the_agent_allows(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Told by the setting, not by processor time: Blender 4.5 keeps a second thread spinning beside a single one.
    studio.take()
    seen: list[tuple[str, int]] = []
    real = render_call.call_blender

    def watching(scene: Any, out_dir: Path) -> None:
        seen.append((scene.render.threads_mode, scene.render.threads))
        real(scene, out_dir)

    monkeypatch.setattr(render_call, "call_blender", watching)
    monkeypatch.setenv("RENDERBROS_THREADS", "1")
    studio.render(CROP)
    monkeypatch.setenv("RENDERBROS_THREADS", "many")
    studio.render(CROP)
    assert seen[0] == ("FIXED", 1)
    assert seen[1][0] == "AUTO"
