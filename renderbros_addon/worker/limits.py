"""What a renderer may use of a machine, apart from time, which its requests have."""

from __future__ import annotations

import os
from dataclasses import dataclass

_SLACK = 2 << 30
"""Bytes of address space that programs reserve and never touch."""


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes; None for no limit."""

    memory: int | None = None
    """Resident, of a renderer with all that it starts: looked at several times a second."""
    disk: int | None = None
    """What lies in the folders that it may write, all together: looked at every second or so."""
    files: int = 100_000
    """How many files and folders lie there."""
    processes: int = 16
    """With all that it starts; a sandbox is two."""
    threads: int = 512 + 16 * (os.cpu_count() or 1)
    """Of all of its processes; Blender, its denoiser and a driver each start some for every core."""

    def of_a_process(self) -> dict[str, int]:
        """What the kernel itself holds one process to, by names of ``RLIMIT_*``."""
        held = {"core": 0, "nofile": 1 << 16}
        if self.memory is not None:
            # Between two looks somebody may ask for everything at once. What was asked for is not what is used.
            held["data"] = self.memory + self.memory // 4 + _SLACK
        if self.disk is not None:
            held["fsize"] = self.disk
        return held
