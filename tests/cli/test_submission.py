"""From options and an inspection to a job."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest
from dispatcher.running import OPERATOR, running
from hypothesis import given
from hypothesis import strategies as st

from renderbros_addon.cli import submission
from renderbros_addon.cli.errors import CommandError, UsageError
from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.protocol.regions import TileGrid
from renderbros_addon.protocol.renderer import Inspection, MissingFile
from renderbros_addon.protocol.source_roots import below


def wish(blend: Path, **options: Any) -> submission.Wish:
    plain = {
        "frames": None, "tiles": None, "scene": None, "resolution": None, "priority": 50,
        "allow_missing": False, "bundle": True,
    }  # fmt: skip
    return submission.wish(blend, **(plain | options))


def found(blend: Path, **facts: Any) -> Inspection:
    """What a renderer says of a plain scene."""
    plain: dict[str, Any] = {
        "id": "inspect", "saved_by": "4.5", "series": "4.5", "scene": "Scene", "frames": (1, 4, 1), "width": 64,
        "height": 48, "engine": "CYCLES", "device": "CPU", "format": "PNG", "frame_name": "####.png",
        "cameras": ("Camera",), "whole_because": (), "files": (str(blend),), "missing": (),
    }  # fmt: skip
    return Inspection(**(plain | facts))


@pytest.fixture
def blend(tmp_path: Path) -> Path:
    path = tmp_path / "shots" / "one" / "shot.blend"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"BLENDER stands in: nobody opens it here")
    return path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frames": "4-1"}, "--frames: .*runs upwards"),
        ({"frames": ""}, "--frames"),
        ({"tiles": "2"}, "--tiles: .*2x2"),
        ({"tiles": "0x2"}, "--tiles"),
        ({"tiles": "automatic"}, "--tiles: .*or auto"),
        ({"resolution": "1920"}, "--resolution: .*1920x1080"),
        ({"resolution": "1x1"}, "--resolution: .*not 1"),
        ({"format": "FFMPEG"}, "--format: FFMPEG is not an image format; one of PNG"),
        ({"samples": 0}, "--samples: .*not 0"),
        ({"percentage": 5000}, "--percentage"),
        ({"seed": -1}, "--seed"),
        ({"view_layers": [""]}, "--view-layer"),
        ({"expect": -1.0}, "--expect: .*not -1"),
        ({"chunk": 0}, "--chunk: .*not 0"),
        ({"blender_series": "5.2-4.5"}, "--blender-series: .*upwards"),
        ({"blender_series": "4.5-5.2", "tiles": "2x2"}, "--blender-series: .*seams.*such as 5.2"),
    ],
)
def test_options_that_can_not_work_are_told_by_name(blend: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        wish(blend, **options)
    assert caught.value.exit_code == 2


def test_a_scene_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*shot\.blend"):
        wish(tmp_path / "shot.blend")


def test_options_become_settings(blend: Path) -> None:
    asked = wish(
        blend, frames="1-3,7", tiles="3x2", resolution="320x200", format="open_exr", samples=8, view_layers=["A", "B"]
    )
    assert asked.frames == (1, 2, 3, 7)
    assert asked.tiles == TileGrid(columns=3, rows=2)
    assert (asked.settings.resolution_x, asked.settings.resolution_y) == (320, 200)
    assert asked.settings.format == "OPEN_EXR"
    assert asked.settings.view_layers == ("A", "B")
    assert asked.settings.engine is None


def test_the_job_says_what_the_renderer_found_and_brings_the_file(blend: Path) -> None:
    made = submission.prepare(wish(blend, tiles="2x2", priority=70), found(blend, frames=(1, 9, 4)))
    spec = made.spec
    assert spec.name == "shot"
    assert spec.frames == (1, 5, 9)
    assert spec.tiles == TileGrid(columns=2, rows=2)
    assert spec.priority == 70
    assert (spec.scene.width, spec.scene.height, spec.scene.engine, spec.scene.series) == (64, 48, "CYCLES", ("4.5",))
    assert spec.scene.blend == "shot.blend"
    assert spec.scene.source_root == str(blend.parent)
    digest = hashlib.sha256(blend.read_bytes()).hexdigest()
    assert made.sources == {digest: blend}
    assert (spec.local, spec.repeatable, spec.expected) == (False, True, ())
    other = submission.prepare(wish(blend), found(blend, local=True, repeatable=False)).spec
    assert (other.local, other.repeatable) == (True, False)
    assert made.size == blend.stat().st_size


def test_files_keep_their_layout_below_the_folder_that_they_share(blend: Path, tmp_path: Path) -> None:
    texture = tmp_path / "textures" / "brick.png"
    texture.parent.mkdir()
    texture.write_bytes(b"brick")
    twin = tmp_path / "textures" / "brick copy.png"
    twin.write_bytes(b"brick")
    made = submission.prepare(wish(blend), found(blend, files=(str(blend), str(texture), str(twin))))
    scene = made.spec.scene
    assert scene.blend == "shots/one/shot.blend"
    assert [file.path for file in scene.files] == [
        "shots/one/shot.blend", "textures/brick.png", "textures/brick copy.png",
    ]  # fmt: skip
    assert scene.source_root == str(tmp_path)
    assert len(made.sources) == 2, "equal content is sent once"


def test_without_bundling_the_scene_goes_alone(blend: Path, tmp_path: Path) -> None:
    other = tmp_path / "brick.png"
    other.write_bytes(b"brick")
    made = submission.prepare(wish(blend, bundle=False), found(blend, files=(str(blend), str(other))))
    assert [file.path for file in made.spec.scene.files] == ["shot.blend"]


def test_missing_files_end_it_with_their_data_blocks(blend: Path) -> None:
    missing = (MissingFile(path="/gone/a.png", user='Image "a"'), MissingFile(path="/gone/b.abc", user='Cache "b"'))
    with pytest.raises(CommandError) as caught:
        submission.prepare(wish(blend), found(blend, missing=missing))
    assert 'Image "a": /gone/a.png' in str(caught.value)
    assert 'Cache "b": /gone/b.abc' in str(caught.value)
    assert "--allow-missing" in str(caught.value)
    assert caught.value.detail["code"] == "missing_file"
    allowed = submission.prepare(wish(blend, allow_missing=True), found(blend, missing=missing)).spec
    assert allowed.scene.allow_missing
    assert "/gone/a.png" in allowed.notes[0]


def test_a_scene_that_does_not_tile_is_rendered_whole_and_says_why(blend: Path) -> None:
    why = ("The scene is denoised.",)
    spec = submission.prepare(wish(blend, tiles="2x2"), found(blend, whole_because=why)).spec
    assert spec.tiles is None
    assert spec.notes == ("Tiles were asked for, but frames are rendered whole: The scene is denoised.",)
    assert submission.prepare(wish(blend), found(blend, whole_because=why)).spec.notes == ()


def test_the_series_of_the_blender_that_looked_renders_it_unless_others_are_allowed(blend: Path) -> None:
    old = found(blend, saved_by="2.80", series="4.5")
    plain = submission.prepare(wish(blend), old).spec
    assert (plain.scene.saved_by, plain.scene.series, plain.notes) == ("2.80", ("4.5",), ())
    allowed = submission.prepare(wish(blend, blender_series="4.5-5.1", chunk=7), old).spec
    assert allowed.scene.series == ("4.5", "5.0", "5.1")
    assert allowed.chunk == 7
    assert "frames of one differ a little" in allowed.notes[0]
    assert submission.prepare(wish(blend, blender_series="5.2", tiles="2x2"), old).spec.tiles


def test_a_blender_that_can_not_open_the_file_is_wrong_usage(blend: Path) -> None:
    with pytest.raises(
        UsageError, match=r"shot\.blend was saved by Blender 4\.5, and Blender 4\.2 and 4\.3 and 4\.4 can't"
    ):
        submission.prepare(wish(blend, blender_series="4.2-5.2"), found(blend))


def test_a_scene_without_frames_asks_which(blend: Path) -> None:
    with pytest.raises(CommandError, match="say which frames"):
        submission.prepare(wish(blend), found(blend, frames=(1, 1_000_000, 1)))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no file of that name")
def test_a_name_that_windows_can_not_hold_is_told(tmp_path: Path) -> None:
    odd = tmp_path / "what?.png"
    odd.write_bytes(b"x")
    with pytest.raises(CommandError, match=r"what\?\.png.*Rename it"):
        submission.place(tmp_path / "a.blend", [odd])


def test_names_that_differ_in_case_alone_are_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"A\.png and .*a\.png differ in case alone"):
        submission.place(tmp_path / "a.blend", [tmp_path / "a.png", tmp_path / "A.png"])


def test_more_files_than_a_job_may_have_are_told_by_folder(tmp_path: Path) -> None:
    files = [tmp_path / "plate" / f"{number}.png" for number in range(20_000)]
    with pytest.raises(CommandError, match=r"needs 20001 files and a job can bring 20000 \(20000 in .*plate"):
        submission.place(tmp_path / "a.blend", files)


def test_files_on_several_drives_get_a_folder_for_each() -> None:
    blend, texture, cache = (PureWindowsPath(p) for p in ("C:\\Film\\a.blend", "D:\\Tex\\b.png", "\\\\nas\\vol\\c.abc"))
    root, placed = submission.place(blend, [texture, cache])
    assert [path for path, _ in placed] == ["C/Film/a.blend", "D/Tex/b.png", "NAS-VOL/c.abc"]
    for path, file in placed:
        assert below(str(file), root) == path.split("/"), "a worker finds it so"


def test_a_copy_stands_in_for_the_open_scene(blend: Path, tmp_path: Path) -> None:
    texture, copy = tmp_path / "brick.png", tmp_path / "copy" / "shot.blend"
    texture.write_bytes(b"brick")
    copy.parent.mkdir()
    copy.write_bytes(b"with changes")
    made = submission.prepare(wish(blend), found(blend, files=(str(blend), str(texture))), copy)
    assert made.spec.scene.blend == "shots/one/shot.blend"
    assert made.sources[hashlib.sha256(b"with changes").hexdigest()] == copy


def test_a_second_submission_sends_only_what_changed(blend: Path, tmp_path: Path) -> None:
    textures = [tmp_path / "textures" / f"{name}.png" for name in ("wood", "brick", "brick copy")]
    textures[0].parent.mkdir()
    for path, content in zip(textures, (b"wood", b"brick", b"brick"), strict=True):
        path.write_bytes(content * 1000)
    files = tuple(str(file) for file in (blend, *textures))

    def sent() -> submission.Sent:
        return submission.submit(client, submission.prepare(wish(blend), found(blend, files=files)))

    with running(tmp_path / "farm") as url, DispatcherClient(url, OPERATOR) as client:
        first = sent()
        assert (first.files_sent, first.files) == (3, 3), "equal content is one"
        assert first.bytes_sent == first.size == blend.stat().st_size + 9000
        again = sent()
        assert (again.files_sent, again.bytes_sent) == (0, 0)
        textures[0].write_bytes(b"oak" * 1000)
        changed = sent()
    assert changed.as_json() == {"files": 1, "bytes": 3000, "of_files": 3, "of_bytes": blend.stat().st_size + 8000}
    assert str(changed) == "sent 1 of 3 files, 0.003 of 0.008 MB; the rest was there already"
    assert changed.job.status == "queued"


NAMES = st.text("abcdef", min_size=1, max_size=3)
PATHS = st.lists(NAMES, min_size=1, max_size=4)


@given(blend=PATHS, others=st.lists(PATHS, max_size=6))
def test_placing_keeps_every_file_where_it_was_relative_to_the_others(
    blend: list[str], others: list[list[str]]
) -> None:
    base = Path("/work").absolute()
    files = [base.joinpath(*parts) for parts in [blend, *others]]
    root, placed = submission.place(files[0], files[1:])
    assert placed[0][1] == files[0]
    assert {source for _, source in placed} == set(files)
    assert len({path for path, _ in placed}) == len(placed)
    for path, source in placed:
        assert Path(root) / path == source
