"""Frame lists as artists write them: ``1-4,7,10-20x2``."""

from __future__ import annotations

import re
from collections.abc import Iterable

MIN_FRAME, MAX_FRAME = -1048574, 1048574
"""Blender's own limits for a frame number (MINAFRAME and MAXFRAME in its sources)."""

MAX_FRAMES = 100_000
"""Frames in one job; a longer film is several jobs."""

_PART = re.compile(r"\A\s*(-?\d{1,8})\s*(?:-\s*(-?\d{1,8})\s*(?:x\s*(\d{1,8})\s*)?)?\Z", re.ASCII)


def parse_frames(text: str) -> tuple[int, ...]:
    """The frames that ``text`` names, each once, in rising order.

    ``1-4`` is a range with both ends, ``10-20x2`` takes every second frame, commas join parts. A frame number may be
    negative: ``-5--1``. ValueError says which part is wrong.
    """
    frames: set[int] = set()
    for part in text.split(","):
        found = _PART.match(part)
        if not found:
            raise ValueError(f"not a frame, a range or FIRST-LASTxSTEP: {part.strip()!r} in {text!r}")
        first = int(found[1])
        last = int(found[2]) if found[2] is not None else first
        step = int(found[3]) if found[3] is not None else 1
        if step < 1:
            raise ValueError(f"a step of at least 1, not {part.strip()!r}")
        if last < first:
            raise ValueError(f"a range runs upwards, not {part.strip()!r}")
        if first < MIN_FRAME or last > MAX_FRAME:
            raise ValueError(f"frames lie between {MIN_FRAME} and {MAX_FRAME}, not {part.strip()!r}")
        span = range(first, last + 1, step)
        if len(span) > MAX_FRAMES or len(frames) + len(span) > 2 * MAX_FRAMES:
            raise ValueError(f"more than {MAX_FRAMES} frames in {text!r}")
        frames.update(span)
    if len(frames) > MAX_FRAMES:
        raise ValueError(f"more than {MAX_FRAMES} frames in {text!r}")
    return tuple(sorted(frames))


def format_frames(frames: Iterable[int]) -> str:
    """The shortest list of runs that :func:`parse_frames` reads back as ``frames``; empty for no frames."""
    parts: list[str] = []
    ordered = sorted(set(frames))
    start = 0
    for i, frame in enumerate(ordered):
        if i + 1 < len(ordered) and ordered[i + 1] == frame + 1:
            continue
        first = ordered[start]
        parts.append(f"{first}" if first == frame else f"{first}-{frame}")
        start = i + 1
    return ",".join(parts)


def frame_file_name(template: str, frame: int) -> str:
    """``template`` with its last run of ``#`` replaced by ``frame``, zero-padded to the run's length as Blender does.

    Blender pads the digits and puts the minus sign in front of them (C's ``%.*d``).
    """
    end = template.rindex("#") + 1
    start = end
    while start > 0 and template[start - 1] == "#":
        start -= 1
    digits = f"{abs(frame):0{end - start}d}"
    return f"{template[:start]}{'-' if frame < 0 else ''}{digits}{template[end:]}"
