"""Workers: what they can do, and what is told about them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from .base import MAX_COUNT, Identifier, Many, Prose, Wire
from .jobs import DataName, DeviceKind, Series
from .states import WorkerStatus


class Device(Wire):
    """A device that Cycles can render on."""

    kind: DeviceKind
    backend: Annotated[Prose, StringConstraints(max_length=40)]
    """``CPU``, ``CUDA``, ``OPTIX``, ``HIP``, ``ONEAPI`` or ``METAL``."""
    name: Annotated[Prose, StringConstraints(max_length=200)]


class Capabilities(Wire):
    """What a worker's Blender is and has, as its renderer read it."""

    blender: Annotated[Prose, StringConstraints(max_length=40)]
    """Full version, such as ``4.5.15``."""
    series: Series
    build: Annotated[Prose, StringConstraints(max_length=40)]
    """Build hash."""
    engines: Many[DataName] = Field(max_length=100)
    devices: Many[Device] = Field(max_length=100)
    platform: Annotated[Prose, StringConstraints(max_length=200)]
    """Operating system and machine, such as ``Linux x86_64``."""
    instruction_set: Annotated[Prose, StringConstraints(max_length=40)]
    """The highest vector extension that the processor has, such as ``AVX2``: part of what makes pixels repeatable."""
    threads: int = Field(ge=1, le=4096)
    memory: int = Field(ge=0, le=MAX_COUNT)
    """Bytes that a renderer may use."""
    guards: Many[Annotated[Prose, StringConstraints(max_length=40)]] = Field(default=(), max_length=20)
    """What keeps hostile scenes from the machine: ``bwrap``, ``landlock``, ``seccomp``, ``sandbox-exec``, ``limits``,
    ``in-process``; the strongest first."""
    unguarded: Annotated[Prose, StringConstraints(max_length=500)] = ""
    """Which of these are not in force, and why."""


class Enrolment(Wire):
    """Body of ``POST /workers``. The same ``name`` and ``secret`` again give the same worker."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
    secret: Annotated[str, StringConstraints(min_length=32, max_length=128)]
    """Made by the worker and kept in its data folder, so that it is the same worker after a restart."""
    owner: Annotated[str, StringConstraints(min_length=16, max_length=128)] | None = None
    """A secret that all workers of one owner share: they never check each other. None for an owner of its own."""
    invite: Annotated[Prose, StringConstraints(max_length=200)] | None = None
    capabilities: Capabilities


class Enrolled(Wire):
    id: Identifier
    token: str
    """Bearer token for all that follows; the dispatcher keeps only its hash."""


class Standing(Wire):
    """How far a worker is trusted, and why."""

    credibility: float = Field(ge=0, le=1)
    """Estimated probability that a result of this worker is right (Sarmenta)."""
    check_rate: float = Field(ge=0, le=1)
    """Probability that its next result is checked."""
    frames: int = Field(ge=0)
    """Results accepted since it began, or began again."""
    passed: int = Field(ge=0)
    """Checks passed in a row."""
    inconclusive: int = Field(ge=0)
    """Checks that could not tell: neither credit nor penalty."""
    faults: int = Field(ge=0)
    """Confirmed ones, ever."""
    probation: bool
    until: datetime | None = None
    """When its quarantine ends."""


class WorkerView(Wire):
    id: Identifier
    name: str
    status: WorkerStatus
    capabilities: Capabilities
    last_seen: datetime
    tasks_accepted: int
    tasks_failed: int
    held_tasks: int
    owner: str = ""
    """Whom it belongs to: equal for workers of one owner."""
    standing: Standing | None = None
    pause_requested: bool = False


class WorkerList(Wire):
    workers: tuple[WorkerView, ...]
