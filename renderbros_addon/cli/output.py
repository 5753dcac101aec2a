"""What commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console, RenderableType

from .errors import CommandError


class Output:
    """Where a command's words go. With ``as_json``, standard output carries one JSON object and nothing else."""

    said = False
    """Whether this process has printed its result."""

    def __init__(self, *, as_json: bool, verbose: bool) -> None:
        self.as_json = as_json
        self.verbose = verbose
        self.notes = Console(stderr=True, highlight=False, soft_wrap=True)
        # A file or a pipe has no width: nothing is cut there.
        self._results = Console(highlight=False, width=None if sys.stdout.isatty() else 240)

    @property
    def live(self) -> bool:
        """Whether someone watches: only then progress is redrawn in place."""
        return self.notes.is_terminal and not self.notes.is_dumb_terminal

    def note(self, text: str) -> None:
        """Tell the person at the terminal something; scripts that read standard output don't see it."""
        self.notes.print(text, markup=False)

    def result(self, obj: Mapping[str, Any], shown: RenderableType | None = None) -> None:
        """Print what the command came to: ``obj``, which has a ``status``, for programs or ``shown`` for people."""
        Output.said = True
        if self.as_json:
            sys.stdout.write(json.dumps(obj, ensure_ascii=False, default=str) + "\n")
            sys.stdout.flush()
        elif isinstance(shown, str):
            self._results.print(shown, markup=False, soft_wrap=True)
        elif shown is not None:
            self._results.print(shown)

    def error(self, error: CommandError) -> None:
        """Say why the command ends without what was asked of it."""
        self.notes.print(f"renderbros: {error}", style="red" if self.live else None, markup=False)
        if self.as_json:
            self.result({"status": error.status, "error": str(error), **error.detail})
