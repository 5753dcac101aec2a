"""The pipe between a desktop Blender and the children that work for it: JSON lines, both ways.

The first line down is a request, which says what the child is for. The end of the pipe tells it to end.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from .base import MAX_COUNT, MAX_SECONDS, Identifier, Wire
from .jobs import JobView

Path = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]
"""A path on this machine, absolute."""


class DeskRequest(Wire):
    """What all requests tell: the dispatcher, and how to trust it. The token is the one that login keeps for it."""

    dispatcher: str
    ca: Path | None = None
    pin: str | None = None
    insecure: bool = False


class TestRequest(DeskRequest):
    """Is it there, and does it know us?"""

    do: Literal["test"] = "test"


class LoginRequest(DeskRequest):
    """Keep a token: ``code`` is one, or an invite that gets one."""

    do: Literal["login"] = "login"
    code: str = Field(repr=False)


class LogoutRequest(DeskRequest):
    do: Literal["logout"] = "logout"


class SceneRequest(DeskRequest):
    """A scene, and what is wished of it."""

    blend: Path
    """The artist's file."""
    saved_as: Path
    """A copy of it as it stands in Blender, which the child removes. Paths that are relative to it are right."""
    temporary: bool = False
    """The copy has a folder of its own, which goes with it, and may be all that there is of the file."""
    scene: str
    frames: str
    tiles: str | None = None
    priority: int = Field(default=50, ge=0, le=100)
    chunk: int | None = None
    series: str | None = None
    allow_missing: bool = False


class LookRequest(SceneRequest):
    """What is it that would be rendered, what is missing, and what will it take?"""

    do: Literal["look"] = "look"
    estimate: bool = True


class SubmitRequest(SceneRequest):
    """Send it, then preview frames for ``expect`` seconds."""

    do: Literal["submit"] = "submit"
    expect: float = Field(default=0, ge=0, le=3600)


class WatchRequest(DeskRequest):
    """Tell of all jobs, for as long as the pipe lasts. More lines may follow: :class:`Bring`."""

    do: Literal["watch"] = "watch"
    pictures: Path
    """A folder for what is shown of frames that are not finished."""
    bring: dict[Identifier, Path] = Field(default_factory=dict)
    """Jobs whose frames are wanted, and the folder for each."""


class Bring(Wire):
    """Frames of ``job`` are wanted in the folder ``out``; None for no more of them."""

    job: Identifier
    out: Path | None = None


class ChangeRequest(DeskRequest):
    """Change a job's state."""

    do: Literal["change"] = "change"
    job: Identifier
    verb: Literal["cancel", "pause", "resume", "retry"]


AnyDeskRequest = TestRequest | LoginRequest | LogoutRequest | LookRequest | SubmitRequest | WatchRequest | ChangeRequest

desk_adapter: TypeAdapter[AnyDeskRequest] = TypeAdapter(Annotated[AnyDeskRequest, Field(discriminator="do")])


# Replies. The extension reads them as plain JSON: it must not load pydantic in Blender's main thread.


class Step(Wire):
    """What is being done, and how much of it is."""

    type: Literal["step"] = "step"
    text: str
    fraction: float | None = Field(default=None, ge=0, le=1)


class Connected(Wire):
    type: Literal["connected"] = "connected"
    dispatcher: str
    role: str
    name: str


class SignedOut(Wire):
    type: Literal["signed_out"] = "signed_out"
    dispatcher: str


class Missing(Wire):
    """A file that the scene needs and that is not there."""

    path: str
    user: str
    why: str = ""


class Looked(Wire):
    """What would be rendered."""

    type: Literal["looked"] = "looked"
    frames: int
    width: int
    height: int
    engine: str
    device: str
    format: str
    files: int
    size: int = Field(ge=0, le=MAX_COUNT)
    """Bytes of them together."""
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()
    whole_because: tuple[str, ...] = ()
    """Why it would not be cut into tiles."""


class Estimated(Wire):
    """What a frame takes, on a machine like this one; None where it could not be measured, and ``problem`` says why."""

    type: Literal["estimated"] = "estimated"
    seconds: float | None = Field(default=None, ge=0, le=MAX_SECONDS)
    device: str = ""
    problem: str = ""


class DeskJob(Wire):
    """A job as it is shown."""

    id: Identifier
    name: str
    status: str
    ended: bool
    progress: float
    frames: int
    first_frame: int
    frames_done: int
    width: int
    height: int
    tiles: int
    seconds_left: float | None = None
    why: str = ""
    """Why it failed, or waits."""
    notes: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    """What is being rendered, a line for each task."""

    @classmethod
    def of(cls, job: JobView) -> DeskJob:
        return cls(
            id=job.id,
            name=job.name,
            status=job.status.value,
            ended=job.status.ended,
            progress=job.progress,
            frames=len(job.frames),
            first_frame=job.frames[0],
            frames_done=job.frames_done,
            width=job.width,
            height=job.height,
            tiles=job.tile_count,
            seconds_left=job.seconds_left,
            why=job.reason.message if job.reason else job.waiting or "",
            notes=job.notes,
            running=tuple(
                f"frame {task.frame}, {task.worker_name}"
                + (f": {task.sample} of {task.samples} samples" if task.sample is not None and task.samples else "")
                for task in job.running
            ),
        )


class Sent(Wire):
    """The job is with the dispatcher."""

    type: Literal["sent"] = "sent"
    job: DeskJob
    files: int
    size: int
    """Bytes that were sent: less than all if the dispatcher had some."""


class Jobs(Wire):
    """Jobs that are new or changed, the newest first; with ``all`` there are no others."""

    type: Literal["jobs"] = "jobs"
    jobs: tuple[DeskJob, ...]
    all: bool = False


class Unfinished(Wire):
    """What there is of a frame: floats, RGBA, the bottom row first, scene-linear, in a file that grows no more."""

    type: Literal["unfinished"] = "unfinished"
    job: Identifier
    frame: int
    path: str
    width: int
    height: int
    tiles: int
    of_tiles: int


class Brought(Wire):
    """A finished file is on this machine."""

    type: Literal["brought"] = "brought"
    job: Identifier
    frame: int
    path: str
    is_picture: bool


class BroughtAll(Wire):
    """The job has ended, and all that it came to is on this machine."""

    type: Literal["brought_all"] = "brought_all"
    job: Identifier
    files: int


class Trouble(Wire):
    """Something can't be done; the rest goes on."""

    type: Literal["trouble"] = "trouble"
    message: str
    job: Identifier | None = None


class Failed(Wire):
    """The last word of a child that could not do what it was asked for."""

    type: Literal["failed"] = "failed"
    message: str
    code: str = ""
    missing: tuple[Missing, ...] = ()


DeskReply = (
    Step
    | Connected
    | SignedOut
    | Looked
    | Estimated
    | Sent
    | Jobs
    | Unfinished
    | Brought
    | BroughtAll
    | Trouble
    | Failed
)
