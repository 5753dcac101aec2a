"""File names and relative paths from the wire never leave the folder they belong in."""

from __future__ import annotations

import ntpath
import tempfile
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from renderbros_addon.protocol.base import checked_name, checked_relative_path
from renderbros_addon.protocol.jobs import JobFile, JobSpec, SceneSpec

DIGEST = "0" * 64


def _with_tail(word: str) -> st.SearchStrategy[str]:
    return st.text("019¹²³ .$x", max_size=4).map(word.__add__)


HOSTILE_NAMES = [
    "",
    ".",
    "..",
    "a/b",
    "/",
    "a\\b",
    "C:",
    "C:x",
    "x:stream",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\x85b",
    "nul",
    "NUL.png",
    "Con",
    "com1.tar.gz",
    "LPT9",
    "aux.",
    "COM¹",
    "nul .txt",
    "CONOUT$",
    "trailing.",
    "trailing ",
    "wild*",
    "wild?",
    'quo"te',
    "<",
    ">",
    "|",
    "x" * 256,
    "é" * 128,
]
GOOD_NAMES = [
    "a",
    "shot_0001.png",
    ".hidden",
    "née.blend",
    "日本.png",
    "a b",
    "-rf",
    "console",
    "com10",
    "é" * 127,
    "..a",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_refused(name: str):
    with pytest.raises(ValueError, match="file name"):
        checked_name(name)


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_good_names_pass_unchanged(name: str):
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "path",
    [
        *(name for name in HOSTILE_NAMES if name != "a/b"),
        "../x",
        "a/../b",
        "a/..",
        "/etc/passwd",
        "//server/share",
        "a//b",
        "a/",
        "./a",
        "C:/x",
        "c:\\x",
        "\\\\?\\C:\\x",
        "a/nul/b",
        "a/b./c",
        "~/" + "x" * 1024,
        "/".join("a" * 600),
    ],
)
def test_hostile_paths_are_refused(path: str):
    with pytest.raises(ValueError, match=r"file name|1024"):
        checked_relative_path(path)


def reserved_on_windows(name: str) -> bool:
    """Python's own opinion; the function moved in 3.13."""
    isreserved = getattr(ntpath, "isreserved", None)
    return isreserved(name) if isreserved else PureWindowsPath(name).is_reserved()


@given(st.text(max_size=40) | st.sampled_from(["con", "Lpt", "com", "nul", "conin$"]).flatmap(_with_tail))
@example("a/..")
@example("..\\..")
def test_an_accepted_name_is_one_name_on_every_platform(name: str):
    try:
        checked_name(name)
    except ValueError:
        return
    for kind in (PurePosixPath, PureWindowsPath):
        assert kind("root", name).parent == kind("root")
        assert kind("root", name).name == name
    assert not reserved_on_windows(name)


@given(
    st.lists(st.one_of(st.sampled_from(["..", ".", "", "a", "b", "C:", "~", "nul"]), st.text(max_size=6)), max_size=6)
)
def test_an_accepted_path_stays_below_its_root(parts: list[str]):
    path = "/".join(parts)
    try:
        checked_relative_path(path)
    except ValueError:
        return
    root = Path(tempfile.gettempdir()).resolve() / "root"
    resolved = root.joinpath(*path.split("/"))
    assert resolved == Path(resolved.as_posix())
    assert ".." not in resolved.parts
    assert root in resolved.parents
    windows = PureWindowsPath("C:/root") / path
    assert PureWindowsPath("C:/root") in windows.parents
    assert ".." not in windows.parts


@given(st.text(alphabet="abcé日 -_.", min_size=1, max_size=30))
def test_an_accepted_name_can_be_written(name: str):
    try:
        checked_name(name)
    except ValueError:
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(b"x")
        assert [p.read_bytes() for p in Path(folder).iterdir()] == [b"x"]


def job_file(path: str) -> JobFile:
    return JobFile(path=path, sha256=DIGEST, size=1)


def scene(*paths: str) -> SceneSpec:
    return SceneSpec(
        blend=paths[0],
        files=tuple(job_file(path) for path in paths),
        width=8,
        height=8,
        format="PNG",
        series=("4.5",),
        engine="CYCLES",
    )


def test_files_that_can_lie_side_by_side():
    assert scene("a.blend", "tex/a.png", "tex/b.png", "texture").blend == "a.blend"


@pytest.mark.parametrize(
    "paths",
    [
        ("a.blend", "a.blend"),
        ("a.blend", "A.BLEND"),
        ("a.blend", "tex", "tex/a.png"),
        ("a.blend", "tex/a.png", "TEX"),
        ("a.blend", "x/y/z", "x/Y"),
    ],
)
def test_files_that_would_fall_onto_each_other(paths: tuple[str, ...]):
    with pytest.raises(ValidationError, match="path"):
        scene(*paths)


def test_a_hostile_path_is_refused_by_the_message_itself():
    with pytest.raises(ValidationError):
        job_file("../../.ssh/authorized_keys")


@pytest.mark.parametrize("template", ["shot.png", "../####.png", "a/####.png", "####.png\0", "####:x", "#### "])
def test_a_frame_name_is_a_name_with_a_run(template: str):
    good = JobSpec(name="j", frames=(1,), frame_name="shot_####.png", scene=scene("a.blend"))
    with pytest.raises(ValidationError, match="frame_name"):
        JobSpec.model_validate({**good.model_dump(), "frame_name": template})
