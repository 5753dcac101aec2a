"""Reading rendered files in tests, by OpenImageIO alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import OpenImageIO as oiio


def channels_of(path: Path) -> dict[str, Any]:
    """Every channel of every part, by name: arrays of (height, width) in the file's own type."""
    file = oiio.ImageInput.open(str(path))
    assert file is not None, oiio.geterror()
    found: dict[str, Any] = {}
    part = 0
    while file.seek_subimage(part, 0):
        spec = file.spec()
        pixels = file.read_image(part, 0, 0, spec.nchannels, spec.format)
        assert pixels is not None, file.geterror()
        for index, name in enumerate(spec.channelnames):
            found[name] = pixels[:, :, index]
        part += 1
    file.close()
    return found
