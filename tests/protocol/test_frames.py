"""Frame lists and frame names, as artists and Blender write them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderbros_addon.protocol.frames import (
    MAX_FRAME,
    MAX_FRAMES,
    MIN_FRAME,
    format_frames,
    frame_file_name,
    parse_frames,
)

numbers = st.integers(MIN_FRAME, MAX_FRAME)


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("7", (7,)),
        ("1-4,7", (1, 2, 3, 4, 7)),
        ("10-20x5", (10, 15, 20)),
        ("10-19x5", (10, 15)),
        ("-5--3", (-5, -4, -3)),
        ("-2-1", (-2, -1, 0, 1)),
        (" 3 , 1 - 2 x 1 ", (1, 2, 3)),
        ("5,1,5,1-2", (1, 2, 5)),
        ("4-4", (4,)),
        ("007", (7,)),
    ],
)
def test_what_artists_write(text: str, frames: tuple[int, ...]):
    assert parse_frames(text) == frames


@given(st.sets(st.one_of(st.integers(-30, 30), numbers), min_size=1, max_size=200))
def test_a_list_is_read_as_it_is_written(frames: set[int]):
    text = format_frames(frames)
    assert parse_frames(text) == tuple(sorted(frames))
    assert format_frames(parse_frames(text)) == text


@given(st.sets(st.integers(-30, 30), min_size=1))
def test_no_two_runs_touch(frames: set[int]):
    runs = [parse_frames(part) for part in format_frames(frames).split(",")]
    assert all(after[0] > before[-1] + 1 for before, after in pairwise(runs))


def test_no_frames_are_no_text():
    assert format_frames(()) == ""


@given(numbers, st.integers(0, 2000), st.integers(1, 50))
def test_a_step_is_pythons_own(first: int, length: int, step: int):
    last = min(first + length, MAX_FRAME)
    assert parse_frames(f"{first}-{last}x{step}") == tuple(range(first, last + 1, step))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "1,",
        "a",
        "1-",
        "--",
        "1..4",
        "1-4x",
        "1-4x0",
        "1-4x-1",
        "4-1",
        "1.5",
        "1e3",
        "٣",
        "1_000",
        "+1",
        "1\n2",
        f"{MAX_FRAME + 1}",
        f"{MIN_FRAME - 1}",
        "99999999999999999999",
        f"{MIN_FRAME}-{MAX_FRAME}",
        f"0-{MAX_FRAMES}",
        f"1-{MAX_FRAMES},{MAX_FRAMES + 2}",
    ],
)
def test_what_is_no_frame_list(text: str):
    with pytest.raises(ValueError, match=r"frame|step|range"):
        parse_frames(text)


def test_the_longest_list_is_allowed():
    assert len(parse_frames(f"1-{MAX_FRAMES}")) == MAX_FRAMES


@given(st.text(alphabet="0123456789-x, ", max_size=20))
def test_any_text_is_a_list_or_a_plain_error(text: str):
    try:
        frames = parse_frames(text)
    except ValueError:
        return
    assert frames == tuple(sorted(set(frames)))
    assert 0 < len(frames) <= MAX_FRAMES


@pytest.mark.parametrize(
    ("template", "frame", "name"),
    [
        ("shot_####.png", 7, "shot_0007.png"),
        ("shot_####.png", 12345, "shot_12345.png"),
        ("####", -7, "-0007"),
        ("#", 0, "0"),
        ("take#2_##.exr", 3, "take#2_03.exr"),
        ("##_#_v2.jpg", 5, "##_5_v2.jpg"),
    ],
)
def test_names_are_blenders(template: str, frame: int, name: str):
    assert frame_file_name(template, frame) == name


@given(st.text("ab#_.", max_size=10), st.integers(1, 12), numbers)
def test_the_number_stands_where_the_run_was(before: str, run: int, frame: int):
    before = before.rstrip("#")
    name = frame_file_name(f"{before}{'#' * run}.png", frame)
    middle = name.removeprefix(before).removesuffix(".png")
    assert int(middle) == frame
    assert len(middle.lstrip("-")) >= run


@given(st.integers(1, 6), st.sets(numbers, min_size=2, max_size=20))
def test_different_frames_have_different_names(run: int, frames: set[int]):
    assert len({frame_file_name("f" + "#" * run, frame) for frame in frames}) == len(frames)


def test_a_template_without_a_run_is_an_error():
    with pytest.raises(ValueError, match="substring"):
        frame_file_name("shot.png", 1)
