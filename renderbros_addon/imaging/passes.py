"""Single passes out of a multilayer EXR, as arrays."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from ..protocol.regions import Region
from .decode import Pixels, open_exr
from .errors import ImageError


def read_window(path: Path, names: Collection[str], window: Region) -> dict[str, Pixels]:
    """The channels ``names`` of ``path`` inside ``window``: float32 of shape (height, width), top row first.

    ImageError if the file is no EXR, lacks one of them, ends before ``window`` does, or can't be read.
    """
    wanted = set(names)
    with open_exr(path) as file:
        if missing := wanted.difference(file.channels):
            raise ImageError(f"{path.name} has no channel {min(missing)!r}")
        if window.x1 > file.width or window.y1 > file.height:
            raise ImageError(f"{path.name} is {file.width}x{file.height} pixels and does not hold {window}")
        found = {name: np.empty((window.height, window.width), np.float32) for name in wanted}
        for part in file.parts:
            columns = [(i, name) for i, name in enumerate(part.channels) if name in wanted]
            for y, rows in file.bands(part) if columns else ():
                top, bottom = max(y, window.y0), min(y + len(rows), window.y1)
                for i, name in columns if top < bottom else ():
                    inside = rows[top - y : bottom - y, window.x0 : window.x1, i]
                    found[name][top - window.y0 : bottom - window.y0] = inside
        return found


def header_texts(path: Path, prefixes: tuple[str, ...]) -> dict[str, str]:
    """The text attributes of all parts of ``path`` whose names start with one of ``prefixes``; ImageError as above."""
    with open_exr(path) as file:
        return {
            attribute.name: attribute.value
            for part in file.parts
            for attribute in part.spec.extra_attribs
            if attribute.name.startswith(prefixes) and isinstance(attribute.value, str)
        }
