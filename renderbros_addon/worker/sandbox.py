"""A sandbox for the renderer by bubblewrap, on a Linux where it is installed and permitted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_DEVICES = ("dri", "kfd", "dxg", "nvidia*", "nvidia-caps")

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix", "/gnu", "/snap", "/sys")
"""Folders that hold programs and no one's files."""

_ALSO_NEEDED = (
    "/run/opengl-driver", "/run/opengl-driver-32", "/var/cache/fontconfig", "/var/lib/snapd/lib", "/var/lib/flatpak",
)  # fmt: skip
_APART = ("/etc", "/dev", "/proc")
"""Top folders that are dealt with otherwise than by emptying them."""


def graphics_devices() -> list[str]:
    """What drivers of GPUs open."""
    return [str(device) for pattern in _DEVICES for device in sorted(Path("/dev").glob(pattern))]


def also_needed() -> list[str]:
    """Drivers and caches that lie among folders that are nobody's business."""
    return [place for place in _ALSO_NEEDED if Path(place).exists()]


def private_folders() -> list[str]:
    """The top folders of this machine that may hold people's files; links are followed to what they stand for."""
    found = {folder.resolve() for folder in Path("/").iterdir() if folder.is_dir()}
    spared = [*map(Path, (*SYSTEM, *_APART))]
    private = [folder for folder in found if not any(folder == one or one in folder.parents for one in spared)]
    # What lies in one that is emptied already is gone with it.
    return sorted(str(folder) for folder in private if not any(above in private for above in folder.parents))


class Sandbox:
    """Wraps a command so that it has no network, sees no other processes, and of ``data`` only what it is shown.

    ``tools`` are files and folders the command needs to run, wherever they lie.
    """

    def __init__(self, bwrap: str, data: Path, tools: Sequence[Path]) -> None:
        self._bwrap = bwrap
        self._data = data
        self._tools = tuple(tools)

    def wrap(
        self, command: list[str], *, readable: Sequence[Path], writable: Sequence[Path], shared: Path | None = None
    ) -> list[str]:
        """``command`` in the sandbox; of the data folder it sees ``readable`` and ``writable`` alone.

        ``shared`` takes what it puts into shared memory.
        """
        words = [self._bwrap, "--die-with-parent", "--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        words += ["--cap-drop", "ALL", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        for device in graphics_devices():
            words += ["--dev-bind-try", device, device]
        # Sockets in /run stay reachable through a read-only mount, so it is emptied like the places of people's files.
        emptied = private_folders()
        for folder in emptied:
            words += ["--tmpfs", folder]
        for tool in (*also_needed(), *self._tools):
            words += ["--ro-bind-try", str(tool), str(tool)]
        # After the tools, because the data folder may lie within one of them.
        words += ["--tmpfs", str(self._data)]
        for path in readable:
            words += ["--ro-bind", str(path), str(path)]
        for path in writable:
            words += ["--bind", str(path), str(path)]
        if shared is not None:
            words += ["--bind", str(shared), "/dev/shm"]  # noqa: S108
        # What is written into an empty folder in memory would be in nobody's account.
        for folder in (*emptied, str(self._data), "/dev"):
            words += ["--remount-ro", folder]
        return [*words, "--chdir", str(writable[0] if writable else "/"), "--", *command]


def find_sandbox(data: Path, tools: Sequence[Path]) -> tuple[Sandbox | None, str]:
    """A sandbox that was tried and works, or None and why; ``tools`` as for :class:`Sandbox`."""
    if not sys.platform.startswith("linux"):
        return None, "bwrap is for Linux"
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return None, "bwrap (the bubblewrap package) is not installed"
    sandbox = Sandbox(bwrap, data.resolve(), tools)
    if reason := refusal(tuple(sandbox.wrap([shutil.which("true") or "true"], readable=[], writable=[]))):
        return None, f"bwrap does not work here: {reason}"
    return sandbox, ""


@cache
def refusal(command: tuple[str, ...]) -> str:
    """Why a command that does nothing does not even do that; empty if it does."""
    try:
        tried = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if tried.returncode == 0 else tried.stderr.strip()[-300:] or f"exit code {tried.returncode}"
