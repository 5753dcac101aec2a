"""What goes over the WebSocket at ``/api/v1/events``, as JSON text, one message a frame."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from .base import Identifier, Wire
from .jobs import LogEntry
from .leases import Progress


class WorkAvailable(Wire):
    """To workers: ask for leases now."""

    type: Literal["work_available"] = "work_available"


class CancelLease(Wire):
    """To the worker that holds it: stop at once."""

    type: Literal["cancel"] = "cancel"
    lease_id: Identifier


class PauseWorker(Wire):
    """To a worker: take no new tasks (``paused``), or take them again."""

    type: Literal["pause"] = "pause"
    paused: bool


class StateChange(Wire):
    """To viewers: a state changed; the same entry is in the job's log."""

    type: Literal["change"] = "change"
    entry: LogEntry


class TaskProgress(Wire):
    """From workers, and on to viewers: how far a leased task is. Never stored."""

    type: Literal["progress"] = "progress"
    lease_id: Identifier
    task_id: Identifier | None = None
    job_id: Identifier | None = None
    progress: Progress


Event = Annotated[WorkAvailable | CancelLease | PauseWorker | StateChange | TaskProgress, Field(discriminator="type")]

event_adapter: TypeAdapter[WorkAvailable | CancelLease | PauseWorker | StateChange | TaskProgress] = TypeAdapter(Event)
