"""What a job may not say: names that can't be saved, paths that fight, numbers without end."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from renderbros_addon.protocol.jobs import MAX_FILES, JobFile, JobSpec, SceneSpec
from renderbros_addon.protocol.leases import Progress
from renderbros_addon.protocol.results import Failure, RenderStats
from renderbros_addon.protocol.states import FailureCode, FailureKind

DIGEST = "0" * 64


def scene(*paths: str) -> dict[str, Any]:
    files = [{"path": path, "sha256": DIGEST, "size": 1} for path in ("a.blend", *paths)]
    return {
        "blend": "a.blend", "files": files, "width": 4, "height": 4, "format": "PNG", "series": ["4.5"],
        "engine": "CYCLES",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("template", "frame"), [("com#.png", 1), ("lpt#", 9), ("a" * 250 + "#.png", 100000), ("a" * 251 + "#.png", -1)]
)
def test_a_template_is_refused_for_the_names_it_gives(template: str, frame: int) -> None:
    with pytest.raises(ValidationError, match="file name"):
        JobSpec(name="job", frames=(frame,), frame_name=template, scene=SceneSpec(**scene()))


@pytest.mark.parametrize("extras", [("com#.png",), ("x" * 251 + "#.png",), ("a_#.png", "A_##.png"), ("../a#.png",)])
def test_an_extra_is_refused_for_the_names_it_gives(extras: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        JobSpec(name="job", frames=(1, 10), frame_name="f####.png", extras=extras, scene=SceneSpec(**scene()))


def test_a_template_that_is_fine_for_its_frames_is_taken() -> None:
    assert JobSpec(name="job", frames=(10, 11), frame_name="com#.png", scene=SceneSpec(**scene())).frames == (10, 11)


@pytest.mark.parametrize(
    "paths", [("b", "b/c"), ("b/c/d", "B/C"), ("x/y", "x/Y"), ("a.blend/x",), ("/".join("a" * 65),)]
)
def test_paths_that_no_folder_can_hold_are_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        SceneSpec(**scene(*paths))


def test_deep_and_many_paths_are_taken_up_to_a_limit() -> None:
    many = [f"{'/'.join('a' * 60)}/{i}" for i in range(MAX_FILES - 1)]
    assert len(SceneSpec(**scene(*many)).files) == MAX_FILES
    with pytest.raises(ValidationError, match="at most"):
        SceneSpec(**scene(*many, "one/more"))


def test_numbers_have_upper_bounds() -> None:
    with pytest.raises(ValidationError):
        Progress(sample=10**400, samples=1)
    with pytest.raises(ValidationError):
        JobFile(path="a", sha256=DIGEST, size=10**30)
    with pytest.raises(ValidationError):
        RenderStats(render_seconds=1, total_seconds=1.7e308, blender="4.5", device="CPU")


def test_nul_is_refused_in_names_and_dropped_from_prose() -> None:
    with pytest.raises(ValidationError):
        JobSpec(name="a\0b", frames=(1,), frame_name="#.png", scene=SceneSpec(**scene()))
    with pytest.raises(ValidationError):
        SceneSpec(**{**scene(), "engine": "CYC\0LES"})
    failure = Failure(kind=FailureKind.WORKER, code=FailureCode.CRASHED, message="it \0crashed", log_tail="a\0b")
    assert (failure.message, failure.log_tail) == ("it crashed", "ab")
