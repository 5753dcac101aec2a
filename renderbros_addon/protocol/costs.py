"""What a frame costs to render, and where: the map by which tiles are cut."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from .base import MAX_SECONDS, Many, Wire

MAX_CELLS = 128
"""Cells along a side of a cost map."""

MAX_MARGIN = 256
"""Pixels: far more than any sampler looks around itself."""


class CostMap(Wire):
    """Seconds that the parts of a frame take, measured on a small preview of it; every frame is taken to be alike."""

    columns: int = Field(ge=1, le=MAX_CELLS)
    rows: int = Field(ge=1, le=MAX_CELLS)
    cells: Many[Annotated[float, Field(ge=0, le=MAX_SECONDS)]]
    """Row by row from the top left, each cell an equal part of the frame; their sum estimates the whole frame at full
    size and samples, on the machine that measured."""
    overhead: float = Field(ge=0, le=MAX_SECONDS)
    """What a tile takes beyond its pixels, in seconds on the same machine."""
    margin: int = Field(default=0, ge=0, le=MAX_MARGIN)
    """Pixels that are rendered around a tile, as far as the frame goes, and cut off: they cost as much as its own."""

    @model_validator(mode="after")
    def _is_full(self) -> CostMap:
        if len(self.cells) != self.columns * self.rows:
            raise ValueError(f"{self.columns}x{self.rows} cells, not {len(self.cells)}")
        return self
