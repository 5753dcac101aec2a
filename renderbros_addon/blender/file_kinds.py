"""Whether a file is of the kind that a scene takes it for.

A scene may come from anyone, and submitting it uploads what it refers to: a scene whose image is ``~/.ssh/id_rsa``
must not carry that off. So only what is recognisably an image goes as an image, and likewise for every other kind: by
the extension of the file itself, wherever a link to it lies, or by how its content starts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import bpy

Kind = Literal[
    "library", "image", "movie", "sound", "font", "volume", "geometry cache", "mesh cache", "light profile", "script",
    "sculpted detail", "imported geometry", "physics cache", "simulation bake", "fluid cache",
]  # fmt: skip

# Cycles reads images by OpenImageIO, which knows more formats than Blender's own list.
_MORE_IMAGES = frozenset({
    ".avif", ".gif", ".heic", ".heif", ".ico", ".iff", ".jfif", ".jpc", ".jpe", ".jxl", ".pbm", ".pfm", ".pgm",
    ".pic", ".pnm", ".ppm", ".ptex", ".ptx", ".sxr", ".zfile",
})  # fmt: skip

_EXTENSIONS: dict[Kind, frozenset[str]] = {
    "image": frozenset(bpy.path.extensions_image) | _MORE_IMAGES,
    "movie": frozenset(bpy.path.extensions_movie),
    "sound": frozenset(bpy.path.extensions_audio) | frozenset(bpy.path.extensions_movie),
    "font": frozenset({".ttf", ".ttc", ".otf", ".otc", ".pfa", ".pfb", ".woff", ".woff2"}),
    "volume": frozenset({".vdb"}),
    "geometry cache": frozenset({".abc", ".usd", ".usda", ".usdc", ".usdz"}),
    "mesh cache": frozenset({".mdd", ".pc2"}),
    "light profile": frozenset({".ies"}),
    "script": frozenset({".osl", ".oso", ".h"}),
    "sculpted detail": frozenset({".btx"}),
    "imported geometry": frozenset({".obj", ".ply", ".stl", ".vdb", ".csv", ".txt"}),
    "physics cache": frozenset({".bphys"}),
    "simulation bake": frozenset({".json", ".blob", ".vdb"}),
    "fluid cache": frozenset({".uni", ".vdb", ".gz", ".obj", ".raw", ".txt", ".py", ".npz"}),
}

# How content starts. Kinds that aren't here are told by extension alone.
_STARTS: dict[Kind, re.Pattern[bytes]] = {
    "library": re.compile(rb"BLENDER"),
    "image": re.compile(
        rb"\x89PNG|\xff\xd8\xff|v/1\x01|GIF8|BM....\0\0|II\*\0|MM\0\*|8BPS|RIFF....WEBP|DDS |SDPX|XPDS|\x80\x2a\x5f\xd7"
        rb"|\x01\xda[\0\x01][\x01\x02]|#\?(RADIANCE|RGBE)|\0\0\0\x0cjP  |\xff\x4f\xff\x51|....ftyp(avif|heic|mif1)",
        re.DOTALL,
    ),
    "movie": re.compile(rb"....ftyp|RIFF....AVI |\x1a\x45\xdf\xa3|OggS|\0\0\x01\xba", re.DOTALL),
    "sound": re.compile(rb"RIFF....WAVE|OggS|fLaC|ID3|FORM....AIF", re.DOTALL),
    "font": re.compile(rb"\0\x01\0\0\0|OTTO|ttcf|true\0|wOF[F2]"),
    "volume": re.compile(rb" BDV\0\0\0\0"),
    "geometry cache": re.compile(rb"Ogawa|\x89HDF\r\n|PXR-USDC|#usda "),
    "mesh cache": re.compile(rb"POINTCACHE2\0"),
    "light profile": re.compile(rb"IESNA"),
}


def is_kind(path: Path, kind: Kind) -> bool:
    """Whether the file ``path`` is a ``kind``. An OSError in reading it counts as no."""
    try:
        # A link named wood.png may lead anywhere: it is the file it leads to that would be sent.
        extension = path.resolve().suffix.lower()
        if kind == "library" and re.fullmatch(r"\.blend\d*", extension):
            return True
        if extension in _EXTENSIONS.get(kind, ()):
            return True
        start = _STARTS.get(kind)
        if start is None:
            return False
        with path.open("rb") as stream:
            return start.match(stream.read(32)) is not None
    except OSError:
        return False


def is_any_kind(path: Path) -> bool:
    """Whether ``path`` is a file that a scene may want for something, by its extension alone."""
    extension = path.resolve().suffix.lower()
    return extension == ".blend" or any(extension in extensions for extensions in _EXTENSIONS.values())
