"""What a frame is expected to look like: perceptual hashes of the submitter's own small preview of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from .base import Wire
from .frames import MAX_FRAME, MIN_FRAME
from .results import HashGrid, PerceptualHash

MAX_EXPECTED = 2000
"""Frames of a job that can carry an expectation: some two megabytes."""


class ExpectedFrame(Wire):
    """The hashes of a preview, and which of them can be relied on."""

    frame: Annotated[int, Field(ge=MIN_FRAME, le=MAX_FRAME)]
    phash: PerceptualHash
    """Of the whole preview."""
    grid: HashGrid
    """Of its cells."""
    reliable: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """A bit for each cell, row by row, the most significant first: set where the cell shows something that noise does
    not turn around. What a cell of plain noise hashes to tells nothing."""
    steady: bool = True
    """So is the hash of the whole preview."""
    blank: bool = False
    """The preview has one value all over, so the frame may."""
