"""What Blender would name a frame's file, as a template that every platform can hold."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import Any

from ..protocol.base import checked_name
from .outputs import suffixes, with_suffix


def frame_name(scene: Any) -> tuple[str, bool]:
    """What Blender would name a frame, as a template with ``#`` for digits, and whether the name had to be changed.

    Frame 1 and frame -1 differ by the minus sign that Blender puts before the digits; frames 1 and 2 by the last
    digit: so the digits are found whatever the name looks like. Of a stereo frame it is the first view's name.
    """
    one, two, minus = (_base_name(scene.render.frame_path(frame=frame)) for frame in (1, 2, -1))
    start = next((i for i, (a, b) in enumerate(zip(one, minus, strict=False)) if a != b), len(one))
    end = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
    if end is None or start > end or len(minus) != len(one) + 1:
        stem, dot, suffix = one.rpartition(".")
        name = f"{stem}####{dot}{suffix}" if dot else f"{one}####"
    else:
        name = one[:start] + "#" * (end + 1 - start) + one[end + 1 :]
    name = with_suffix(scene, name, suffixes(scene, scene.render.image_settings)[0])
    try:
        return checked_name(name), False
    except ValueError:
        return _safe_name(name), True


def _base_name(path: str) -> str:
    # A name that was written on Windows keeps its backslashes.
    return re.split(r"[/\\]", path)[-1] if os.sep == "\\" else path.rsplit("/", 1)[-1]


def _safe_name(name: str) -> str:
    """``name`` with what some platform refuses replaced, or a plain one where that isn't enough."""
    cleaned = "".join("_" if c in '/\\:*?"<>|' or unicodedata.category(c) == "Cc" else c for c in name).rstrip(" .")
    try:
        return checked_name(cleaned) if "#" in cleaned else "####"
    except ValueError:
        return "frame_####" + Path(cleaned).suffix[:10]
