"""Parts of one frame: Cycles keeps the scene between them, and nothing else is ever taken for unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blender_images import channels_of
from scene_features import motion_blur

from renderbros_addon.blender.open import open_blend
from renderbros_addon.blender.versions import cycles_engine
from renderbros_addon.protocol.regions import Region

TILES = (Region(x0=0, y0=0, x1=30, y1=43), Region(x0=30, y0=0, x1=61, y1=43))


def _whole(studio: Any, **options: Any) -> dict[str, Any]:
    """The frame, from a file that was just opened."""
    open_blend(studio.blend)
    return channels_of(studio.render(**options))


def _equal(studio: Any, whole: dict[str, Any], **options: Any) -> bool:
    parts = [channels_of(studio.render(region, **options)) for region in TILES]
    return all(np.array_equal(np.concatenate([part[name] for part in parts], axis=1), whole[name]) for name in whole)


def _camera_moves(scene: Any) -> None:
    motion_blur(scene)
    for frame, x in ((1, -1.0), (4, 1.0)):
        scene.camera.location.x = x
        scene.camera.keyframe_insert("location", index=0, frame=frame)


def test_what_moves_counts_as_unchanged_within_a_frame(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.take()
    engine = cycles_engine()
    own, changes = engine.__dict__["update"], list[int]()

    def update(self: Any, data: Any, depsgraph: Any) -> None:
        changes.append(len(depsgraph.updates))
        own(self, data, depsgraph)

    monkeypatch.setattr(engine, "update", update)
    for frame, region in ((2, TILES[0]), (2, TILES[1]), (3, TILES[0]), (3, TILES[1])):
        studio.render(region, frame=frame)
    assert [bool(count) for count in changes] == [True, False, True, False]


def test_frames_after_parts_of_others_are_right(studio: Any) -> None:
    studio.take()
    wholes = {frame: _whole(studio, frame=frame) for frame in (1, 4)}
    open_blend(studio.blend)
    assert all(_equal(studio, wholes[frame], frame=frame) for frame in (1, 4, 1))
    assert not _equal(studio, wholes[4], frame=1)


@pytest.mark.parametrize("feature", [_camera_moves, lambda scene: setattr(scene.view_layers[0], "use_pass_vector", 1)])
def test_motion_is_in_every_part(studio: Any, feature: Any) -> None:
    def change(scene: Any) -> None:
        _camera_moves(scene)
        scene.render.use_motion_blur = feature is _camera_moves
        feature(scene)

    studio.take(change)
    whole = _whole(studio)
    open_blend(studio.blend)
    assert _equal(studio, whole)
