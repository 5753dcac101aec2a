"""A folder for one step's temporary files, made with the first of them: most steps need none."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from functools import cached_property
from pathlib import Path


class Scratch:
    """A folder within ``parent``, gone with its content at the end of the ``with`` block."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._numbers = itertools.count()

    @cached_property
    def folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="intake-", dir=self._parent))

    def new(self) -> Path:
        """A path in the folder at which there is nothing yet."""
        return self.folder / f"file{next(self._numbers)}"

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        if "folder" in self.__dict__:
            shutil.rmtree(self.folder, ignore_errors=True)
