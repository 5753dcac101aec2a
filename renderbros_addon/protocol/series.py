"""Which Blender series may render a job, as submitters write it: ``4.5``, ``4.5-5.2``, ``4.5,5.2``."""

from __future__ import annotations

import re

from .jobs import series_number

KNOWN_SERIES = ("4.2", "4.3", "4.4", "4.5", "5.0", "5.1", "5.2")
"""Every series there was from the oldest that workers run in to the newest that was tried."""

_PART = re.compile(r"\A\s*(\d{1,2}\.\d{1,2})\s*(?:-\s*(\d{1,2}\.\d{1,2})\s*)?\Z", re.ASCII)


def parse_series(text: str) -> tuple[str, ...]:
    """The series that ``text`` names, each once, the oldest first.

    ``4.5-5.2`` is every series from one end to the other, commas join parts. A series newer than all that are known is
    taken at its word. ValueError says which part is wrong.
    """
    series: set[str] = set()
    for part in text.split(","):
        found = _PART.match(part)
        if not found:
            raise ValueError(f"not a Blender series or a range FIRST-LAST: {part.strip()!r} in {text!r}")
        first, last = found[1], found[2] or found[1]
        for end in (first, last):
            _check(end)
        if series_number(last) < series_number(first):
            raise ValueError(f"a range runs upwards, not {part.strip()!r}")
        between = [s for s in KNOWN_SERIES if series_number(first) <= series_number(s) <= series_number(last)]
        series.update((first, *between, last))
    return tuple(sorted(series, key=series_number))


def _check(series: str) -> None:
    known = ", ".join(KNOWN_SERIES)
    if series_number(series) < series_number(KNOWN_SERIES[0]):
        raise ValueError(f"workers run in Blender {KNOWN_SERIES[0]} or newer, not {series}")
    if series not in KNOWN_SERIES and series_number(series) < series_number(KNOWN_SERIES[-1]):
        raise ValueError(f"there is no Blender {series}, only {known}")
