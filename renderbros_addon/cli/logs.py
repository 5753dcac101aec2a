"""Logging of a process: one line an event, with the job, task and worker it belongs to."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_IDS = ("job", "task", "worker", "caller", "account", "invite", "address")


def set_up(*, level: int, as_json: bool) -> None:
    """Send this process's log to standard error: RenderBros from ``level`` up, libraries from WARNING up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else _Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("renderbros").setLevel(level)
    logging.captureWarnings(True)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        ids = "".join(f" {name}={value}" for name, value in _ids_of(record).items())
        # A scene's own names end up in messages: nothing of theirs may start a line or move the cursor.
        message = _one_line(record.getMessage())
        line = f"{_time_of(record)} {record.levelname.lower():7} {record.name}{ids}: {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            **_ids_of(record),
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def _time_of(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ids_of(record: logging.LogRecord) -> dict[str, str]:
    return {name: str(value) for name in _IDS if (value := getattr(record, name, None)) is not None}


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
