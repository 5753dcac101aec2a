"""A sandbox for the renderer by bubblewrap, on a Linux where it is installed and permitted."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

log = logging.getLogger("renderbros.worker")

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = ("renderbros_addon", "bootstrap", "__init__.py", "pyproject.toml", "blender_manifest.toml", "wheels")
_EMPTIED = ("/tmp", "/var/tmp", "/home", "/root", "/run", "/mnt", "/media", "/srv")  # noqa: S108
_DEVICES = ("dri", "kfd", "dxg", "nvidia*", "nvidia-caps")
_RUN_KEPT = ("/run/opengl-driver", "/run/opengl-driver-32")


class Sandbox:
    """Wraps a command so that it has no network, sees no other processes, and of ``data`` only what it is shown.

    ``tools`` are files and folders the command needs to run, wherever they lie.
    """

    def __init__(self, bwrap: str, data: Path, tools: Sequence[Path]) -> None:
        self._bwrap = bwrap
        self._data = data
        self._tools = tuple(tools)

    def wrap(self, command: list[str], *, readable: Sequence[Path], writable: Sequence[Path]) -> list[str]:
        """``command`` in the sandbox; of the data folder it sees ``readable`` and ``writable`` alone."""
        words = [self._bwrap, "--die-with-parent", "--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        words += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        for pattern in _DEVICES:
            for device in sorted(Path("/dev").glob(pattern)):
                words += ["--dev-bind-try", str(device), str(device)]
        # Sockets in /run stay reachable through a read-only mount, so it is emptied like the places of people's files.
        for folder in _EMPTIED:
            if Path(folder).is_dir() and not Path(folder).is_symlink():
                words += ["--tmpfs", folder]
        for tool in (*map(Path, _RUN_KEPT), *self._tools):
            words += ["--ro-bind-try", str(tool), str(tool)]
        # After the tools, because the data folder may lie within one of them.
        words += ["--tmpfs", str(self._data)]
        for path in readable:
            words += ["--ro-bind", str(path), str(path)]
        for path in writable:
            words += ["--bind", str(path), str(path)]
        return [*words, "--chdir", str(writable[0] if writable else "/"), "--", *command]


def find_sandbox(data: Path, blender: Path | None, packages: Sequence[Path]) -> Sandbox | None:
    """A sandbox that was tried and works, or None with a line in the log. ``packages`` are folders of libraries."""
    if not sys.platform.startswith("linux"):
        return None
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        log.info("the renderer runs without a sandbox: bwrap (the bubblewrap package) is not installed")
        return None
    tools = [_ROOT / name for name in _PROGRAM]
    tools += [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).parent]
    # A binary may be a link to its folder's own; a virtual environment's Python usually is.
    tools += [Path(sys.executable).resolve().parent.parent]
    if blender:
        tools += [blender.parent, blender.resolve().parent]
    tools += packages
    sandbox = Sandbox(bwrap, data.resolve(), [tool.absolute() for tool in dict.fromkeys(tools)])
    if reason := _refusal(tuple(sandbox.wrap([shutil.which("true") or "true"], readable=[], writable=[]))):
        log.warning("the renderer runs without a sandbox: bwrap does not work here: %s", reason)
        return None
    return sandbox


@cache
def _refusal(command: tuple[str, ...]) -> str:
    try:
        tried = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if tried.returncode == 0 else tried.stderr.strip()[-300:] or f"exit code {tried.returncode}"
