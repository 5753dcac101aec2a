"""The sample scene: complete in one file, tiles, and shows something."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from blender_images import channels_of

from renderbros_addon.blender.inspect import inspect
from renderbros_addon.blender.open import open_blend
from renderbros_addon.blender.sample import build_sample
from renderbros_addon.protocol.jobs import RenderSettings
from renderbros_addon.protocol.renderer import InspectRequest


def test_the_sample_is_what_the_demo_needs(studio: Any, make_spec: Any) -> None:
    path = studio.folder / "sample.blend"
    build_sample(path)
    small = RenderSettings(percentage=10, samples=4)
    found = inspect(InspectRequest(id="i", blend=str(path)))
    assert (found.width, found.height, found.frames) == (640, 360, (1, 4, 1))
    assert (found.whole_because, found.missing, found.warnings) == ((), (), ())
    assert found.files == (str(path),)
    assert found.frame_name == "frame_####.png"
    assert bpy.data.images["terrazzo"].packed_file

    open_blend(path)
    studio.spec = make_spec(path, found, settings=small, width=64, height=36)
    frames = [channels_of(studio.render(linear=False, frame=frame))["G"].astype(float) for frame in (1, 4)]
    assert frames[0].shape == (36, 64)
    assert 30 < frames[0].mean() < 200
    assert frames[0].std() > 20
    assert np.abs(frames[0] - frames[1]).mean() > 3
