"""Settings of one dispatcher."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..protocol.leases import LEASE_SECONDS
from . import tokens
from .connections import ConnectionLimits
from .errors import ConfigurationError
from .rates import Limit, Limited

DEFAULT_PORT = 8420
GIB = 1 << 30


@dataclass(frozen=True)
class DispatcherConfig:
    """Everything that a dispatcher is told from outside."""

    data: Path
    """Folder of its own: database and blobs by default, spool and scratch always. Locked while it runs."""
    checker_command: Sequence[str]
    """Command line of the child process that decodes images: it runs ``imaging.checker.run_checker``."""
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    """0 takes any free port."""
    database: str | None = None
    """SQLAlchemy URL of a SQLite or PostgreSQL database; None for a SQLite file in ``data``."""
    storage: str | None = None
    """URL of the blob store; None for a folder in ``data``."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    names: tuple[str, ...] = ()
    """On loopback: host names it answers to besides localhost, for a proxy that keeps the name it was asked for."""
    insecure: bool = False
    """Listen beyond this machine although no TLS keeps tokens and scenes from those who listen in between."""
    operator_token: str | None = field(default=None, repr=False)
    """The operator's token, from outside; with None the first start makes one."""
    worker_invites: tuple[str, ...] = field(default=(), repr=False)
    """Codes by which workers may enrol within ten minutes of the start, one each."""
    limits: Mapping[Limited, Limit] = field(default_factory=dict)
    """Rates that stand in for the usual ones."""
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    lease_seconds: float = LEASE_SECONDS
    offline_seconds: float = 60.0
    """Silence after which a worker counts as offline."""
    max_blob_bytes: int = 16 * GIB
    max_unclaimed_bytes: int = 32 * GIB
    """Of what one worker, or one submitter, has sent and no result or job has named, unfinished uploads with it."""
    max_json_bytes: int = 16 << 20
    max_tasks: int = 200_000
    """Tasks in one job."""
    checker_timeout: float = 300.0
    checker_memory: int | None = None
    """Bytes that a checker process may use; None for the checker's default."""
    intake_threads: int = 2

    @property
    def database_url(self) -> str:
        if self.database:
            return self.database
        return f"sqlite:///{(self.data / 'dispatcher.sqlite3').resolve().as_posix()}"

    @property
    def storage_url(self) -> str:
        return self.storage or (self.data / "blobs").resolve().as_uri()

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def check(self) -> None:
        """Raise ConfigurationError for settings that contradict each other or would be unsafe."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigurationError("TLS needs both a certificate and a key: give --tls-cert and --tls-key together.")
        for file in (self.tls_cert, self.tls_key):
            if file is not None and not file.is_file():
                raise ConfigurationError(f"There is no file {file}.")
        if not self.loopback and self.tls_cert is None and not self.insecure:
            raise ConfigurationError(
                f"Listening on {self.host} would let anyone on the way read tokens and scenes. "
                "Give --tls-cert and --tls-key, or --insecure if the network is your own, "
                "or stay on 127.0.0.1 and use a tunnel."
            )
        if self.operator_token is not None and not re.fullmatch(
            rf"{tokens.OPERATOR}[!-~]{{32,160}}", self.operator_token
        ):
            raise ConfigurationError(
                f"An operator's token begins with {tokens.OPERATOR}, and 32 to 160 characters without spaces follow: "
                "such as printf 'rbo_%s' \"$(openssl rand -hex 32)\" makes."
            )
        if not 0 <= self.port <= 65535:
            raise ConfigurationError(f"A port lies between 0 and 65535, not {self.port}.")
        if self.lease_seconds <= 0:
            raise ConfigurationError(f"A lease lasts longer than {self.lease_seconds} seconds.")
