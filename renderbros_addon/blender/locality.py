"""Whether each pixel of a finished frame depends on its own samples alone, so that a part shows what the whole does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..imaging.assembly import CUTTABLE
from ..imaging.level0 import CONTAINERS_OF_FORMATS
from .compositing import active_tree
from .denoise import denoised_layers
from .wholeness import whole_because

_CODECS_OF_BLOCKS = ("DWAA", "DWAB", "B44", "B44A")
# They round a block of pixels together. PXR24 loses something too, but of each pixel on its own.


def not_local_because(scene: Any) -> Iterator[str]:
    """Each setting that makes a part of a frame, in the scene's own format, differ from the whole, in a sentence.

    Tiles may have more: they are assembled before denoiser and compositor run, and written as floats.
    """
    yield from whole_because(scene)
    if denoised_layers(scene):
        yield "The scene is denoised, which looks far around each pixel."
    if active_tree(scene) is not None:
        yield "The scene goes through the compositor, which may look at the whole frame."
    image_settings = scene.render.image_settings
    file_format = image_settings.file_format
    if CONTAINERS_OF_FORMATS.get(file_format) not in CUTTABLE:
        yield f"No part can be cut from a {file_format} file without changing its pixels."
    elif file_format.startswith("OPEN_EXR") and image_settings.exr_codec in _CODECS_OF_BLOCKS:
        yield f"The OpenEXR codec {image_settings.exr_codec} rounds pixels by what lies around them."
    if scene.render.use_multiview and image_settings.views_format == "STEREO_3D":
        yield "The views of a stereo frame are merged into one picture."
