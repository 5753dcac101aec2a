"""A frame made of tiles equals the whole frame: every pass, every pixel, difference 0.0."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from blender_images import channels_of
from pydantic import ValidationError
from scene_features import TILEABLE, adaptive, all_passes, plain

from renderbros_addon.blender.failures import CannotServe
from renderbros_addon.imaging.assembly import assemble
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.imaging.level0 import level0_problems
from renderbros_addon.protocol.regions import Region, TileGrid, hull
from renderbros_addon.protocol.renderer import RenderRequest
from renderbros_addon.protocol.states import FailureCode


def uneven(width: int, height: int) -> tuple[Region, ...]:
    """Four tiles of different sizes which make up a part of a frame that reaches its right edge."""
    x0, x1, y0, y1 = width // 5, width // 2, height // 6, height - 3
    return (
        Region(x0=x0, y0=y0, x1=x1, y1=y0 + 11),
        Region(x0=x1, y0=y0, x1=width, y1=y0 + 7),
        Region(x0=x0, y0=y0 + 11, x1=x1, y1=y1),
        Region(x0=x1, y0=y0 + 7, x1=width, y1=y1),
    )


BLOCK = uneven(61, 43)


@pytest.mark.parametrize("feature", TILEABLE, ids=lambda feature: feature.__name__)
def test_tiles_equal_the_whole_frame(studio: Any, tmp_path: Path, feature: Callable[[Any], None]) -> None:
    studio.take(feature)
    assert studio.inspection.whole_because == ()
    width, height = studio.spec.width, studio.spec.height
    whole = channels_of(studio.render())
    tiles = [(region, studio.render(region)) for region in TileGrid.parse("3x2").regions(width, height)]
    assemble(tiles, width, height, tmp_path / "assembled.exr")
    assembled = channels_of(tmp_path / "assembled.exr")
    assert assembled.keys() == whole.keys()
    assert whole["ViewLayer.Combined.R"].shape == (height, width)
    different = {name for name in whole if not np.array_equal(whole[name], assembled[name], equal_nan=True)}
    assert not different
    # Uneven ones at once come to what they come to alone.
    block = uneven(width, height)
    for part, path in zip(block, studio.render_parts(block), strict=True):
        cut = channels_of(path)
        assert cut.keys() == whole.keys()
        here = np.s_[part.y0 : part.y1, part.x0 : part.x1]
        assert not {name for name in whole if not np.array_equal(whole[name][here], cut[name], equal_nan=True)}


def test_parts_are_tiles_like_any_other(studio: Any) -> None:
    studio.take(adaptive)
    paths = studio.render_parts(BLOCK)
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)
    for part, path in zip(BLOCK, paths, strict=True):
        alone, cut = (inspect_image(one) for one in (studio.render(part), path))
        assert (cut.pixel_digest, cut.channels, cut.size) == (alone.pixel_digest, alone.channels, cut.size)
        assert level0_problems(cut, studio.spec, part, linear=True) == ()
        assert str(oiio.ImageInput.open(str(path)).spec().get_string_attribute("compression")) == "zip"


@pytest.mark.parametrize("parts", [BLOCK[:3], (*BLOCK, BLOCK[0]), (*BLOCK[:3], BLOCK[3].shifted(0, 1))])
def test_parts_that_do_not_fill_their_region_are_no_request(studio: Any, parts: tuple[Region, ...]) -> None:
    studio.take()
    asked = studio.request(hull(BLOCK)).model_dump()
    with pytest.raises(ValidationError, match="don't make up"):
        RenderRequest.model_validate(asked | {"parts": parts})
    with pytest.raises(ValidationError, match="don't make up"):
        RenderRequest.model_validate(asked | {"parts": BLOCK, "linear": False})


def test_a_pass_is_not_lost(studio: Any) -> None:
    studio.take(all_passes)
    names = channels_of(studio.render(Region(x0=5, y0=7, x1=20, y1=30))).keys()
    for wanted in ("Depth.Z", "Normal.X", "CryptoObject00.r", "mask.X", "Denoising Albedo.R", "Vector.W"):
        assert any(name.lower().endswith(wanted.lower()) for name in names), (wanted, sorted(names))


def test_without_a_margin_adaptive_sampling_would_show_seams(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.take(adaptive, width=120, height=90)
    studio.spec = studio.spec.model_copy(update={"settings": studio.spec.settings.model_copy(update={"samples": 256})})
    import bpy

    bpy.context.scene.cycles.adaptive_threshold = 0.02
    whole = channels_of(studio.render())["ViewLayer.Combined.R"]
    tile = Region(x0=0, y0=0, x1=60, y1=45)

    def differing() -> int:
        part = channels_of(studio.render(tile))["ViewLayer.Combined.R"]
        return int((part != whole[:45, :60]).sum())

    assert differing() == 0
    monkeypatch.setattr("renderbros_addon.blender.render.ADAPTIVE_MARGIN", 0)
    assert differing() > 0


def test_one_pixel_can_be_rendered(studio: Any) -> None:
    studio.take(plain)
    whole = channels_of(studio.render())
    one = channels_of(studio.render(Region(x0=30, y0=20, x1=31, y1=21)))
    assert all(np.array_equal(one[name][0, 0], whole[name][20, 30]) for name in whole)


def test_the_file_has_float_zip_and_scene_linear_pixels(studio: Any) -> None:
    studio.take(lambda scene: setattr(scene.render.image_settings, "color_management", "OVERRIDE"))
    path = studio.render(Region(x0=0, y0=0, x1=9, y1=9))
    file = oiio.ImageInput.open(str(path))
    assert str(file.spec().format) == "float"
    assert file.spec().get_string_attribute("compression") == "zip"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_region_over_the_edge_is_refused(studio: Any) -> None:
    studio.take(plain)
    with pytest.raises(CannotServe) as refusal:
        studio.render(Region(x0=50, y0=0, x1=62, y1=10))
    assert refusal.value.code == FailureCode.SIZE_MISMATCH
