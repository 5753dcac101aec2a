"""Which files on disk one path of a scene stands for: itself, a sequence's frames, tiles, or a cache in a folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol


class FileSet(Protocol):
    """What a path stands for. Paths are absolute and of this platform."""

    def files(self, path: str) -> list[Path]:
        """The files that are there."""
        ...

    def missing(self, path: str) -> list[str]:
        """Paths that should be there and are not."""
        ...


@dataclass(frozen=True)
class OneFile:
    """The file at the path."""

    def files(self, path: str) -> list[Path]:
        return [Path(path)] if Path(path).is_file() else []

    def missing(self, path: str) -> list[str]:
        return [] if Path(path).is_file() else [path]


@dataclass(frozen=True)
class Tiles:
    """One file for each tile of an image, where the path holds ``<UDIM>`` or ``<UVTILE>``."""

    numbers: tuple[int, ...]

    def files(self, path: str) -> list[Path]:
        return [tile for tile in self._paths(path) if tile.is_file()]

    def missing(self, path: str) -> list[str]:
        return [str(tile) for tile in self._paths(path) if not tile.is_file()]

    def _paths(self, path: str) -> list[Path]:
        paths = []
        for number in self.numbers:
            # 1001 is the tile (1, 1), 1002 is (2, 1), 1011 is (1, 2).
            u, v = (number - 1001) % 10 + 1, (number - 1001) // 10 + 1
            paths.append(Path(path.replace("<UDIM>", str(number)).replace("<UVTILE>", f"u{u}_v{v}")))
        return list(dict.fromkeys(paths))


@dataclass(frozen=True)
class Sequence:
    """Files named like the path but for the last number before the extension."""

    ranges: tuple[range, ...] | None = None
    """Which numbers are shown; None for all."""

    def files(self, path: str) -> list[Path]:
        return [file for _, file in sorted(self._found(path).items())]

    def missing(self, path: str) -> list[str]:
        """The path itself if there is no file at all, else the gaps: a sequence may end early, but has no holes."""
        found = self._found(path)
        if not found:
            return [path]
        split = _split_number(Path(path))
        if split is None:
            return []
        before, digits, after = split
        gaps = set(range(min(found), max(found))) - found.keys()
        wanted = sorted(number for number in gaps if self._shows(number))
        return [str(Path(path).with_name(f"{before}{number:0{len(digits)}d}{after}")) for number in wanted]

    def _shows(self, number: int) -> bool:
        return self.ranges is None or any(number in some for some in self.ranges)

    def _found(self, path: str) -> dict[int, Path]:
        like = Path(path)
        split = _split_number(like)
        if split is None:
            return {0: like} if like.is_file() else {}
        before, digits, after = split
        # Blender pads to the width of the number it was given: 001, and 1000 after 999, but never 0001.
        name = re.compile(rf"{re.escape(before)}(\d{{{len(digits)}}}|[1-9]\d{{{len(digits)},9}}){re.escape(after)}")
        found: dict[int, Path] = {}
        for file in like.parent.iterdir() if like.parent.is_dir() else ():
            match = name.fullmatch(file.name)
            if match and self._shows(int(match[1])) and file.is_file():
                found[int(match[1])] = file
        return found


def _split_number(path: Path) -> tuple[str, str, str] | None:
    """The name before, in and after its last number. The extension doesn't count: ``a_01.jp2`` is frame 1."""
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem, re.DOTALL)
    return (match[1], match[2], match[3] + path.suffix) if match else None


def is_plain_suffix(suffix: str) -> bool:
    """A view's suffix that stays inside of a file's name."""
    return not re.search(r"[/\\\x00]", suffix)


@dataclass(frozen=True)
class Views:
    """A file for each view of a stereoscopic scene, where the path names one of them: ``wall_L.png``."""

    suffixes: tuple[str, ...]

    def files(self, path: str) -> list[Path]:
        return [view for view in self._paths(path) if view.is_file()]

    def missing(self, path: str) -> list[str]:
        return [] if self.files(path) else [path]

    def _paths(self, path: str) -> list[Path]:
        named = Path(path)
        # The longest first: _LEFT ends in no shorter suffix that is meant.
        own = next((s for s in sorted(self.suffixes, key=len, reverse=True) if s and named.stem.endswith(s)), None)
        if own is None:
            return [named]
        stem = named.stem.removesuffix(own)
        plain = sorted(filter(is_plain_suffix, self.suffixes))
        others = (named.with_name(f"{stem}{suffix}{named.suffix}") for suffix in plain)
        return list(dict.fromkeys([named, *others]))


@dataclass(frozen=True)
class Named:
    """Files of the given names in the folder at the path."""

    names: tuple[str, ...]

    def files(self, path: str) -> list[Path]:
        return [file for file in self._paths(path) if file.is_file()]

    def missing(self, path: str) -> list[str]:
        return [str(file) for file in self._paths(path) if not file.is_file()]

    def _paths(self, path: str) -> list[Path]:
        # A name with folders in it would reach out of the folder that was checked.
        return [Path(path) / name for name in dict.fromkeys(self.names) if not re.search(r"[/\\]", name)]


@dataclass(frozen=True)
class Cached:
    """Files of a cache in the folder at the path, by the folders and names that Blender gives them."""

    folders: tuple[str, ...]
    """Relative to the path; ``.`` for itself."""
    name: str
    """A regular expression for the whole name of a file."""
    baked: bool = False
    """There must be some. A cache that was not baked may not have been made."""

    def files(self, path: str) -> list[Path]:
        return sorted(
            file
            for folder in self.folders
            if (Path(path) / folder).is_dir()
            for file in (Path(path) / folder).iterdir()
            if self._named.fullmatch(file.name) and file.is_file()
        )

    def missing(self, path: str) -> list[str]:
        return [path] if self.baked and not self.files(path) else []

    @cached_property
    def _named(self) -> re.Pattern[str]:
        return re.compile(self.name)


@dataclass(frozen=True)
class WithOthers:
    """A file, and those it names itself, such as a USD file's layers."""

    others: Callable[[Path], list[Path]]
    """Absolute paths of the files that a file names, in any depth."""

    def files(self, path: str) -> list[Path]:
        return [file for file in (Path(path), *self._others(path)) if file.is_file()]

    def missing(self, path: str) -> list[str]:
        return [str(file) for file in (Path(path), *self._others(path)) if not file.is_file()]

    def _others(self, path: str) -> list[Path]:
        return self.others(Path(path)) if Path(path).is_file() else []
