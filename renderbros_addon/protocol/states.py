"""Every status there is. Who may change them, and from what to what, is the dispatcher's business."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    UPLOADING = "uploading"
    QUEUED = "queued"
    ACTIVE = "active"
    PAUSED = "paused"
    FINISHING = "finishing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """No work is left to do for such a job (``retry`` may open a failed or cancelled one again)."""
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


class TaskStatus(StrEnum):
    QUEUED = "queued"
    LEASED = "leased"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TaskKind(StrEnum):
    RENDER = "render"
    FINISH = "finish"
    CHECK = "check"
    REPLICA = "replica"


class WorkerStatus(StrEnum):
    ENROLLED = "enrolled"
    ONLINE = "online"
    OFFLINE = "offline"
    PAUSED = "paused"
    DRAINING = "draining"
    QUARANTINED = "quarantined"
    BANNED = "banned"


class LeaseStatus(StrEnum):
    HELD = "held"
    RETURNED = "returned"
    """Ended by a result."""
    FAILED = "failed"
    RELEASED = "released"
    EXPIRED = "expired"
    REVOKED = "revoked"
    """Ended by the dispatcher: the job was cancelled, or the worker was banned."""


class FailureKind(StrEnum):
    SCENE = "scene"
    """The job's own fault: it fails at once, with the reason."""
    WORKER = "worker"
    """The machine's fault: another worker gets the task."""
    TRANSIENT = "transient"
    """Nobody's fault: the same worker tries again."""


class FailureCode(StrEnum):
    """What happened, in a word that programs can rely on."""

    # scene
    MISSING_FILE = "missing_file"
    NO_CAMERA = "no_camera"
    UNKNOWN_SCENE = "unknown_scene"
    UNKNOWN_CAMERA = "unknown_camera"
    UNKNOWN_VIEW_LAYER = "unknown_view_layer"
    UNKNOWN_ENGINE = "unknown_engine"
    UNKNOWN_FORMAT = "unknown_format"
    BAD_SETTING = "bad_setting"
    CORRUPT_BLEND = "corrupt_blend"
    NEWER_BLEND = "newer_blend"
    SIZE_MISMATCH = "size_mismatch"
    SCRIPTS_BLOCKED = "scripts_blocked"
    """A blocked driver or script would have changed the picture."""
    RENDER_ERROR = "render_error"
    # worker
    CRASHED = "crashed"
    HUNG = "hung"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    NO_DEVICE = "no_device"
    DISK_FULL = "disk_full"
    LIMIT_EXCEEDED = "limit_exceeded"
    """The task used more disk, files, processes or threads than this worker lends."""
    BAD_OUTPUT = "bad_output"
    """The result did not pass verification."""
    # transient
    NETWORK = "network"
    BAD_DOWNLOAD = "bad_download"


class FrameStatus(StrEnum):
    """Derived from a frame's tasks, never stored."""

    WAITING = "waiting"
    RENDERING = "rendering"
    FINISHING = "finishing"
    DONE = "done"
    FAILED = "failed"
