"""Expected hashes: what a small preview tells of a frame, and neighbours in time of each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pillow

from renderbros_addon.imaging.expected import expectation, out_of_line, unexpected
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.imaging.phash_grid import phash_grid
from renderbros_addon.protocol.expectations import ExpectedFrame
from renderbros_addon.protocol.results import Output

Pixels = np.ndarray
Shoot = Callable[..., Output]


@pytest.fixture
def shoot(tmp_path: Path) -> Shoot:
    """A frame of a shot: stones on the left, plain noise on the right, a ball that rolls along; as an image file."""

    def render(side: int, seed: int, ball: float | None = 0.3, change: Callable[[Pixels], Pixels] = np.copy) -> Output:
        width, height = side, side * 9 // 16
        y, x = np.mgrid[0:height, 0:width] / side
        waves = np.random.default_rng(0).normal(0, 70, (40, 3))
        stones = sum(np.sin(a * x + b * y + c) for a, b, c in waves)
        pixels = np.where(x < 0.6, 110 + 14 * stones, 90.0)
        if ball is not None:
            inside = (x - ball) ** 2 + (y - 0.3) ** 2 < 0.15**2
            pixels = np.where(inside, 250 - 700 * np.hypot(x - ball + 0.05, y - 0.25), pixels)
        # As loud as so many samples leave it in a pixel of whatever size.
        noisy = pixels + np.random.default_rng(seed).normal(0, 6, pixels.shape)
        path = tmp_path / "frame.png"
        pillow.fromarray(change(np.clip(noisy, 0, 255).astype(np.uint8))).save(path)
        return inspect_image(path)

    return render


@pytest.fixture
def expected(shoot: Shoot) -> ExpectedFrame:
    return expectation(7, shoot(256, 1), shoot(192, 2))


def said(frame: Output, expected: ExpectedFrame) -> str | None:
    assert frame.grid is not None
    return unexpected(frame.phash, frame.grid, frame.blank, expected)


def between(before: Output, frame: Output, after: Output) -> str | None:
    assert before.grid is not None
    assert frame.grid is not None
    assert after.grid is not None
    return out_of_line(before.grid, frame.grid, after.grid)


def half_black(pixels: Pixels) -> Pixels:
    pixels = pixels.copy()
    pixels[len(pixels) // 2 :] = 0
    return pixels


def test_the_grid_of_an_image_is_that_of_its_cells(tmp_path: Path, noise: Callable[..., Pixels]) -> None:
    grey = noise(90, 160, 1, np.uint8)[:, :, 0]
    pillow.fromarray(grey).save(tmp_path / "grey.png")
    grid = inspect_image(tmp_path / "grey.png").grid
    assert grid is not None
    bits = [bit for digit in grid for bit in f"{int(digit, 16):04b}"]
    assert np.array_equal(np.array(bits) == "1", phash_grid(grey).ravel())


def test_the_grid_is_taken_over_black(tmp_path: Path, noise: Callable[..., Pixels]) -> None:
    rgba = noise(90, 160, 4, np.uint8)
    rgba[:30, :, 3] = 255
    pillow.fromarray(rgba, "RGBA").save(tmp_path / "straight.png")
    grey = np.asarray(pillow.fromarray(rgba[:, :, :3]).convert("L"))
    over_black = np.rint(grey * (rgba[:, :, 3] / 255)).astype(np.uint8)
    pillow.fromarray(over_black).save(tmp_path / "black.png")
    straight, black = inspect_image(tmp_path / "straight.png"), inspect_image(tmp_path / "black.png")
    assert straight.grid == black.grid
    assert straight.phash == inspect_image_of(grey, tmp_path).phash


def inspect_image_of(grey: Pixels, folder: Path) -> Output:
    pillow.fromarray(grey).save(folder / "grey.png")
    return inspect_image(folder / "grey.png")


def test_noise_is_not_relied_upon(expected: ExpectedFrame) -> None:
    reliable = np.array([int(bit) for bit in f"{int(expected.reliable, 16):064b}"]).reshape(8, 8)
    assert reliable[:, :4].mean() > 0.6
    assert reliable[:, 6:].sum() == 0
    assert (expected.frame, expected.steady, expected.blank) == (7, True, False)


def test_the_frame_itself_is_expected(shoot: Shoot, expected: ExpectedFrame) -> None:
    assert [said(shoot(side, seed), expected) for side, seed in ((640, 3), (1280, 4), (200, 5))] == [None] * 3


def test_what_is_wrong_is_told(shoot: Shoot, expected: ExpectedFrame) -> None:
    assert "blank" in (said(shoot(640, 3, change=np.zeros_like), expected) or "")
    assert "middle" in (said(shoot(640, 3, ball=None), expected) or "")
    assert said(shoot(640, 3, ball=0.45), expected), "a later frame"
    assert said(shoot(640, 3, change=np.flipud), expected)
    assert "bottom" in (said(shoot(640, 3, change=half_black), expected) or "")


def test_a_blank_preview_wants_a_blank_frame(shoot: Shoot) -> None:
    black = shoot(256, 1, change=np.zeros_like)
    expected = expectation(1, black, black)
    assert expected.blank
    assert int(expected.reliable, 16) == 0
    assert said(shoot(640, 3, change=np.zeros_like), expected) is None
    assert "blank" in (said(shoot(640, 3), expected) or "")


def test_parts_that_are_empty_are_seen_where_noise_tells_nothing(shoot: Shoot, expected: ExpectedFrame) -> None:
    def right_black(pixels: Pixels) -> Pixels:
        pixels = pixels.copy()
        pixels[:, pixels.shape[1] * 5 // 8 :] = 0
        return pixels

    assert "right" in (said(shoot(640, 3, change=right_black), expected) or "")


def test_neighbours_stay_neighbours(shoot: Shoot) -> None:
    def at(place: float | None, seed: int, **how: Callable[[Pixels], Pixels]) -> Output:
        return shoot(320, seed, place, **how)

    assert between(at(0.30, 1), at(0.305, 2), at(0.31, 3)) is None
    assert between(at(0.20, 1), at(0.32, 2), at(0.44, 3)) is None, "a fast move"
    assert between(at(0.30, 1), at(0.31, 2), at(0.6, 3, change=np.flipud)) is None, "the last before a cut"
    assert "middle" in (between(at(0.30, 1), at(None, 2), at(0.31, 3)) or "")
    assert between(at(0.30, 1), at(0.31, 2, change=half_black), at(0.32, 3))
