"""Paths of this machine, taken out of what is told of it: whoever sends scenes learns nothing of its folders."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from ..protocol.results import Failure, RenderStats
from ..protocol.states import FailureKind

_PROGRAM = Path(__file__).resolve().parents[2]


class OwnPlaces:
    """Knows the worker's folders.

    ``jobs`` holds a folder for each job, with the job's files in one of the name ``files``: they are told as ``//``,
    as a scene has them. ``named`` has words for other folders; those of the program and of its Python are known.
    """

    def __init__(self, jobs: Path, files: str, named: Mapping[str, Path | None]) -> None:
        slash = r"[/\\]+"
        of_jobs = "|".join(f"{_pattern(place)}{slash}[^/\\\\]+{slash}{re.escape(files)}" for place in _ways(jobs))
        self._files = re.compile(f"(?:{of_jobs})(?:{slash}|(?![\\w.-]))", re.IGNORECASE)
        words = {**named, "renderbros": _PROGRAM, "python": Path(sys.base_prefix), "packages": Path(sys.prefix)}
        known = {place: word for word, folder in words.items() if folder is not None for place in _ways(folder)}
        self._folders = _finder(known)
        self._home = _finder(dict.fromkeys(_ways(Path.home()), "home"))

    def left_out_of(self, text: str, *, home: bool = True) -> str:
        """``text`` with words for this machine's folders, such as ``(worker)``.

        ``home`` is whether those of people too: a message about a scene has paths of whoever made the scene.
        """
        text = self._folders(self._files.sub("//", text))
        return self._home(text) if home else text

    def of_failure(self, failure: Failure) -> Failure:
        """``failure`` with nothing of this machine in its message; its log is kept from submitters as it is."""
        message = self.left_out_of(failure.message, home=failure.kind is not FailureKind.SCENE)
        return failure.model_copy(update={"message": message})

    def of_stats(self, stats: RenderStats) -> RenderStats:
        """``stats`` with nothing of this machine in its warnings."""
        return stats.model_copy(
            update={"warnings": tuple(self.left_out_of(one, home=False)[:1000] for one in stats.warnings)}
        )


def _ways(folder: Path) -> list[Path]:
    """Ways in which ``folder`` may be written; none for one that is too near the top to be anybody's."""
    ways = dict.fromkeys((folder.absolute(), folder.resolve()))
    return [way for way in ways if len(way.parts) > 2 or (way == Path.home() and way != Path(way.anchor))]


def _pattern(place: Path) -> str:
    """With either kind of slash, and doubled, as Python writes paths of Windows."""
    return r"(?<![\w.-])" + r"[/\\]+".join(re.escape(part.rstrip("/\\")) for part in place.parts)


def _finder(known: Mapping[Path, str]) -> Callable[[str], str]:
    # The longest first: one may lie within another.
    ordered = sorted(known.items(), key=lambda one: len(str(one[0])), reverse=True)
    patterns = [(re.compile(_pattern(place) + r"(?![\w.-])", re.IGNORECASE), f"({word})") for place, word in ordered]

    def replaced(text: str) -> str:
        for pattern, word in patterns:
            text = pattern.sub(word, text)
        return text

    return replaced
