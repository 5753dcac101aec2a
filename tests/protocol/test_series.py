"""Blender series as submitters write them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from renderbros_addon.protocol.jobs import JobSpec, SceneSpec
from renderbros_addon.protocol.series import KNOWN_SERIES, parse_series


@pytest.mark.parametrize(
    ("text", "series"),
    [
        ("4.5", ("4.5",)),
        ("4.5-5.1", ("4.5", "5.0", "5.1")),
        ("4.2-5.2", KNOWN_SERIES),
        ("5.2, 4.5", ("4.5", "5.2")),
        ("4.4-4.5,4.5 - 5.0", ("4.4", "4.5", "5.0")),
        ("5.2-5.10", ("5.2", "5.10")),
        ("6.0", ("6.0",)),
    ],
)
def test_what_is_named(text: str, series: tuple[str, ...]) -> None:
    assert parse_series(text) == series


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a Blender series"),
        ("4", "not a Blender series or a range FIRST-LAST: '4'"),
        ("4.5.1", "not a Blender series"),
        ("4.5-", "not a Blender series"),
        ("5.0-4.5", "upwards"),
        ("3.6", "4.2 or newer, not 3.6"),
        ("2.80-5.2", "not 2.80"),
        ("4.6", "there is no Blender 4.6"),
        ("4.5,٤.5", "not a Blender series"),
    ],
)
def test_what_is_none(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_series(text)


def spec(series: tuple[str, ...], **more: object) -> JobSpec:
    scene = {
        "blend": "a.blend", "files": [{"path": "a.blend", "sha256": "0" * 64, "size": 1}], "width": 64, "height": 64,
        "format": "PNG", "series": series, "saved_by": "4.5", "engine": "CYCLES",
    }  # fmt: skip
    return JobSpec(name="job", frames=(1,), frame_name="#.png", scene=SceneSpec.model_validate(scene), **more)


def test_tiles_of_several_series_and_series_that_lose_data_are_refused() -> None:
    assert spec(("4.5", "5.2")).tiles is None
    assert spec(("5.2",), tiles={"columns": 2, "rows": 2}).tiles
    with pytest.raises(ValidationError, match="seams"):
        spec(("4.5", "5.2"), tiles={"columns": 2, "rows": 2})
    with pytest.raises(ValidationError, match=r"Blender 4\.4 can't open a file that Blender 4\.5 saved"):
        spec(("4.4", "4.5"))
