"""How much of the disk a renderer has filled."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from .limits import Limits

_EVERY = 1.0
"""Seconds between two looks, or more where a look takes long."""
_SHARE = 0.05
"""Of the time that may go into looking."""
_MOST = 64 << 30


def default_max_disk(folder: Path) -> int:
    """Bytes that a renderer may write where ``folder`` lies."""
    folder.mkdir(parents=True, exist_ok=True)
    return min(_MOST, shutil.disk_usage(folder).free // 2)


class DiskWatch:
    """Looks now and then at what lies below ``folders``; a job's own files, which are read-only, do not count."""

    def __init__(self, folders: Sequence[Path], limits: Limits) -> None:
        self._folders = folders
        self._limits = limits
        self._next = float("-inf")

    def breach(self) -> str:
        """What is beyond the limits, for people; empty for nothing, or if it isn't yet time to look again."""
        began = time.monotonic()
        if began < self._next:
            return ""
        size, files = self._usage()
        self._next = time.monotonic() + max(_EVERY, (time.monotonic() - began) / _SHARE)
        if self._limits.disk is not None and size > self._limits.disk:
            return f"{size / 2**20:.0f} MiB, and {self._limits.disk / 2**20:.0f} MiB are allowed"
        if files > self._limits.files:
            return f"{files} files and folders, and {self._limits.files} are allowed"
        return ""

    def _usage(self) -> tuple[int, int]:
        size = files = 0
        waiting = [str(folder) for folder in self._folders]
        while waiting:
            try:
                with os.scandir(waiting.pop()) as entries:
                    for entry in entries:
                        files += 1
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        else:
                            status = entry.stat(follow_symlinks=False)
                            size += _on_disk(status) if status.st_mode & stat.S_IWUSR else 0
            except OSError:
                continue  # it went meanwhile
            if files > self._limits.files:
                break
        return size, files


def _on_disk(status: os.stat_result) -> int:
    """Bytes that are taken: a file with holes is longer than it is large."""
    blocks = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else int(blocks) * 512
