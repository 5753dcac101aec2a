"""A film of frames: as many as were asked for, as fast as the scene plays, looking as the frames look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import OpenImageIO as oiio
import pytest
from scenes import fresh_scene

from renderbros_addon.blender.failures import CannotServe
from renderbros_addon.blender.movie import encode, playback
from renderbros_addon.imaging.errors import ImageError
from renderbros_addon.protocol.movies import Playback
from renderbros_addon.protocol.renderer import Encoded, EncodeRequest, InspectRequest
from renderbros_addon.protocol.states import FailureCode

WIDTH, HEIGHT = 65, 47


def picture(number: int) -> Any:
    """A smooth one, so that it survives the encoder; float32 RGB of (HEIGHT, WIDTH, 3)."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return np.stack([x / WIDTH, y / HEIGHT, np.full_like(x, number / 8)], 2)


def write(path: Path, pixels: Any, kind: str, names: tuple[str, ...] = ()) -> Path:
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind)
    if names:
        spec.channelnames = names
    file = oiio.ImageOutput.create(str(path))
    assert file.open(str(path), spec), oiio.geterror()
    assert file.write_image(pixels), file.geterror()
    file.close()
    return path


def film(folder: Path, frames: list[Path], *, linear: bool = False, **plays: Any) -> tuple[Encoded, Path]:
    path = folder / "film.mp4"
    shown = Playback(**({"fps": 24, "fps_base": 1.0} | plays))
    request = EncodeRequest(id="m", frames=tuple(map(str, frames)), linear=linear, playback=shown, path=str(path))
    return encode(request), path


def frame_of(path: Path, number: int) -> Any:
    """A frame of a film as Blender reads it, top row first."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    clip = bpy.data.movieclips.load(str(path))
    image = bpy.data.images.load(str(path))
    scene.render.resolution_x, scene.render.resolution_y = clip.size
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strips.new_movie("film", str(path), 1, 1, fit_method="ORIGINAL")
    scene.view_settings.view_transform = "Standard"
    scene.render.use_compositing = False
    scene.render.resolution_percentage = 100
    scene.frame_set(number)
    bpy.data.images.remove(image)
    still = path.with_name(f"still{number}.png")
    scene.render.filepath = str(still)
    bpy.ops.render.render(write_still=True)
    pixels = oiio.ImageBuf(str(still)).get_pixels(oiio.FLOAT)[:, :, :3]
    return clip.frame_duration, clip.fps, pixels


def test_frames_come_in_order_at_the_scenes_speed_and_look_alike(tmp_path: Path) -> None:
    frames = [write(tmp_path / f"f_{i}.png", picture(i), "uint8") for i in (1, 4, 7)]
    shown = [frames[0], frames[1], frames[1], frames[2]]
    told, path = film(tmp_path, shown, fps=30, fps_base=1.001, view_transform="AgX", exposure=5.0)
    assert (told.frames, told.width, told.height) == (4, WIDTH - 1, HEIGHT - 1)
    for number, source in ((1, 1), (2, 4), (3, 4), (4, 7)):
        count, fps, pixels = frame_of(path, number)
        assert count == 4
        assert fps == pytest.approx(30 / 1.001, abs=1e-3)
        assert pixels.shape == (HEIGHT - 1, WIDTH - 1, 3)
        assert np.abs(pixels - picture(source)[:-1, :-1]).mean() < 0.015
    assert sorted(p.name for p in tmp_path.glob("film*")) == ["film.mp4"]


@pytest.mark.parametrize("names", [("R", "G", "B"), tuple(f"ViewLayer.Combined.{c}" for c in "RGB")])
def test_linear_frames_are_shown_through_the_scenes_view(tmp_path: Path, names: tuple[str, ...]) -> None:
    encoded = picture(4)
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)
    frames = [write(tmp_path / "f_1.exr", light / 2, "float", names)]
    _, path = film(tmp_path, frames, linear=True, exposure=1.0)
    _, _, pixels = frame_of(path, 1)
    assert np.abs(pixels - encoded[:-1, :-1]).mean() < 0.015
    _, path = film(tmp_path, frames, linear=True, view_transform="AgX", look="no such look")
    assert np.abs(frame_of(path, 1)[2] - pixels).mean() > 0.05, "AgX shows it otherwise"


def test_a_long_film_is_laid_out_in_several_strips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("renderbros_addon.blender.movie._STRIP_FRAMES", 2)
    frames = [write(tmp_path / f"f_{i}.png", picture(i), "uint8") for i in range(5)]
    told, path = film(tmp_path, frames)
    assert told.frames == 5
    assert np.abs(frame_of(path, 5)[2] - picture(4)[:-1, :-1]).mean() < 0.015


def test_frames_that_make_no_film_are_named(tmp_path: Path) -> None:
    good = write(tmp_path / "good.png", picture(1), "uint8")
    small = write(tmp_path / "small.png", picture(1)[:40, :40], "uint8")
    tiny = write(tmp_path / "tiny.png", picture(1)[:8, :8], "uint8")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"junk")
    with pytest.raises(CannotServe, match=r"good\.png has 65×47 pixels and small\.png has 40×40") as caught:
        film(tmp_path, [good, small])
    assert caught.value.code == FailureCode.SIZE_MISMATCH
    with pytest.raises(CannotServe, match="too small"):
        film(tmp_path, [tiny])
    for path in (broken, tmp_path / "absent.png"):
        with pytest.raises(ImageError, match=path.name):
            film(tmp_path, [good, path])


def test_the_scene_says_how_it_plays() -> None:
    scene = fresh_scene()
    scene.render.fps, scene.render.fps_base = 30, 1.001
    scene.view_settings.view_transform, scene.view_settings.exposure = "Filmic", -1.5
    plays = playback(scene)
    assert (plays.fps, round(plays.fps_base, 4)) == (30, 1.001)
    assert (plays.view_transform, plays.look, plays.exposure, plays.gamma) == ("Filmic", "None", -1.5, 1.0)


def test_the_renderer_makes_films_and_goes_on(renderer: Any, tmp_path: Path) -> None:
    frame = write(tmp_path / "f.png", picture(1), "uint8")
    plays = Playback(fps=24, fps_base=1.0)
    path = tmp_path / "odd {name} #.mp4"
    asked = EncodeRequest(id="e", frames=(str(frame),) * 3, linear=False, playback=plays, path=str(path))
    told = renderer.ask(asked)
    assert (told.type, told.id, told.frames) == ("encoded", "e", 3)
    assert renderer.ask(InspectRequest(id="x", blend=str(tmp_path / "no.blend"))).code == FailureCode.MISSING_FILE
