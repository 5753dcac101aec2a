"""Who a worker is: a name and a secret that outlive its process."""

from __future__ import annotations

import hashlib
import re
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ..protocol.on_disk import write_secret


class NameTaken(Exception):
    """Another worker with this name runs on this data folder."""


@dataclass(frozen=True)
class Identity:
    """``lock`` is held as long as the worker runs, so that no two are the same one."""

    name: str
    secret: str
    lock: FileLock

    def release(self) -> None:
        self.lock.release()


def claim_identity(folder: Path, dispatcher: str, name: str | None) -> Identity:
    """The identity of ``name`` towards ``dispatcher``, made if it is new; NameTaken if somebody uses it now.

    Without a name the host's is taken, and while that is in use the host's with a number. Each dispatcher gets its own
    secret: what one of them knows must not open another.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for candidate in [name] if name else _host_names():
        readable = re.sub(r"[^A-Za-z0-9_-]+", "_", candidate)[:40]
        digest = hashlib.sha256(f"{dispatcher.rstrip('/')}\n{candidate}".encode()).hexdigest()[:12]
        stem = folder / f"{readable}-{digest}"
        lock = FileLock(stem.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        return Identity(candidate, kept_secret(stem.with_suffix(".secret")), lock)
    raise NameTaken(f"a worker named {name!r} already runs here (data in {folder.parent}); give this one another name")


def _host_names() -> Iterator[str]:
    host = socket.gethostname()[:80] or "worker"
    yield host
    yield from (f"{host}-{number}" for number in range(2, 1000))


def kept_secret(path: Path) -> str:
    """The secret kept in the file ``path``, which no other user can read; a new one if it holds none."""
    if path.exists():
        kept = path.read_text().strip()
        if len(kept) >= 32:
            return kept
    secret = secrets.token_hex(32)
    write_secret(path, secret)
    return secret
