"""Previews of real scenes: they expect the frames that come out, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest
from scene_features import file_output
from scenes import fresh_scene, save

from renderbros_addon.blender.configure import dump
from renderbros_addon.blender.expect import preview, spread_order
from renderbros_addon.blender.failures import CannotServe
from renderbros_addon.blender.progress import ProgressBoard
from renderbros_addon.imaging.expected import unexpected
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.protocol.expectations import ExpectedFrame
from renderbros_addon.protocol.jobs import RenderSettings
from renderbros_addon.protocol.renderer import Previewed, PreviewRequest


def previewed(blend: Path, **options: Any) -> Previewed:
    plain = {"device": "CPU", "frames": (1, 2, 3), "seconds": 600.0}
    return preview(PreviewRequest(id="p", blend=str(blend), **(plain | options)), ProgressBoard())


def said(path: Path, expected: ExpectedFrame) -> str | None:
    found = inspect_image(path, finite=False)
    return unexpected(found.phash, found.grid or "", found.blank, expected)


def settings() -> list[tuple[str, str, str]]:
    return [(type(owner).__name__, name, repr(value)) for owner, name, value in dump(bpy.context.scene)]


def rendered(studio: Any, change: Any, settings: RenderSettings | None = None) -> Path:
    studio.take(change, settings, width=288, height=162, samples=8)
    return studio.render(linear=False)


@pytest.mark.parametrize("file_format", ["PNG", "OPEN_EXR"])
def test_a_frame_is_what_its_preview_shows(studio: Any, file_format: str) -> None:
    asked = RenderSettings(format=file_format)
    frame = rendered(studio, file_output, asked)
    (expected,) = previewed(studio.blend, settings=asked, frames=(2,)).expected
    assert expected.frame == 2
    assert int(expected.reliable, 16).bit_count() > 8
    assert said(frame, expected) is None
    assert list(studio.folder.glob("elsewhere*")) == [], "File Output nodes write nowhere else"


def test_another_frame_is_not(studio: Any) -> None:
    def without_ball(scene: Any) -> None:
        scene.objects["Ball"].hide_render = True

    def black(scene: Any) -> None:
        scene.view_settings.exposure = -32
        scene.render.dither_intensity = 0

    wrong = [rendered(studio, change) for change in (without_ball, black)]
    rendered(studio, lambda scene: None)
    (expected,) = previewed(studio.blend, frames=(2,)).expected
    assert "left" in (said(wrong[0], expected) or "")
    assert "blank" in (said(wrong[1], expected) or "")


def test_time_is_kept_and_settings_are_put_back(tmp_path: Path) -> None:
    fresh_scene(width=96, height=54, samples=64)
    blend = save(tmp_path / "scene.blend")
    assert [one.frame for one in previewed(blend, seconds=0.001).expected] == [1]
    before = settings()
    board = ProgressBoard()
    request = PreviewRequest(id="p", blend=str(blend), device="CPU", frames=(1, 2, 3), seconds=600)
    assert [one.frame for one in preview(request, board).expected] == [1, 2, 3]
    assert settings() == before
    assert board.news() is None


def test_a_scene_that_can_not_be_rendered_has_no_expectation(tmp_path: Path) -> None:
    fresh_scene().camera = None
    found = previewed(save(tmp_path / "scene.blend"), frames=(1, 2))
    assert found.expected == ()
    assert len(found.problems) == 2
    assert "no active camera" in found.problems[0]
    with pytest.raises(CannotServe, match="Nowhere"):
        previewed(tmp_path / "scene.blend", scene="Nowhere")


def test_previews_spread_over_the_range() -> None:
    assert list(spread_order(9)) == [0, 8, 4, 2, 6, 1, 3, 5, 7]
    assert [list(spread_order(count)) for count in (0, 1, 2)] == [[], [0], [0, 1]]
    assert sorted(spread_order(1001)) == list(range(1001))


def test_a_renderer_tells_how_many_are_done(tmp_path: Path, renderer: Any) -> None:
    fresh_scene(width=128, height=72, samples=8)
    blend = save(tmp_path / "scene.blend")
    request = PreviewRequest(id="p", blend=str(blend), device="CPU", frames=tuple(range(1, 4)), seconds=600)
    reply = renderer.ask(request)
    assert (reply.type, len(reply.expected)) == ("previewed", 3)
    assert {one.progress.samples for one in renderer.progress} == {3}
