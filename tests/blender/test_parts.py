"""A part of a frame in the job's own format has the pixels that the whole frame has there, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
import numpy as np
import pytest
from blender_images import channels_of
from scene_features import adaptive, border_with_crop, border_without_crop, denoised

from renderbros_addon.blender.failures import CannotServe
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.imaging.level0 import level0_problems
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.states import FailureCode

Change = Callable[[Any], None]


def _writing(file_format: str, depth: str, mode: str = "RGBA") -> Change:
    def change(scene: Any) -> None:
        settings = scene.render.image_settings
        settings.file_format, settings.color_mode, settings.color_depth = file_format, mode, depth

    return change


def _dithered(scene: Any) -> None:
    """See-through, dithered, as many samples as each pixel needs: all that could tell a part from the whole."""
    adaptive(scene)
    scene.cycles.adaptive_threshold = 0.02
    scene.render.film_transparent = True
    scene.render.dither_intensity = 2.0
    bpy.data.objects.remove(bpy.data.objects["Floor"])


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param((_dithered, _writing("PNG", "8")), id="PNG"),
        pytest.param((_dithered, _writing("PNG", "16"), border_without_crop), id="PNG-16-in-border"),
        pytest.param((_dithered, _writing("TIFF", "8", "RGB"), border_with_crop), id="TIFF-of-border"),
        pytest.param((_dithered, _writing("OPEN_EXR", "16")), id="EXR-half"),
    ],
)
def test_a_part_has_the_pixels_of_the_whole(studio: Any, changes: tuple[Change, ...]) -> None:
    studio.take(lambda scene: [change(scene) for change in changes])
    whole = channels_of(studio.render(linear=False))
    width, height = studio.spec.width, studio.spec.height
    for part in (Region(x0=9, y0=5, x1=30, y1=24), Region(x0=width - 17, y0=height - 13, x1=width, y1=height)):
        path = studio.render(part, linear=False)
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        shown = channels_of(path)
        assert shown.keys() == whole.keys()
        for name, pixels in whole.items():
            assert pixels.dtype == shown[name].dtype
            assert np.array_equal(shown[name], pixels[part.y0 : part.y1, part.x0 : part.x1]), name
        assert level0_problems(inspect_image(path), studio.spec, part, linear=False) == ()


def test_the_other_view_of_a_stereo_frame_is_cut_too(studio: Any) -> None:
    def stereo(scene: Any) -> None:
        scene.render.use_multiview = True
        scene.render.image_settings.views_format = "INDIVIDUAL"

    from renderbros_addon.blender.progress import ProgressBoard
    from renderbros_addon.blender.render import render

    studio.take(stereo)
    part = Region(x0=9, y0=5, x1=30, y1=24)
    wholes, parts = (render(studio.request(region, linear=False), ProgressBoard()) for region in (None, part))
    assert len(wholes.extras) == 1
    for whole, cut in zip((wholes.path, wholes.extras[0].path), (parts.path, parts.extras[0].path), strict=True):
        for name, pixels in channels_of(whole).items():
            assert np.array_equal(channels_of(cut)[name], pixels[5:24, 9:30]), name


def _composited(scene: Any) -> None:
    from renderbros_addon.blender.versions import new_compositor

    scene.render.use_compositing = True
    tree, output, _ = new_compositor(scene)
    layers = tree.nodes.new("CompositorNodeRLayers")
    tree.links.new(layers.outputs["Image"], output.inputs[0])


def _workbench(scene: Any) -> None:
    scene.render.engine = "BLENDER_WORKBENCH"


def _coded_in_blocks(scene: Any) -> None:
    _writing("OPEN_EXR", "16")(scene)
    scene.render.image_settings.exr_codec = "DWAA"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (denoised, "is denoised"),
        (_composited, "compositor"),
        (_workbench, "only Cycles"),
        (_writing("JPEG", "8", "RGB"), "cut from a JPEG file"),
        (_coded_in_blocks, "DWAA"),
    ],
)
def test_a_part_that_would_differ_is_refused(studio: Any, change: Change, why: str) -> None:
    studio.take(change)
    with pytest.raises(CannotServe, match=why) as refusal:
        studio.render(Region(x0=0, y0=0, x1=10, y1=10), linear=False)
    assert refusal.value.code == FailureCode.BAD_SETTING
