"""A worker's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..protocol.jobs import DeviceKind
from .terms import Terms


@dataclass(frozen=True)
class WorkerConfig:
    """What an agent is told. Sizes are in bytes, times in seconds."""

    dispatcher: str
    """URL, such as ``https://farm.example:8420``."""
    data: Path
    """Holds identities, run folders and compiled shaders; several workers may share it."""
    name: str | None = None
    """Shown to people; None takes the host's name, numbered if another worker here has it already."""
    invite: str | None = field(default=None, repr=False)
    """Code of an invite for workers; needed once, as the dispatcher knows the worker again."""
    owner: str | None = field(default=None, repr=False)
    """A secret that all workers of one owner share; None for an owner of its own."""
    once: bool = False
    """End when one long poll has brought no work while nothing was held."""
    max_memory: int | None = None
    """A renderer that uses more is killed; None allows 80 % of the machine's memory."""
    max_disk: int | None = None
    """A renderer that writes more is killed; None allows half of what is free, but at most 64 GiB."""
    threads: int | None = None
    device: DeviceKind | None = None
    """Lend only this kind of device; None lends all."""
    cache: Path | None = None
    """Holds downloaded files; shared by all workers of a machine. None takes ``data / "cache"``."""
    cache_bytes: int = 20 << 30
    task_timeout: float | None = 24 * 3600.0
    hang_timeout: float = 600.0
    """Without progress and without processor time."""
    heartbeat_timeout: float = 30.0
    blender: Path | None = None
    """A Blender binary to render with; None takes the ``bpy`` wheel of this Python."""
    ca: Path | None = None
    """A certificate authority to trust besides the system's, in PEM."""
    pin: str | None = None
    """SHA-256 of the only certificate to trust."""
    insecure: bool = False
    """Send secrets beyond this machine though no TLS keeps them."""
    sandbox: bool = True
    """Put the renderer behind the system's guards (``bwrap``, Landlock, seccomp) as far as they work here."""
    sandbox_required: bool = False
    """Do not start where the system keeps neither files nor network from the renderer."""
    terms: Terms = field(default_factory=Terms)
    status: Path | None = None
    """Where to keep a :class:`WorkerReport` for whoever is at this machine."""
    control: Path | None = None
    """A file with an :class:`OwnerWord`, which may change at any time."""
    poll_seconds: float = 20.0
    """How long one request for work may wait; at most 10 with ``once``."""

    @property
    def cache_folder(self) -> Path:
        return self.cache or self.data / "cache"
