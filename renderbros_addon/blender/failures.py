"""Why a request can't be served."""

from __future__ import annotations

from ..protocol.states import FailureCode, FailureKind


class CannotServe(Exception):
    """A request that fails with a reason; the renderer lives on and takes the next one.

    ``str()`` of it is one or two sentences for people: what was wrong, which setting or file, what to do.
    """

    def __init__(self, kind: FailureKind, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code


def scene_fault(code: FailureCode, message: str) -> CannotServe:
    """A fault of the job's own: another worker would fail the same way."""
    return CannotServe(FailureKind.SCENE, code, message)


def worker_fault(code: FailureCode, message: str) -> CannotServe:
    """A fault of this machine: another worker may do better."""
    return CannotServe(FailureKind.WORKER, code, message)
