"""Keeps a data folder to one dispatcher."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import ConfigurationError


class DataLock:
    """Keeps a data folder to one dispatcher, and knows who holds it."""

    def __init__(self, data: Path) -> None:
        self._data = data
        # Held by the process, whichever of its threads took it or gives it back.
        self._lock = FileLock(data / "dispatcher.lock", timeout=0, thread_local=False)
        # Beside the lock, not in it: on Windows nobody else can read a locked file.
        self._holder = data / "dispatcher.holder.json"

    def acquire(self) -> None:
        try:
            self._lock.acquire()
        except Timeout:
            raise ConfigurationError(
                f"The folder {self._data} is in use by another dispatcher{self._who()}. "
                "Stop that one, or give this one a folder of its own with --data."
            ) from None
        except OSError as error:
            raise ConfigurationError(f"The folder {self._data} can't be used: {error}") from error
        self._holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))

    def _who(self) -> str:
        try:
            holder = json.loads(self._holder.read_text())
            return f" (process {holder['pid']} on {holder['host']})"
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def release(self) -> None:
        if self._lock.is_locked:
            self._holder.unlink(missing_ok=True)
            self._lock.release()
