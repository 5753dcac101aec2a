"""How much memory this machine, or the container around us, has and has left."""

from __future__ import annotations

from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")
_SHARE_LENT = 0.8
_LOW = 0.04
"""Below this fraction of free memory a kill from outside is put down to lack of memory."""


def memory_limit() -> int:
    """Bytes that processes here may use together: the machine's memory, or a container's limit if that is less."""
    return _limit_of(int(psutil.virtual_memory().total))


def _limit_of(total: int) -> int:
    limit = _number(_CGROUP / "memory.max") or _number(_CGROUP / "memory" / "memory.limit_in_bytes")
    return min(total, limit) if limit else total


def default_max_memory(workers: int = 1) -> int:
    """Bytes that each of ``workers`` renderers on this machine may use, leaving a fifth to everybody else."""
    return int(memory_limit() * _SHARE_LENT / max(1, workers))


def low_on_memory() -> bool:
    """Whether hardly any memory is left."""
    # Asked several times a second: the system is read once.
    memory = psutil.virtual_memory()
    limit = _limit_of(int(memory.total))
    available = int(memory.available)
    used = _number(_CGROUP / "memory.current")
    if used is not None and _number(_CGROUP / "memory.max"):
        available = min(available, limit - used)
    return available < _LOW * limit


def oom_kills() -> int:
    """How often the kernel has killed a process of this container for memory; 0 where nobody counts."""
    try:
        for line in (_CGROUP / "memory.events").read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    except (OSError, ValueError):
        pass
    return 0


def volunteer_for_oom_kill(pid: int) -> None:
    """Have Linux pick process ``pid`` before the agent when memory runs out; nothing elsewhere."""
    try:
        Path(f"/proc/{pid}/oom_score_adj").write_text("700")
    except OSError:
        return


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    # cgroup v1 writes "no limit" as a number close to 2**63.
    return int(text) if text.isdigit() and int(text) < 1 << 60 else None
