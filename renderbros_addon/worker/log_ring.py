"""The end of a renderer's log, kept in memory whatever the renderer writes."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterator
from typing import IO

_LINES = 200
_LINE_LENGTH = 2000
TAIL_LENGTH = 20000
"""Characters of log that a failure may carry (``protocol.results.Failure.log_tail``)."""

# A terminal would obey escape sequences, and a database may refuse a NUL.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean_text(raw: bytes | str) -> str:
    """``raw`` as one printable line or more: undecodable bytes and control characters replaced."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw.encode("utf-8", "replace").decode()
    return _CONTROL.sub("�", text)


def lines_of(stream: IO[bytes], limit: int) -> Iterator[bytes]:
    """The lines of ``stream`` without their ends, each cut at ``limit`` bytes; a last line may lack its end."""
    while line := stream.readline(limit):
        kept = line
        while not line.endswith(b"\n") and (line := stream.readline(1 << 16)):
            pass
        yield kept.rstrip(b"\r\n")


_REFUSED = re.compile(r"alloc\w* returns null")
"""Blender's own words when it asked for memory in vain: it may go on, and leave out what it wanted it for."""


class LogRing:
    """The last 200 lines of a log, each cut at 2000 characters. Safe between threads."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._lock = threading.Lock()
        self.refused_memory = 0
        """Lines that tell of memory that was not to be had."""

    def add(self, raw: bytes | str) -> str:
        """Keep a line; returns it as kept."""
        line = clean_text(raw[:_LINE_LENGTH])
        with self._lock:
            self._lines.append(line)
            self.refused_memory += bool(_REFUSED.search(line))
        return line

    def tail(self) -> str:
        """The lines joined, the last 20000 characters of them."""
        with self._lock:
            return "\n".join(self._lines)[-TAIL_LENGTH:]
