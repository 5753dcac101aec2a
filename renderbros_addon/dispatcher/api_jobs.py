"""``/jobs``: the submitter's side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Response

from ..protocol.base import Identifier
from ..protocol.checks import CheckList
from ..protocol.jobs import Frame, FrameList, FrameView, JobChange, JobList, JobLog, JobSpec, JobView, TileList
from . import accounts, checks, discretion, jobs, tasks, views
from .bodies import JsonRoute
from .callers import Caller
from .dependencies import CallingAccount, IdempotencyKey, Service, answered, respond
from .errors import NotFound, Unprocessable
from .idempotency import Key, once
from .problems import DOCUMENTED
from .rates import CREATED_AT_ONCE
from .service import Dispatcher
from .store import Tx

router = APIRouter(prefix="/jobs", tags=["jobs"], responses=DOCUMENTED, route_class=JsonRoute)


@router.post("", status_code=201, response_model=JobView)
def create_job(spec: JobSpec, service: Service, caller: CallingAccount, key: IdempotencyKey) -> Response:
    """Create a job. It is queued once the caller has sent all blobs of its files."""
    with service.rates.holding("jobs being made", caller.id, CREATED_AT_ONCE):
        return _create(spec, service, caller, key)


def _create(spec: JobSpec, service: Dispatcher, caller: Caller, key: Key | None) -> Response:
    _check_size(spec, service.config.max_tasks)
    told = {file.sha256: file.size for file in spec.scene.files}
    mine = _sent_by(service, caller, list(told))
    present = {sha256: size for sha256 in mine if (size := service.blobs.size(sha256)) is not None}
    for sha256, size in present.items():
        if size != told[sha256]:
            raise Unprocessable(f"the file {sha256} has {size} bytes, not {told[sha256]}", word="wrong_size")

    def create(tx: Tx) -> Response:
        return respond(
            once(tx, key, lambda: answered(_view(service, tx, caller, jobs.create(tx, spec, present, caller.id)), 201))
        )

    response = service.store.change(create)
    # A blob that arrived between the look and the commit found no row that waited for it.
    service.blobs_arrived(told.keys() - present.keys(), caller)
    return response


def _sent_by(service: Dispatcher, caller: Caller, digests: list[str]) -> set[str]:
    """Which blobs the caller need not send, as far as they are there."""
    with service.store.read() as conn:
        if caller.account is None:
            # Only what a job has stays for sure; of all else it is told once this job has named it.
            return jobs.present_in_any(conn, digests)
        return accounts.owned(conn, caller.account, digests)


def _check_size(spec: JobSpec, most: int) -> None:
    number = len(spec.frames) * len(tasks.regions(spec, None))
    if number > most:
        cut = f" in {spec.tiles} tiles" if spec.tiles else ""
        raise Unprocessable(
            f"{len(spec.frames)} frames{cut} make {number} tasks, and a job has at most {most}: "
            "use fewer tiles, or split the frames into several jobs",
            word="too_many_tasks",
        )


def _view(service: Dispatcher, tx: Tx, caller: Caller, job_id: str) -> JobView:
    return discretion.job(views.job_view(tx.conn, job_id, service.board, tx.now), caller)


def _change(
    service: Dispatcher, caller: Caller, key: Key | None, job_id: str, change: Callable[[Tx], None]
) -> Response:
    def work(tx: Tx) -> Response:
        jobs.check_account(tx.conn, job_id, caller.account)

        def first_time() -> JobView:
            change(tx)
            return _view(service, tx, caller, job_id)

        return respond(once(tx, key, lambda: answered(first_time())))

    return service.store.change(work)


@router.get("")
def list_jobs(service: Service, caller: CallingAccount) -> JobList:
    """The newest first; a submitter's own."""
    with service.store.read() as conn:
        found = views.job_views(conn, service.board, service.store.clock(), caller.account)
        return JobList(jobs=tuple(discretion.job(one, caller) for one in found))


@router.get("/{job_id}")
def get_job(job_id: Identifier, service: Service, caller: CallingAccount) -> JobView:
    with service.store.read() as conn:
        jobs.check_account(conn, job_id, caller.account)
        return discretion.job(views.job_view(conn, job_id, service.board, service.store.clock()), caller)


@router.patch("/{job_id}", response_model=JobView)
def change_job(
    job_id: Identifier, change: JobChange, service: Service, caller: CallingAccount, key: IdempotencyKey
) -> Response:
    """Give it another priority, or say what frames of it look like in previews."""

    def work(tx: Tx) -> None:
        if change.priority is not None:
            jobs.set_priority(tx, job_id, change.priority)
        if change.expected:
            jobs.expect(tx, job_id, change.expected)

    return _change(service, caller, key, job_id, work)


@router.post("/{job_id}/cancel", response_model=JobView)
def cancel_job(job_id: Identifier, service: Service, caller: CallingAccount, key: IdempotencyKey) -> Response:
    """End it; what is being rendered is stopped."""
    return _change(service, caller, key, job_id, lambda tx: jobs.cancel(tx, job_id))


@router.post("/{job_id}/pause", response_model=JobView)
def pause_job(job_id: Identifier, service: Service, caller: CallingAccount, key: IdempotencyKey) -> Response:
    """Start no more tasks; what is being rendered goes on."""
    return _change(service, caller, key, job_id, lambda tx: jobs.pause(tx, job_id))


@router.post("/{job_id}/resume", response_model=JobView)
def resume_job(job_id: Identifier, service: Service, caller: CallingAccount, key: IdempotencyKey) -> Response:
    return _change(service, caller, key, job_id, lambda tx: jobs.resume(tx, job_id))


@router.post("/{job_id}/retry", response_model=JobView)
def retry_job(job_id: Identifier, service: Service, caller: CallingAccount, key: IdempotencyKey) -> Response:
    """Open a failed or cancelled job again; what is rendered is kept."""
    response = _change(service, caller, key, job_id, lambda tx: jobs.retry(tx, job_id))
    service.intake.recover()
    return response


@router.get("/{job_id}/frames")
def list_frames(job_id: Identifier, service: Service, caller: CallingAccount) -> FrameList:
    with service.store.read() as conn:
        jobs.check_account(conn, job_id, caller.account)
        return FrameList(frames=views.frame_views(conn, job_id))


@router.get("/{job_id}/frames/{frame}")
def get_frame(job_id: Identifier, frame: Frame, service: Service, caller: CallingAccount) -> FrameView:
    with service.store.read() as conn:
        jobs.check_account(conn, job_id, caller.account)
        found = views.frame_views(conn, job_id, only=frame)
    if not found:
        raise NotFound(f"job {job_id} has no frame {frame}", word="unknown_frame")
    return found[0]


@router.get("/{job_id}/frames/{frame}/tiles")
def list_tiles(job_id: Identifier, frame: Frame, service: Service, caller: CallingAccount) -> TileList:
    """What there is of a frame that is rendered in tiles and not finished yet."""
    with service.store.read() as conn:
        jobs.check_account(conn, job_id, caller.account)
        return TileList(tiles=views.tile_views(conn, job_id, frame))


@router.get("/{job_id}/checks")
def list_checks(job_id: Identifier, service: Service, caller: CallingAccount) -> CheckList:
    """The latest checks of its results, with what they found, the newest first."""
    with service.store.read() as conn:
        jobs.check_account(conn, job_id, caller.account)
        jobs.load(conn, job_id)
        found = checks.views(conn, job_id=job_id)
        return CheckList(checks=tuple(discretion.check(one, caller) for one in found))


@router.get("/{job_id}/log")
def get_log(
    job_id: Identifier,
    service: Service,
    caller: CallingAccount,
    after: Annotated[int, Query(ge=0, lt=1 << 63)] = 0,
) -> JobLog:
    """Its history after entry ``after``; ask again after the last one until nothing comes."""
    with service.store.read() as conn:
        jobs.check_account(conn, job_id, caller.account)
        log = views.job_log(conn, job_id, after)
        return JobLog(entries=tuple(discretion.entry(one, caller) for one in log.entries))
