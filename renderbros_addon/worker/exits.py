"""What a renderer's exit code means."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from ..protocol.states import FailureCode
from .memory import low_on_memory

_NO_MEMORY = re.compile(r"\bMemoryError\b|std::bad_alloc|[Mm]alloc returns null|Out of memory")
_WINDOWS_CODES = {0xC0000005: "access violation", 0xC0000017: "no memory", 0xC00000FD: "stack overflow"}
_SIGKILL = 9


@dataclass(frozen=True)
class Exit:
    """A code for programs and a sentence for people."""

    code: FailureCode
    message: str


def name_exit(
    status: int, log_tail: str, *, wrapped: bool, oom_killed: bool, used: int, max_memory: int | None
) -> Exit:
    """Name the end of a renderer that exited by itself or was killed by somebody else.

    ``status`` is Popen's return code; ``wrapped`` says that a shell-like wrapper turned signals into 128 + number;
    ``oom_killed`` that the kernel killed somebody here for memory meanwhile; ``used`` is the most it was seen to use.
    """
    number = -status if status < 0 else status - 128 if wrapped and 128 < status < 128 + 65 else None
    if number == _SIGKILL:
        near_limit = max_memory is not None and used > 0.9 * max_memory
        if oom_killed or near_limit or low_on_memory():
            return Exit(
                FailureCode.OUT_OF_MEMORY,
                f"the renderer was killed from outside, probably out of memory (it used {used / 2**20:.0f} MiB)",
            )
        return Exit(FailureCode.CRASHED, "the renderer was killed from outside (SIGKILL)")
    if status != 0 and _NO_MEMORY.search(log_tail[-4000:]):
        return Exit(FailureCode.OUT_OF_MEMORY, "the renderer ran out of memory and ended, as its log says")
    if number is not None:
        return Exit(FailureCode.CRASHED, f"the renderer crashed ({_signal_name(number)})")
    if status == 0:
        return Exit(FailureCode.CRASHED, "the renderer ended without an answer (exit code 0)")
    shown = f"exit code {status}" if status < 1 << 30 else f"exit code 0x{status:08X}"
    known = _WINDOWS_CODES.get(status)
    if known == "no memory":
        return Exit(FailureCode.OUT_OF_MEMORY, f"the renderer ran out of memory ({shown})")
    return Exit(FailureCode.CRASHED, f"the renderer crashed ({shown}{', ' + known if known else ''})")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
