"""Which image is shown at which moment of a film, and what the film is called."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from renderbros_addon.cli.fetching import FetchedFile
from renderbros_addon.cli.preview import film_name, shown
from renderbros_addon.protocol.jobs import FrameFile, JobView
from renderbros_addon.protocol.movies import Playback
from renderbros_addon.protocol.results import Output


def fetched(*frames: int) -> list[FetchedFile]:
    output = Output(
        sha256="1" * 64, size=1, pixel_digest="2" * 64, phash="0" * 16, width=4, height=4, channels=("R", "G", "B"),
        container="png", blank=False,
    )  # fmt: skip
    return [FetchedFile(n, Path(f"{n}.png"), FrameFile(name=f"{n}.png", output=output), True) for n in frames]


@pytest.mark.parametrize(
    ("frames", "fps", "images"),
    [
        ((1, 2, 3), 24, "1 2 3"),
        ((1, 3, 4), 24, "1 1 3 4"),
        ((-3, 0, 100), 2, "-3 -3 0 0 100"),
        ((7,), 24, "7"),
    ],
)
def test_a_frame_stands_until_the_next_but_for_a_second_at_most(frames: tuple[int, ...], fps: int, images: str) -> None:
    told = shown(fetched(*frames), Playback(fps=fps, fps_base=1.0))
    assert list(told) == [f"{n}.png" for n in images.split()]


@pytest.mark.parametrize(("name", "film"), [("shot", "shot.mp4"), ("a/b", "job-1.mp4"), ("con", "job-1.mp4")])
def test_a_film_is_called_like_its_job_where_that_is_a_file_name(name: str, film: str) -> None:
    facts: dict[str, Any] = {
        "id": "job-1", "name": name, "status": "completed", "priority": 50, "created_at": datetime.now(UTC),
        "frames": (1,), "tiles": None, "width": 4, "height": 4, "frame_name": "#.png", "tasks": {}, "frames_done": 1,
        "progress": 1.0,
    }  # fmt: skip
    assert film_name(JobView(**facts)) == film
