"""The dispatcher's API, a typed method for each route."""

from __future__ import annotations

import secrets
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..protocol.access import (
    DAY,
    InviteList,
    InviteMade,
    InviteRequest,
    InviteView,
    Redemption,
    Role,
    TokenList,
    TokenMade,
    TokenView,
)
from ..protocol.checks import CheckList, CheckView
from ..protocol.expectations import ExpectedFrame
from ..protocol.handing_in import BatchTaken, ResultBatch
from ..protocol.jobs import FrameList, FrameView, JobChange, JobList, JobLog, JobSpec, JobView, TileList, TileView
from ..protocol.leases import Acceptance, LeaseBatch, LeaseRequest, Progress, Renewal, RenewRequest
from ..protocol.results import Failure, TaskResult
from ..protocol.workers import Enrolled, Enrolment, WorkerList, WorkerView
from . import blobs
from .connection import Connection
from .errors import DispatcherError, NotFound


class _Anything(BaseModel):
    """An answer whose content does not matter."""

    model_config = ConfigDict(extra="allow")


def new_key() -> str:
    """A fresh idempotency key: 32 hexadecimal digits."""
    return secrets.token_hex(16)


class DispatcherClient(Connection):
    """A dispatcher's API. Arguments and errors are those of :class:`Connection` and its ``call``.

    Every change carries an idempotency key, which stays the same over the retries of one call. Methods that take
    ``key`` let a caller keep it over a restart of its own.
    """

    # Jobs

    def create_job(self, spec: JobSpec, *, key: str | None = None) -> JobView:
        """Create a job; it waits for the blobs in ``missing_blobs``."""
        return self.call("POST", "/jobs", JobView, body=spec, key=key or new_key())

    def jobs(self) -> tuple[JobView, ...]:
        return self.call("GET", "/jobs", JobList).jobs

    def job(self, job_id: str) -> JobView:
        return self.call("GET", f"/jobs/{job_id}", JobView)

    def cancel_job(self, job_id: str) -> JobView:
        return self._change_job(job_id, "cancel")

    def pause_job(self, job_id: str) -> JobView:
        return self._change_job(job_id, "pause")

    def resume_job(self, job_id: str) -> JobView:
        return self._change_job(job_id, "resume")

    def retry_job(self, job_id: str) -> JobView:
        """Open a failed or cancelled job again; what is accepted stays."""
        return self._change_job(job_id, "retry")

    def _change_job(self, job_id: str, verb: str) -> JobView:
        return self.call("POST", f"/jobs/{job_id}/{verb}", JobView, key=new_key())

    def set_priority(self, job_id: str, priority: int) -> JobView:
        """``priority`` from 0 to 100; higher goes first."""
        return self.call("PATCH", f"/jobs/{job_id}", JobView, body=JobChange(priority=priority), key=new_key())

    def expect(self, job_id: str, expected: tuple[ExpectedFrame, ...]) -> JobView:
        """Say what frames of a job look like in previews; Conflict if it has ended."""
        return self.call("PATCH", f"/jobs/{job_id}", JobView, body=JobChange(expected=expected), key=new_key())

    def frames(self, job_id: str) -> FrameList:
        return self.call("GET", f"/jobs/{job_id}/frames", FrameList)

    def frame(self, job_id: str, frame: int) -> FrameView:
        return self.call("GET", f"/jobs/{job_id}/frames/{frame}", FrameView)

    def tiles(self, job_id: str, frame: int) -> tuple[TileView, ...]:
        """The parts of a frame that are rendered so far; none once it is finished."""
        return self.call("GET", f"/jobs/{job_id}/frames/{frame}/tiles", TileList).tiles

    def log(self, job_id: str, after: int = 0) -> JobLog:
        """The job's history after the entry with id ``after``."""
        return self.call("GET", f"/jobs/{job_id}/log", JobLog, params={"after": str(after)})

    # A worker's side

    def enrol(self, enrolment: Enrolment) -> Enrolled:
        """Become a worker, or the same one again. The token in the answer is for a client of its own.

        ValueError where its secret could be read on the way.
        """
        self.check_private()
        return self.call("POST", "/workers", Enrolled, body=enrolment, key=new_key())

    def lease(self, request: LeaseRequest, wait: float = 0.0, key: str | None = None) -> LeaseBatch:
        """Ask for tasks, waiting up to ``wait`` seconds for some; empty if there are none.

        Asking again with the same ``key`` gives the same leases, also when the first answer got lost.
        """
        return self.call(
            "POST",
            "/leases",
            LeaseBatch,
            body=request,
            key=key or new_key(),
            params={"wait": f"{wait:g}"},
            read_timeout=wait + self.timeout[1],
        )

    def renew(self, lease_id: str, progress: Progress | None = None) -> Renewal:
        return self.call(
            "POST", f"/leases/{lease_id}/renew", Renewal, body=RenewRequest(progress=progress), key=new_key()
        )

    def result(self, lease_id: str, result: TaskResult, *, key: str | None = None) -> Acceptance:
        """Hand in a task's result; its blob is uploaded already."""
        return self.call("POST", f"/leases/{lease_id}/result", Acceptance, body=result, key=key or new_key())

    def results(self, batch: ResultBatch, *, key: str | None = None) -> BatchTaken | None:
        """Hand in several results with their small files; None if the dispatcher does not take so many."""
        try:
            return self.call("POST", "/leases/results", BatchTaken, body=batch, key=key or new_key())
        except DispatcherError as error:
            if error.problem.status in (404, 405, 413):
                return None
            raise

    def fail(self, lease_id: str, failure: Failure, *, key: str | None = None) -> None:
        self.call("POST", f"/leases/{lease_id}/failure", _Anything, body=failure, key=key or new_key())

    def release(self, lease_id: str) -> None:
        """Hand a task back; a lease that is over is fine."""
        try:
            self.call("DELETE", f"/leases/{lease_id}", _Anything, key=new_key())
        except NotFound:
            return

    # Workers, for operators

    def workers(self) -> tuple[WorkerView, ...]:
        return self.call("GET", "/workers", WorkerList).workers

    def pause_worker(self, worker_id: str) -> WorkerView:
        return self._change_worker(worker_id, "pause")

    def resume_worker(self, worker_id: str) -> WorkerView:
        return self._change_worker(worker_id, "resume")

    def ban_worker(self, worker_id: str) -> WorkerView:
        return self._change_worker(worker_id, "ban")

    def job_checks(self, job_id: str) -> tuple[CheckView, ...]:
        """The latest checks of a job's results, the newest first."""
        return self.call("GET", f"/jobs/{job_id}/checks", CheckList).checks

    def worker_checks(self, worker_id: str) -> tuple[CheckView, ...]:
        """The latest checks of a worker's results, the newest first."""
        return self.call("GET", f"/workers/{worker_id}/checks", CheckList).checks

    def pardon_worker(self, worker_id: str) -> WorkerView:
        return self._change_worker(worker_id, "pardon")

    def renew_worker_token(self, worker_id: str) -> WorkerView:
        """Make a worker's token void; it gets another one by its secret."""
        return self._change_worker(worker_id, "renew-token")

    def _change_worker(self, worker_id: str, verb: str) -> WorkerView:
        return self.call("POST", f"/workers/{worker_id}/{verb}", WorkerView, key=new_key())

    # Who may come in

    def invite(self, role: Role, seconds: float = DAY, label: str = "") -> InviteMade:
        """Invite somebody. The code is told only in this answer."""
        body = InviteRequest(role=role, label=label, seconds=seconds)
        return self.call("POST", "/invites", InviteMade, body=body, key=new_key())

    def invites(self) -> tuple[InviteView, ...]:
        return self.call("GET", "/invites", InviteList).invites

    def revoke_invite(self, invite_id: str) -> None:
        self.call("DELETE", f"/invites/{invite_id}", _Anything)

    def redeem(self, code: str, name: str = "") -> TokenMade:
        """A token for an invite's code. ValueError where it could be read on the way."""
        self.check_private()
        return self.call("POST", "/tokens", TokenMade, body=Redemption(code=code, name=name), key=new_key())

    def tokens(self) -> tuple[TokenView, ...]:
        """Who has a token; only the caller's own, unless it is an operator."""
        return self.call("GET", "/tokens", TokenList).tokens

    def rotate_token(self) -> TokenMade:
        """Another token for the caller; this client goes on with it."""
        made = self.call("POST", "/tokens/rotate", TokenMade, key=new_key())
        self.token = made.token
        return made

    def revoke_token(self, token_id: str) -> None:
        self.call("DELETE", f"/tokens/{token_id}", _Anything)

    # Blobs

    def blob_size(self, sha256: str) -> int:
        """See :func:`blobs.size_of`."""
        return blobs.size_of(self, sha256)

    def upload(self, path: Path, sha256: str, size: int, progress: blobs.Progress | None = None) -> None:
        """See :func:`blobs.upload`."""
        blobs.upload(self, path, sha256, size, progress)

    def download(
        self,
        sha256: str,
        size: int,
        to: Path,
        progress: blobs.Progress | None = None,
        *,
        keep_partial: bool = False,
    ) -> None:
        """See :func:`blobs.download`."""
        blobs.download(self, sha256, size, to, progress, keep_partial=keep_partial)

    # The dispatcher itself

    def health(self) -> None:
        """Returns once the dispatcher says that it is ready; raises as any call does if it does not."""
        self.call("GET", "/readyz", _Anything, root=True)
