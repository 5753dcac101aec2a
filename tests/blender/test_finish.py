"""A finished frame equals the one that Blender writes itself: pixels, bit depth, dithering, alpha."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
import numpy as np
import pytest
from blender_images import channels_of
from scene_features import set_border

from renderbros_addon.blender.failures import CannotServe
from renderbros_addon.blender.finish import finish
from renderbros_addon.imaging.assembly import assemble
from renderbros_addon.protocol.regions import TileGrid
from renderbros_addon.protocol.renderer import FinishRequest
from renderbros_addon.protocol.states import FailureCode


def graded(scene: Any) -> None:
    view = scene.view_settings
    view.view_transform, view.look, view.exposure, view.gamma = "AgX", "AgX - Punchy", 0.7, 1.3
    view.use_curve_mapping = True
    view.curve_mapping.curves[3].points.new(0.5, 0.62)
    view.curve_mapping.update()


def exposure_animated(scene: Any) -> None:
    for frame, value in ((1, 0.0), (4, 3.0)):
        scene.view_settings.exposure = value
        scene.view_settings.keyframe_insert("exposure", frame=frame)


def much_dither(scene: Any) -> None:
    scene.view_settings.view_transform, scene.render.dither_intensity = "Standard", 2.0


def overridden(scene: Any) -> None:
    image = scene.render.image_settings
    image.color_management = "OVERRIDE"
    image.view_settings.view_transform = "Filmic"


def bordered(scene: Any) -> None:
    scene.render.film_transparent = True
    set_border(scene, crop=False)


def cropped(scene: Any) -> None:
    set_border(scene, crop=True)


def as_is(scene: Any) -> None:
    """With the defaults."""


def written_as(file_format: str, depth: str, mode: str, change: Callable[[Any], None]) -> Callable[[Any], None]:
    def setup(scene: Any) -> None:
        image = scene.render.image_settings
        image.file_format, image.color_mode = file_format, mode
        if depth:
            image.color_depth = depth
        scene.render.film_transparent = mode == "RGBA"
        change(scene)

    return setup


@pytest.mark.parametrize(
    ("file_format", "depth", "mode", "change"),
    [
        ("PNG", "8", "RGB", as_is),
        ("PNG", "8", "RGBA", as_is),
        ("PNG", "16", "RGBA", as_is),
        ("PNG", "8", "BW", as_is),
        ("JPEG", "", "RGB", as_is),
        ("OPEN_EXR", "16", "RGBA", as_is),
        ("OPEN_EXR", "32", "RGB", as_is),
        ("TIFF", "16", "RGB", as_is),
        ("WEBP", "", "RGB", as_is),
        ("PNG", "8", "RGB", graded),
        ("PNG", "8", "RGB", exposure_animated),
        ("PNG", "8", "RGB", much_dither),
        ("PNG", "8", "RGB", overridden),
        ("OPEN_EXR", "16", "RGBA", overridden),
        ("PNG", "8", "RGBA", bordered),
        ("PNG", "8", "RGB", cropped),
    ],
)
def test_finished_equals_blenders_own(
    studio: Any, file_format: str, depth: str, mode: str, change: Callable[[Any], None]
) -> None:
    studio.take(written_as(file_format, depth, mode, change))
    own = studio.render(linear=False, frame=3)
    width, height = studio.spec.width, studio.spec.height
    regions = TileGrid.parse("2x2").regions(width, height)
    assembled = studio.folder / "assembled.exr"
    assemble([(region, studio.render(region, frame=3)) for region in regions], width, height, assembled)
    out = studio.empty_folder()
    path, _ = finish(
        FinishRequest(
            id="f", root=str(studio.folder), spec=studio.spec, frame=3, assembled=str(assembled), out_dir=str(out)
        )
    )
    assert path.suffix == own.suffix
    assert [p.name for p in out.iterdir()] == [path.name]
    expected, actual = channels_of(own), channels_of(path)
    assert expected.keys() == actual.keys()
    for name, pixels in expected.items():
        assert pixels.dtype == actual[name].dtype
        assert np.array_equal(pixels, actual[name]), name


def test_a_multilayer_job_gets_the_assembled_passes(studio: Any) -> None:
    studio.take()
    assembled = studio.render()
    spec = studio.spec.model_copy(update={"format": "OPEN_EXR_MULTILAYER"})
    request = FinishRequest(
        id="f",
        root=str(studio.folder),
        spec=spec,
        frame=2,
        assembled=str(assembled),
        out_dir=str(studio.empty_folder()),
    )
    path, _ = finish(request)
    assert path.read_bytes() == assembled.read_bytes()


def test_an_unreadable_assembly_is_named(studio: Any) -> None:
    studio.take()
    broken = studio.folder / "broken.exr"
    broken.write_bytes(b"v/1\x01" + b"\x02\0\0\0" + b"nonsense" * 9)
    request = FinishRequest(
        id="f", root=str(studio.folder), spec=studio.spec, frame=2, assembled=str(broken),
        out_dir=str(studio.empty_folder()),
    )  # fmt: skip
    with pytest.raises(CannotServe) as failure:
        finish(request)
    assert failure.value.code == FailureCode.BAD_OUTPUT
    assert len(bpy.data.scenes) == 1
