"""A sandbox for the renderer by macOS's ``sandbox-exec``. Written by its documentation, not yet run on a Mac."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PROGRAM = "/usr/bin/sandbox-exec"

_PROFILE = """(version 1)
(deny default)
(allow process-exec)
(allow signal (target self))
(allow sysctl-read)
(allow mach-lookup)
(allow iokit-open)
(allow ipc-posix-shm)
(allow file-read-metadata)
(allow file-read*
    (literal "/")
    (subpath "/System") (subpath "/Library") (subpath "/usr") (subpath "/bin") (subpath "/sbin") (subpath "/opt")
    (subpath "/private/etc") (subpath "/private/var/db/timezone") (subpath "/private/var/db/dyld") (subpath "/dev")
    {readable})
(allow file-write*
    (literal "/dev/null") (literal "/dev/zero") (literal "/dev/dtracehelper")
    {writable})
(deny network*)
(deny process-fork)
"""


class Seatbelt:
    """Wraps a command so that it has no network, starts nothing and sees of people's files only what it is shown."""

    def wrap(self, command: list[str], *, readable: Sequence[Path], writable: Sequence[Path]) -> list[str]:
        profile = _PROFILE.format(readable=_subpaths([*readable, *writable]), writable=_subpaths(writable))
        return [_PROGRAM, "-p", profile, *command]


def find_seatbelt() -> Seatbelt | None:
    """A sandbox that was tried and works, or None."""
    if sys.platform != "darwin" or shutil.which(_PROGRAM) is None:
        return None
    found = Seatbelt()
    command = found.wrap(["/usr/bin/true"], readable=[], writable=[])
    try:
        tried = subprocess.run(command, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found if tried.returncode == 0 else None


def _subpaths(paths: Sequence[Path]) -> str:
    # /tmp and /var are links there, and a profile is about what they stand for.
    return " ".join(f"(subpath {_quoted(str(path.resolve()))})" for path in paths)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
