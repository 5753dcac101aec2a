"""Level 0: what a result must be before anybody looks closer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.imaging.level0 import CONTAINERS_OF_EXTENSIONS, CONTAINERS_OF_FORMATS, level0_problems
from renderbros_addon.protocol.formats import EXTENSIONS, STILL_FORMATS
from renderbros_addon.protocol.jobs import JobFile, RenderSettings, SceneSpec
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.results import Output

FRAME = Region.full(64, 48)


def scene(file_format: str = "PNG", **settings: Any) -> SceneSpec:
    return SceneSpec(
        blend="a.blend",
        files=(JobFile(path="a.blend", sha256="0" * 64, size=1),),
        settings=RenderSettings(**settings),
        width=64,
        height=48,
        format=file_format,
        series=("4.5",),
        engine="CYCLES",
    )


def test_each_of_blenders_formats_passes_as_itself_and_as_no_other(rendered: Path):
    # RLE and raw Targa are one container, as are the two kinds of EXR.
    stills = {path.stem.removeprefix("still_"): inspect_image(path) for path in rendered.glob("still_*")}
    assert stills.keys() | {"OPEN_EXR_MULTILAYER"} == CONTAINERS_OF_FORMATS.keys()
    for name, output in stills.items():
        for asked in stills:
            fits = CONTAINERS_OF_FORMATS[name] == CONTAINERS_OF_FORMATS[asked]
            assert (level0_problems(output, scene(asked), FRAME, linear=False) == ()) is fits, (name, asked)


@pytest.mark.parametrize("name", ["grey.png", "grey.exr", "alpha.png", "sixteen.png"])
def test_grey_and_alpha_pass(rendered: Path, name: str):
    asked = scene("OPEN_EXR" if name.endswith("exr") else "PNG")
    assert level0_problems(inspect_image(rendered / name), asked, FRAME, linear=False) == ()


def test_a_linear_frame_and_a_tile_pass(rendered: Path):
    assert level0_problems(inspect_image(rendered / "layers.exr"), scene(), FRAME, linear=True) == ()
    tile = Region(x0=16, y0=36, x1=64, y1=48)
    assert level0_problems(inspect_image(rendered / "tile_11.exr"), scene(), tile, linear=True) == ()
    asked = scene("OPEN_EXR_MULTILAYER")
    assert level0_problems(inspect_image(rendered / "layers_half.exr"), asked, FRAME, linear=False) == ()


@pytest.mark.parametrize(
    ("name", "asked", "region", "linear", "why"),
    [
        ("layers.exr", scene(), Region.full(64, 47), True, "64x48 pixels, not 64x47"),
        ("layers.exr", scene(), Region(x0=1, y0=0, x1=64, y1=48), True, "not 63x48"),
        ("tile_11.exr", scene(), FRAME, True, "48x12 pixels, not 64x48"),
        ("alpha.png", scene(), FRAME, True, "is png, not openexr"),
        ("layers.exr", scene(), FRAME, False, "openexr, not png"),
        ("layers_half.exr", scene(), FRAME, True, "stored as half, not as float"),
        ("still_OPEN_EXR.exr", scene(), FRAME, True, "no RGBA Combined pass, only R, G, B"),
        ("layers.exr", scene(view_layers=("Foreground",)), FRAME, True, "view layer 'Foreground', only of ViewLayer"),
        ("still_OPEN_EXR.exr", scene("OPEN_EXR_MULTILAYER"), FRAME, False, "no RGBA Combined pass"),
    ],
)
def test_what_does_not_pass(rendered: Path, name: str, asked: SceneSpec, region: Region, linear: bool, why: str):
    problems = level0_problems(inspect_image(rendered / name), asked, region, linear)
    assert len(problems) == 1
    assert why in problems[0]


def test_all_problems_are_told_at_once(rendered: Path):
    problems = level0_problems(inspect_image(rendered / "alpha.png"), scene("JPEG"), Region.full(8, 8), linear=False)
    assert len(problems) == 2


def facts(**changed: Any) -> Output:
    known: dict[str, Any] = {
        "sha256": "0" * 64,
        "size": 1,
        "pixel_digest": "0" * 64,
        "phash": "0" * 16,
        "width": 64,
        "height": 48,
        "channels": tuple(f"A.Combined.{c}" for c in "RGBA"),
        "pixel_type": "float",
        "container": "openexr",
        "blank": False,
    }
    return Output(**{**known, **changed})


def test_every_layer_asked_for_must_be_there():
    both = tuple(f"{layer}.Combined.{c}" for layer in ("A", "B.1") for c in "RGBA")
    asked = scene(view_layers=("A", "B.1"))
    assert level0_problems(facts(channels=both), asked, FRAME, linear=True) == ()
    assert "'B.1'" in level0_problems(facts(), asked, FRAME, linear=True)[0]


def test_stereo_layers_pass():
    views = tuple(f"A.Combined.{view}.{c}" for view in ("left", "right") for c in "RGBA")
    assert level0_problems(facts(channels=views), scene(view_layers=("A",)), FRAME, linear=True) == ()


@pytest.mark.parametrize("kind", ["half", "uint32", None])
def test_combined_must_be_known_to_be_float(kind: str | None):
    assert "not as float" in level0_problems(facts(pixel_type=kind), scene(), FRAME, linear=True)[0]


@pytest.mark.parametrize("channels", [("A",), ("V.Depth.Z",), ("A.Combined.R", "A.Combined.G", "A.Combined.B")])
def test_passes_without_a_picture(channels: tuple[str, ...]):
    assert "no RGBA Combined" in level0_problems(facts(channels=channels), scene(), FRAME, linear=True)[0]


def test_a_still_without_colour():
    assert "no colour" in level0_problems(facts(channels=("Z",)), scene("OPEN_EXR"), FRAME, linear=False)[0]


def test_blank_alone_is_no_problem():
    assert level0_problems(facts(blank=True), scene(), FRAME, linear=True) == ()


def test_the_tables_agree_with_what_a_job_may_ask_for() -> None:
    assert set(CONTAINERS_OF_FORMATS) == STILL_FORMATS
    assert set(CONTAINERS_OF_EXTENSIONS) <= EXTENSIONS
