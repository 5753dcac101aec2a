"""What went wrong, in the words of the wire."""

from __future__ import annotations

import errno

from ..client.errors import ClientError, DispatcherUnreachable, NotFound, WrongDigest
from ..protocol.renderer import Failed
from ..protocol.results import Failure
from ..protocol.states import FailureCode, FailureKind
from .cache import DamagedBlob
from .log_ring import clean_text
from .renderer_process import RendererLost

_MESSAGE_LENGTH = 4000
_DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_WINDOWS_DISK_FULL = {39, 112}


def failure(kind: FailureKind, code: FailureCode, message: str, log_tail: str = "") -> Failure:
    """A failure whose texts fit the wire."""
    text = "\n".join(clean_text(line) for line in message.splitlines())[:_MESSAGE_LENGTH]
    return Failure(kind=kind, code=code, message=text or code.value, log_tail=log_tail)


def of_lost_renderer(lost: RendererLost, what: str = "") -> Failure:
    """A renderer that was lost is the machine's failure; whether the scene is to blame, other workers will show."""
    return failure(FailureKind.WORKER, lost.code, what + lost.message, lost.log_tail)


def of_failed_request(failed: Failed, log_tail: str, *, disk_full: bool) -> Failure:
    """What the renderer itself reported. A full disk breaks renders in many ways, none of which are the scene's."""
    if disk_full:
        message = f"the worker's disk is full; the renderer said: {failed.message}"
        return failure(FailureKind.WORKER, FailureCode.DISK_FULL, message, log_tail)
    return failure(failed.kind, failed.code, failed.message, log_tail)


def of_fetching(error: Exception) -> Failure | None:
    """Why a task's files are not here; None for an error that has nothing to do with fetching."""
    if isinstance(error, OSError):
        return of_disk(error)
    if isinstance(error, (WrongDigest, DamagedBlob)):
        return failure(FailureKind.TRANSIENT, FailureCode.BAD_DOWNLOAD, f"a file of the job came in wrong: {error}")
    if isinstance(error, NotFound):
        return failure(FailureKind.TRANSIENT, FailureCode.BAD_DOWNLOAD, f"a file of the job is not there: {error}")
    if isinstance(error, DispatcherUnreachable):
        return failure(FailureKind.TRANSIENT, FailureCode.NETWORK, f"the job's files could not be fetched: {error}")
    if isinstance(error, ClientError):
        return failure(
            FailureKind.TRANSIENT, FailureCode.BAD_DOWNLOAD, f"the job's files could not be fetched: {error}"
        )
    return None


def of_disk(error: OSError) -> Failure:
    """A file could not be written or read on this machine."""
    if is_disk_full(error):
        return failure(FailureKind.WORKER, FailureCode.DISK_FULL, f"the worker's disk is full: {error}")
    return failure(
        FailureKind.WORKER, FailureCode.BAD_DOWNLOAD, f"the worker could not handle the job's files: {error}"
    )


def is_disk_full(error: OSError) -> bool:
    """Whether ``error`` says that a disk or a quota is used up."""
    return error.errno in _DISK_FULL or getattr(error, "winerror", None) in _WINDOWS_DISK_FULL
