"""Several results in one request: what a worker whose tasks are short hands in."""

from __future__ import annotations

import base64

from pydantic import Base64UrlBytes, Field

from .base import Identifier, Many, Sha256, Wire
from .leases import Acceptance
from .problems import Problem
from .results import TaskResult

MOST_AT_ONCE = 32
"""Results in one request."""

INLINE_BYTES = 1 << 16
"""Of a file that may come with its result: an upload of its own costs more than so many bytes."""


class InlineFile(Wire):
    """A small file that comes with its result."""

    sha256: Sha256
    content: Base64UrlBytes = Field(min_length=1, max_length=(INLINE_BYTES + 2) // 3 * 4)

    @classmethod
    def of(cls, sha256: str, content: bytes) -> InlineFile:
        """``content`` itself, which a message has in base64url (RFC 4648)."""
        return cls(sha256=sha256, content=base64.urlsafe_b64encode(content))


class HandedIn(Wire):
    """One of several results. Of its files those in ``files`` come along; the others are there already."""

    lease_id: Identifier
    result: TaskResult
    files: Many[InlineFile] = Field(default=(), max_length=201)

    @property
    def uploaded(self) -> set[str]:
        """Digests of its files that did not come along."""
        return self.result.digests - {file.sha256 for file in self.files}


class ResultBatch(Wire):
    """Body of ``POST /leases/results``: results in the order in which they were rendered."""

    results: Many[HandedIn] = Field(min_length=1, max_length=MOST_AT_ONCE)


class Taken(Wire):
    """What became of one of them: ``problem`` is what ``POST /leases/{id}/result`` would have answered."""

    lease_id: Identifier
    acceptance: Acceptance | None = None
    problem: Problem | None = None


class BatchTaken(Wire):
    """The answer to a ``ResultBatch``, in its order. None of them is lost for another one's sake."""

    results: tuple[Taken, ...]
