"""What the child that decodes images gets to see and may do, on top of the limits that it sets itself."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

log = logging.getLogger("renderbros.imaging")

_KEPT = frozenset(
    {
        "PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT",
        "WINDIR", "SYSTEMDRIVE", "TEMP", "TMP", "TMPDIR", "USERPROFILE", "HOME", "LOCALAPPDATA", "RENDERBROS_HOME",
        "RENDERBROS_PACKAGES",
    }
)  # fmt: skip
"""Where programs and packages lie. Everything else may be a secret, such as the password of a database in its URL."""


def child_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for the child; ``environ`` (``os.environ`` for None) is what to pick from."""
    given = os.environ if environ is None else environ
    env = {name: value for name, value in given.items() if name.upper() in _KEPT or name.upper().startswith("LC_")}
    # OpenBLAS would start a thread and map memory for every core just because numpy was imported.
    return env | {"OPENBLAS_NUM_THREADS": "1", "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}


def confined(command: Sequence[str], writable: Sequence[Path]) -> list[str]:
    """``command`` without network and with nothing to write to but ``writable``, where ``bwrap`` is there and works."""
    if not sys.platform.startswith("linux"):
        return list(command)
    bwrap = shutil.which("bwrap")
    if bwrap is None or not _works(bwrap):
        return list(command)
    words = _words(bwrap)
    for folder in writable:
        words += ["--bind", str(folder.resolve()), str(folder.resolve())]
    return [*words, "--", *command]


def _words(bwrap: str) -> list[str]:
    apart = ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    return [bwrap, "--die-with-parent", *apart, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]


@cache
def _works(bwrap: str) -> bool:
    command = [*_words(bwrap), "--", shutil.which("true") or "true"]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("images are decoded without a sandbox: bwrap does not work here: %s", error)
        return False
    if tried.returncode:
        log.warning("images are decoded without a sandbox: bwrap does not work here: %s", tried.stderr.strip()[-300:])
    return tried.returncode == 0
