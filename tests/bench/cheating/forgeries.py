"""Frames made up from an honest one, or from a smaller one, as linear floats. Pure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image as pillow
from PIL import ImageDraw

Pixels = npt.NDArray[np.float32]
"""Of a frame's picture: (height, width, 4), alpha last."""

TAMPER = 32
"""Pixels along each side."""


def redder(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    return picture * np.array([1 + amount, 1, 1, 1], np.float32)


def darker(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    """What ``amount`` less light everywhere gives: light adds up."""
    return picture * np.array([1 - amount] * 3 + [1], np.float32)


def blank(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    return np.broadcast_to(np.array([0, 0, 0, 1], np.float32), picture.shape).copy()


def tampered(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    """A square somewhere shows what lies elsewhere in the frame, and a little brighter, so that it always differs."""
    height, width, _ = picture.shape
    (y, there), (x, across) = (random.integers(0, side - TAMPER + 1, 2) for side in (height, width))
    forged = picture.copy()
    forged[y : y + TAMPER, x : x + TAMPER, :3] = 0.02 + picture[there : there + TAMPER, across : across + TAMPER, :3]
    return forged


def watermarked(picture: Pixels, amount: float, random: np.random.Generator) -> Pixels:
    """A name in the lower right, laid over as a white that lets nine tenths through."""
    height, width, _ = picture.shape
    mask = pillow.new("L", (width, height))
    ImageDraw.Draw(mask).text((width * 0.55, height * 0.85), "RENDERED BY ME", fill=255, font_size=height / 10)
    share = (np.asarray(mask, np.float32) / 255 * 0.1)[:, :, np.newaxis]
    return (picture * (1 - share) + share).astype(np.float32)


FORGERIES: dict[str, Callable[[Pixels, float, np.random.Generator], Pixels]] = {
    function.__name__: function for function in (redder, darker, blank, tampered, watermarked)
}


def enlarged(channel: Pixels, width: int, height: int) -> Pixels:
    """One channel, of shape (rows, columns), bicubically at another size."""
    return np.asarray(pillow.fromarray(channel).resize((width, height), pillow.Resampling.BICUBIC), np.float32)
