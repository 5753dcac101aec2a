"""The image formats that a farm renders, by Blender's names, and the endings of their files."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

STILL_FORMATS = frozenset(
    {
        "PNG", "JPEG", "OPEN_EXR", "OPEN_EXR_MULTILAYER", "TIFF", "WEBP", "BMP", "TARGA", "TARGA_RAW", "JPEG2000",
        "HDR", "DPX", "CINEON", "IRIS",
    }
)  # fmt: skip

EXTENSIONS = frozenset(
    {
        ".png", ".jpg", ".jpeg", ".exr", ".tif", ".tiff", ".webp", ".bmp", ".tga", ".jp2", ".j2c", ".hdr", ".dpx",
        ".cin", ".rgb",
    }
)  # fmt: skip

# A scene may name its files without the format's ending. What then follows a dot is a version, a shot, a number.
_OTHER_ENDING = re.compile(r"\.(?!v[0-9])[a-z][a-z0-9]{0,6}\Z")


def _checked_format(name: str) -> str:
    if name not in STILL_FORMATS:
        raise ValueError(f"a farm renders images, one of {', '.join(sorted(STILL_FORMATS))}, not {name[:40]!r}")
    return name


StillFormat = Annotated[str, AfterValidator(_checked_format)]


def checked_ending(name: str) -> str:
    """Return ``name`` unless it ends like a file of another kind than an image, which something may open or run."""
    found = _OTHER_ENDING.search(name.lower())
    if found and found.group() not in EXTENSIONS:
        raise ValueError(f"a frame's name ends like that of an image, such as .png, not in {found.group()!r}: {name!r}")
    return name
