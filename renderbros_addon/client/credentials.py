"""Tokens that this user keeps, one for each dispatcher: in the system's keyring, or in a file for their eyes only."""

from __future__ import annotations

import importlib
import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..protocol.on_disk import write_secret

log = logging.getLogger("renderbros.client")

SERVICE = "renderbros"
"""What the keyring knows us by."""


@dataclass(frozen=True)
class Kept:
    """A token, and what was said when it came."""

    token: str = field(repr=False)
    role: str = ""
    account: str = ""
    data: str = ""
    """The data folder, where it is that of a dispatcher on this machine."""
    ca: str | None = None
    pin: str | None = None


class Credentials:
    """What is kept in ``file``. Where a keyring is there, the tokens are in it, and the rest in the file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def find(self, url: str) -> Kept | None:
        """What is kept for the dispatcher at ``url``."""
        return self._load(url, self._read().get(_key(url)))

    def keep(self, url: str, kept: Kept) -> None:
        """Keep a token, in the place of the one before; OSError if it can't be."""
        with self._locked():
            found = self._read()
            row = asdict(kept)
            if _to_keyring(_key(url), kept.token):
                row["token"] = ""
            found[_key(url)] = row
            self._write(found)

    def drop(self, url: str) -> bool:
        """Forget the token for ``url``; False if there was none."""
        with self._locked():
            found = self._read()
            row = found.pop(_key(url), None)
            if row is None:
                return False
            if not row.get("token"):
                _to_keyring(_key(url), None)
            self._write(found)
            return True

    def moved(self, data: str, url: str) -> None:
        """The dispatcher of the data folder ``data`` on this machine answers at ``url`` now."""
        for old, row in self._read().items():
            if row.get("data") == data and old != _key(url) and (kept := self._load(old, row)):
                self.drop(old)
                self.keep(url, kept)
                return

    @staticmethod
    def _load(url: str, row: Any) -> Kept | None:
        if not isinstance(row, dict):
            return None
        token = row.get("token") or _from_keyring(_key(url))
        if not token:
            return None
        known = {name: str(row[name]) for name in ("role", "account", "data", "ca", "pin") if row.get(name)}
        return Kept(token, **known)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.warning("the tokens in %s can't be read: %s", self._file, error)
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, found: dict[str, dict[str, Any]]) -> None:
        write_secret(self._file, json.dumps(found, indent=1))

    def _locked(self) -> FileLock:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self._file.with_suffix(".lock"), timeout=10)


def _key(url: str) -> str:
    return url.rstrip("/").replace("://localhost:", "://127.0.0.1:").lower()


def _keyring() -> Any:
    """The system's keyring; None where there is none that works without asking."""
    try:
        keyring: Any = importlib.import_module("keyring")
    except ImportError:
        return None
    try:
        return keyring if keyring.get_keyring().priority >= 1 else None
    except Exception:
        return None


def _to_keyring(url: str, token: str | None) -> bool:
    """Put a token there, or with None take it out; False if that can't be."""
    keyring = _keyring()
    if keyring is None:
        return False
    try:
        if token is None:
            keyring.delete_password(SERVICE, url)
        else:
            keyring.set_password(SERVICE, url, token)
    except Exception as error:
        # Each backend has errors of its own; the file does as well.
        log.info("the system's keyring can't be used: %s", type(error).__name__)
        return False
    return True


def _from_keyring(url: str) -> str | None:
    keyring = _keyring()
    try:
        return None if keyring is None else keyring.get_password(SERVICE, url)
    except Exception as error:
        log.info("the system's keyring can't be used: %s", type(error).__name__)
        return None
