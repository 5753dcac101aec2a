"""Films of a job's frames: how fast they run, and how pixels that are light become colours."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from .base import Wire

_Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]+$")]


MAX_SHOWN = 1_000_000
"""Frames in one film: Blender's timeline has few more."""


class Playback(Wire):
    """How the scene plays its frames and shows them."""

    fps: int = Field(ge=1, le=32767)
    fps_base: float = Field(ge=1e-5, le=1e6)
    """Frames a second are ``fps / fps_base``: 24 and 1.001 make 23.976."""
    view_transform: _Name = "Standard"
    """With the next three what makes colours of scene-linear frames; frames of other formats have it in them."""
    look: _Name = "None"
    exposure: float = Field(default=0.0, ge=-32, le=32)
    gamma: float = Field(default=1.0, ge=0, le=5)
