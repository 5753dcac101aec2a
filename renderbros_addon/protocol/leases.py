"""Leases: a task in one worker's hands for a while."""

from __future__ import annotations

from pydantic import Field

from .base import MAX_COUNT, MAX_SECONDS, Identifier, RelativePath, Sha256, Wire
from .jobs import Frame, SceneSpec
from .regions import Region
from .states import TaskKind

LEASE_SECONDS = 60.0
RENEW_SECONDS = LEASE_SECONDS / 3


class Task(Wire):
    """A frame, or a tile of one, to be rendered; or an assembled frame to be finished."""

    id: Identifier
    job_id: Identifier
    kind: TaskKind
    frame: Frame
    region: Region
    """Of the output frame; the full region for a whole frame."""
    linear: bool
    """Render to a multilayer EXR of floats, without denoiser, compositor or sequencer, instead of the job's format."""
    extras: tuple[RelativePath, ...] = ()
    """Names of the other files that this task may come to; see ``JobSpec.extras``."""
    assembled: Sha256 | None = None
    """For ``finish``: the blob with the assembled frame, a multilayer EXR."""


class LeaseRequest(Wire):
    """Body of ``POST /leases?wait=SECONDS``."""

    count: int = Field(default=1, ge=1, le=32)
    """At most so many tasks."""
    open_job: Identifier | None = None
    """The job whose scene the worker has open: preferred among jobs of equal priority, for a while."""


class Lease(Wire):
    id: Identifier
    task: Task
    scene: SceneSpec
    seconds: float
    """From now to expiry."""


class LeaseBatch(Wire):
    leases: tuple[Lease, ...]


class Progress(Wire):
    """How far a task is; both counts are None while the engine has not told."""

    sample: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    samples: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    seconds_left: float | None = Field(default=None, ge=0, le=MAX_SECONDS)


class RenewRequest(Wire):
    """Body of ``POST /leases/{id}/renew``."""

    progress: Progress | None = None


class Renewal(Wire):
    """Its answer. ``cancel`` says that the work is no longer wanted: stop and forget it."""

    seconds: float
    cancel: bool = False
    pause: bool = False


class Acceptance(Wire):
    """Answer to a result: ``late`` if the lease was over; ``wanted`` if the task was still open."""

    wanted: bool
    late: bool = False
