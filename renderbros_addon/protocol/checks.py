"""Checks of results: what another owner's worker found, and what came of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from .base import Wire
from .regions import Region
from .states import TaskKind
from .verdicts import Comparison, Verdict


class CheckStatus(StrEnum):
    OPEN = "open"
    DECIDED = "decided"
    DROPPED = "dropped"
    """Nobody could make it, or its job ended first: as if it had never been drawn."""


class CheckView(Wire):
    """One check: a part of a result, or all of it, rendered again by somebody else."""

    id: int
    job_id: str
    kind: TaskKind
    """``check`` for a part, ``replica`` for all of it."""
    frame: int
    region: Region
    """In pixels of the whole frame."""
    status: CheckStatus
    dispute: bool
    """It was made by another owner, because others had disagreed."""
    reason: str
    """Why it was drawn."""
    worker_id: str
    """Whose result is checked."""
    worker_name: str
    checker_id: str | None = None
    checker_name: str | None = None
    verdict: Verdict | None = None
    """About the result."""
    sentence: str = ""
    """What was found, for people."""
    comparison: Comparison | None = None
    """The evidence; None where digests were equal, which says it all."""
    created_at: datetime
    decided_at: datetime | None = None


class CheckList(Wire):
    checks: tuple[CheckView, ...]
