"""Messages that go to those who send scenes tell nothing of the folders of the machine."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path

import pytest

from renderbros_addon.protocol.states import FailureCode, FailureKind
from renderbros_addon.worker.failures import failure, of_disk
from renderbros_addon.worker.own_places import OwnPlaces


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnPlaces:
    monkeypatch.setenv("HOME", str(tmp_path / "alice"))
    data = tmp_path / "alice" / "data"
    return OwnPlaces(data / "runs" / "run-1" / "jobs", "files", {"worker": data, "blender": None})


def test_what_is_ours_is_named_by_a_word(places: OwnPlaces, tmp_path: Path) -> None:
    data = tmp_path / "alice" / "data"
    files = data / "runs" / "run-1" / "jobs" / "0123" / "files"
    try:
        (files / "scene.blend").read_bytes()
    except OSError as error:
        lost = of_disk(error)
        broken = failure(FailureKind.WORKER, FailureCode.CRASHED, f"The renderer broke: {traceback.format_exc()}")
    full = of_disk(OSError(errno.ENOSPC, "No space left on device", str(data / "runs" / "run-1" / "results" / "a.png")))
    missing = failure(
        FailureKind.SCENE, FailureCode.MISSING_FILE, f"Missing: {files / 'maps' / 'wood.png'} (used by x)"
    )
    library = failure(FailureKind.WORKER, FailureCode.CRASHED, f"can't read {tmp_path / 'alice' / '.config' / 'x'}")
    told = [places.of_failure(one).message for one in (lost, broken, full, missing, library)]
    assert not any(str(tmp_path) in one or "alice" in one for one in told), told
    assert "//scene.blend" in told[0]
    assert "(worker)/runs/run-1/results/a.png" in told[2]
    assert told[3] == "Missing: //maps/wood.png (used by x)"
    assert told[4].endswith("(home)/.config/x")


def test_what_is_the_scenes_stays(places: OwnPlaces, tmp_path: Path) -> None:
    for path in (f"{tmp_path}/alice/scenes/wood.png", "C:\\Users\\bob\\wood.png", f"{tmp_path}/alice/data2/x", "//a/b"):
        assert places.left_out_of(f"Missing: {path}", home=False) == f"Missing: {path}"


def test_paths_of_windows(tmp_path: Path) -> None:
    places = OwnPlaces(tmp_path / "jobs", "files", {"worker": tmp_path})
    backwards = str(tmp_path / "jobs" / "1" / "files" / "a.png").replace("/", "\\")
    assert places.left_out_of(f"no {backwards!r}") == "no '//a.png'"
