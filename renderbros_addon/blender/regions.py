"""Pixel regions of an output frame, and the borders that make Blender render exactly them.

Blender keeps a border as four 32-bit fractions of the frame, ``y`` counted from the bottom, and finds the pixels by
multiplying with the frame's side and truncating. About one whole-pixel boundary in 28 comes out a pixel short that
way, so :func:`fraction_for` looks for a fraction that lands where it should.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..protocol.regions import Region


def pixel_for(fraction: float, side: int) -> int:
    """The pixel boundary that Blender makes of a border ``fraction`` on a frame ``side`` pixels long."""
    return int(np.float32(fraction) * np.float32(side))


def fraction_for(pixel: int, side: int) -> float:
    """A border fraction, exact in 32 bits, for which Blender finds the boundary ``pixel`` of ``0 <= pixel <= side``."""
    fraction = np.float32(pixel) / np.float32(side)
    while pixel_for(float(fraction), side) < pixel:
        fraction = np.nextafter(fraction, np.float32(2))
    return float(fraction)


@dataclass(frozen=True)
class Canvas:
    """The scene's frame as Blender computes it, and the part of it that is the output frame."""

    full_width: int
    full_height: int
    """Pixels of the whole camera frame, after percentage."""
    border: Region | None
    """The scene's own border in pixels of the whole camera frame; None if it has none."""
    cropped: bool
    """The output frame is the border; otherwise it is the whole camera frame, filled outside of the border."""

    @property
    def output(self) -> Region:
        """The output frame, in pixels of the whole camera frame."""
        if self.border is not None and self.cropped:
            return self.border
        return Region.full(self.full_width, self.full_height)

    @property
    def width(self) -> int:
        return self.output.width

    @property
    def height(self) -> int:
        return self.output.height


def canvas_of(render: Any) -> Canvas:
    """Read the frame's geometry from a scene's render settings."""
    # Blender's own integer arithmetic (BKE_render_resolution).
    width = max(1, render.resolution_x * render.resolution_percentage // 100)
    height = max(1, render.resolution_y * render.resolution_percentage // 100)
    border = None
    if render.use_border:
        x0, x1 = pixel_for(render.border_min_x, width), pixel_for(render.border_max_x, width)
        bottom, top = pixel_for(render.border_min_y, height), pixel_for(render.border_max_y, height)
        if x1 > x0 and top > bottom:
            border = Region(x0=x0, y0=height - top, x1=x1, y1=height - bottom)
    return Canvas(width, height, border, bool(render.use_crop_to_border))


def set_border(render: Any, region: Region, canvas: Canvas, *, crop: bool) -> None:
    """Make Blender render ``region`` (in pixels of the whole camera frame) and, with ``crop``, write nothing else."""
    render.use_border = True
    render.use_crop_to_border = crop
    # A border's ends push each other, so open it fully before closing it to where it should be.
    render.border_min_x, render.border_min_y = 0.0, 0.0
    render.border_max_x = fraction_for(region.x1, canvas.full_width)
    render.border_max_y = fraction_for(canvas.full_height - region.y0, canvas.full_height)
    render.border_min_x = fraction_for(region.x0, canvas.full_width)
    render.border_min_y = fraction_for(canvas.full_height - region.y1, canvas.full_height)
