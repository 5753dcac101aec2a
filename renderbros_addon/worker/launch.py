"""Starting a renderer's process, by the standard library alone: whoever is in a hurry does so before other imports."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .environment import scrubbed_environment


def launch(
    command: Sequence[str],
    scratch: Path,
    *,
    threads: int | None = None,
    shaders: Path | None = None,
    wrap: Callable[[list[str]], list[str]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``command`` with pipes, in an environment that tells nothing; OSError if it can't be started.

    It may write below ``scratch`` (made if need be). ``shaders`` is a folder for compiled kernels that outlives it;
    ``wrap`` puts a sandbox around the command; ``environment`` is told besides.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    words = list(command)
    return subprocess.Popen(
        wrap(words) if wrap else words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=scratch,
        env=scrubbed_environment(scratch, threads=threads, shaders=shaders) | dict(environment or {}),
        # A terminal's Ctrl-C must reach the agent alone, so the child is put out of its group.
        start_new_session=os.name == "posix",
        creationflags=_windows_flags(),
    )


def _windows_flags() -> int:
    if os.name != "nt":
        return 0
    return int(getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)) | int(getattr(subprocess, "CREATE_NO_WINDOW", 0))
