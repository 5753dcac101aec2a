"""The farm at a glance: jobs with their progress and pictures, workers, and what can be done about them.

The page runs in the dispatcher's process: it reads the same views that the API gives out, and changes jobs by the same
functions, so that it can never tell another story.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import FastAPI, Path, Request, Response
from fastapi.responses import StreamingResponse
from nicegui import run, ui

from ..dispatcher import checks, discretion, jobs, standings, views, workers
from ..dispatcher.errors import NotFound, RequestRefused, Unauthorized
from ..dispatcher.service import Dispatcher
from ..dispatcher.store import Tx
from ..protocol.access import Role
from ..protocol.base import Identifier
from ..protocol.checks import CheckView
from ..protocol.frames import format_frames
from ..protocol.jobs import Frame, FrameFile, FrameView, JobView
from ..protocol.states import FrameStatus, JobStatus, WorkerStatus
from ..protocol.workers import WorkerView
from . import signing_in
from .viewer import Viewer

REFRESH_SECONDS = 1.0
MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "bmp": "image/bmp"}
"""Of the containers that browsers show, as level 0 of verification read them from the file's content."""

MAX_PICTURES = 24
"""Finished frames shown of one job, the latest."""

MAX_CHECKS = 50
"""Checks shown of one job, the latest."""

VERDICT_COLOURS = {"match": "positive", "mismatch": "negative", "inconclusive": "warning", "open": "primary"}
JOB_COLOURS = {
    JobStatus.COMPLETED: "positive",
    JobStatus.FAILED: "negative",
    JobStatus.CANCELLED: "grey-7",
    JobStatus.PAUSED: "warning",
}
WORKER_COLOURS = {
    WorkerStatus.ONLINE: "positive",
    WorkerStatus.OFFLINE: "grey-7",
    WorkerStatus.BANNED: "negative",
    WorkerStatus.QUARANTINED: "negative",
}


def mount(app: FastAPI, dispatcher: Dispatcher) -> None:
    """Serve the dashboard at ``/`` of the dispatcher's own application, beside the API."""

    signing_in.mount(app, dispatcher)

    def files(request: Request, job_id: str, frame: int) -> Sequence[FrameFile]:
        """Of a frame, if whoever asks may see its job."""
        caller = signing_in.caller_of(request, dispatcher)
        with dispatcher.store.read() as conn:
            jobs.check_account(conn, job_id, caller.account)
            found = views.frame_views(conn, job_id, only=frame)
        return found[0].files if found else ()

    @app.get("/files/{job_id}/{frame}/{number}", include_in_schema=False)
    def file(request: Request, job_id: Identifier, frame: Frame, number: Annotated[int, Path(ge=0)]) -> Response:
        """One of a frame's files, to be saved: a browser has no token to fetch a blob with."""
        for found in files(request, job_id, frame)[number : number + 1]:
            pixels = dispatcher.blobs.stream(found.output.sha256, 0, found.output.size)
            name = quote(found.name.rpartition("/")[2])
            headers = {
                "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "sandbox; default-src 'none'",
            }
            return StreamingResponse(pixels, media_type="application/octet-stream", headers=headers)
        raise NotFound(f"job {job_id} has no such file of frame {frame}", word="unknown_frame")

    @app.get("/pictures/{job_id}/{frame}", include_in_schema=False)
    def picture(request: Request, job_id: Identifier, frame: Frame) -> Response:
        for file in files(request, job_id, frame):
            if media_type := MEDIA_TYPES.get(file.output.container):
                pixels = dispatcher.blobs.stream(file.output.sha256, 0, file.output.size)
                # A picture is for ever that of its digest, but a frame may be rendered again.
                headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
                return StreamingResponse(pixels, media_type=media_type, headers=headers)
        raise NotFound(f"job {job_id} has no picture of frame {frame}", word="unknown_frame")

    @ui.page("/", title="RenderBros")
    async def farm_page(request: Request) -> None:
        await _Page(Viewer.of(request, dispatcher)).build()

    @ui.page("/job/{job_id}", title="RenderBros job")
    async def job_page(request: Request, job_id: str) -> None:
        await _JobPage(Viewer.of(request, dispatcher), job_id).build()

    # No storage of NiceGUI's is used, so no secret is needed and nothing is written beside the dispatcher's data.
    ui.run_with(app, mount_path="/", dark=True, show_welcome_message=False)


def _header(subtitle: str) -> None:
    with ui.header().classes("items-center bg-grey-10 q-px-lg"):
        ui.link("RenderBros", "/").classes("text-h6 text-white no-underline")
        ui.label(subtitle).classes("text-grey-5")
        ui.space()
        with ui.element("form").props("method=post action=/sign-out"):
            ui.button("Sign out").props("type=submit flat dense").classes("text-grey-5")


def _sign_in() -> None:
    ui.navigate.to("/sign-in")


class _Page:
    """All jobs and workers, drawn again whenever what they show has changed."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._dispatcher = viewer.dispatcher
        self._shown: object = None

    async def build(self) -> None:
        _header("farm")
        with ui.column().classes("w-full q-pa-md gap-6"):
            self._summary = ui.row().classes("gap-4")
            ui.label("Jobs").classes("text-h6")
            self._jobs = ui.column().classes("w-full gap-3")
            self._workers_title = ui.label("Workers").classes("text-h6")
            self._workers = ui.row().classes("w-full gap-3")
        await self._refresh()
        ui.timer(REFRESH_SECONDS, self._refresh)

    def _read(self) -> tuple[tuple[JobView, ...], tuple[WorkerView, ...] | None] | None:
        """Jobs, and for operators workers; None once nobody is signed in any more."""
        try:
            caller = self._viewer.caller()
        except RequestRefused:
            return None
        with self._dispatcher.store.read() as conn:
            now = self._dispatcher.store.clock()
            found = views.job_views(conn, self._dispatcher.board, now, caller.account, 50)
            shown = tuple(discretion.job(job, caller) for job in found)
            return shown, views.worker_views(conn) if caller.role is Role.OPERATOR else None

    async def _refresh(self) -> None:
        now = await run.io_bound(self._read)
        if now is None:
            _sign_in()
            return
        if now == self._shown:
            return
        self._shown = now
        all_jobs, all_workers = now
        self._workers_title.set_visibility(all_workers is not None)
        self._draw_summary(all_jobs, all_workers)
        self._jobs.clear()
        with self._jobs:
            if not all_jobs:
                ui.label("No jobs yet: renderbros submit FILE.blend sends one.").classes("text-grey-5")
            for job in all_jobs:
                _job_card(self._viewer, job, self._refresh)
        self._workers.clear()
        if all_workers is None:
            return
        with self._workers:
            if not all_workers:
                ui.label("No workers yet: renderbros worker --dispatcher URL starts one.").classes("text-grey-5")
            for worker in all_workers:
                _worker_card(self._viewer, worker, self._refresh)

    def _draw_summary(self, all_jobs: tuple[JobView, ...], all_workers: tuple[WorkerView, ...] | None) -> None:
        figures = {
            "jobs under way": sum(not job.status.ended for job in all_jobs),
            "frames done": sum(job.frames_done for job in all_jobs),
            "tasks being rendered": sum(len(job.running) for job in all_jobs),
        }
        if all_workers is not None:
            figures["workers online"] = sum(worker.status is WorkerStatus.ONLINE for worker in all_workers)
        self._summary.clear()
        with self._summary:
            for name, value in figures.items():
                with ui.card().classes("q-px-lg q-py-sm"):
                    ui.label(str(value)).classes("text-h5")
                    ui.label(name).classes("text-caption text-grey-5")


class _JobPage:
    """One job: its state, its finished frames, its history."""

    def __init__(self, viewer: Viewer, job_id: str) -> None:
        self._viewer = viewer
        self._dispatcher = viewer.dispatcher
        self._job_id = job_id
        self._shown: object = None
        self._after = 0
        self._pictures: tuple[FrameView, ...] = ()
        self._checked: tuple[CheckView, ...] = ()

    async def build(self) -> None:
        _header(self._job_id)
        with ui.column().classes("w-full q-pa-md gap-4"):
            self._card = ui.column().classes("w-full")
            self._frames = ui.row().classes("gap-3")
            self._checks = ui.column().classes("w-full gap-1")
            ui.label("History").classes("text-h6")
            self._log = ui.log(max_lines=500).classes("w-full h-80")
        await self._refresh()
        ui.timer(REFRESH_SECONDS, self._refresh)

    def _read(self) -> tuple[JobView, tuple[FrameView, ...], tuple[CheckView, ...], Any] | tuple[()] | None:
        try:
            caller = self._viewer.caller()
            with self._dispatcher.store.read() as conn:
                jobs.check_account(conn, self._job_id, caller.account)
                job = views.job_view(conn, self._job_id, self._dispatcher.board, self._dispatcher.store.clock())
                frames = views.frame_views(conn, self._job_id)
                found = checks.views(conn, job_id=self._job_id, most=MAX_CHECKS)
                log = views.job_log(conn, self._job_id, self._after)
            checked = tuple(discretion.check(one, caller) for one in found)
            history = tuple(discretion.entry(one, caller) for one in log.entries)
            return discretion.job(job, caller), frames, checked, history
        except Unauthorized:
            return ()
        except RequestRefused:
            return None

    async def _refresh(self) -> None:
        now = await run.io_bound(self._read)
        if now is None:
            if self._shown is None:
                self._shown = "unknown"
                with self._card:
                    ui.label(f"There is no job {self._job_id}.")
            return
        if not now:
            _sign_in()
            return
        job, frames, checked, history = now
        for entry in history:
            detail = " ".join(f"{name}={value}" for name, value in entry.detail.items() if value is not None)
            self._log.push(f"{entry.at:%H:%M:%S}  {entry.event}  {entry.worker_id or ''} {detail}")
            self._after = entry.id
        if job != self._shown:
            self._shown = job
            self._card.clear()
            with self._card:
                _job_card(self._viewer, job, self._refresh)
        self._draw_pictures(frames)
        if checked != self._checked:
            self._checked = checked
            self._checks.clear()
            with self._checks:
                ui.label("Checks").classes("text-h6")
                for check in checked:
                    _check_row(check)

    def _draw_pictures(self, frames: tuple[FrameView, ...]) -> None:
        done = tuple(frame for frame in frames if frame.status is FrameStatus.DONE)[-MAX_PICTURES:]
        if done == self._pictures:
            return
        self._pictures = done
        self._frames.clear()
        with self._frames:
            for frame in done:
                for number, file in enumerate(frame.files):
                    with ui.card().tight().classes("w-64"):
                        url = f"/files/{self._job_id}/{frame.frame}/{number}"
                        if file.output.container in MEDIA_TYPES:
                            ui.image(f"/pictures/{self._job_id}/{frame.frame}?{file.output.sha256}")
                        ui.link(file.name, url).props(f'download="{file.name}"').classes("q-pa-sm text-caption")


def _job_card(viewer: Viewer, job: JobView, refresh: Callable[[], Any]) -> None:
    with ui.card().classes("w-full"):
        with ui.row().classes("w-full items-center gap-3 no-wrap"):
            ui.link(job.name, f"/job/{job.id}").classes("text-subtitle1 text-white")
            ui.badge(job.status, color=JOB_COLOURS.get(job.status, "primary"))
            cut = f", {job.cut}" if job.cut else ""
            ui.label(f"frames {format_frames(job.frames)}, {job.width}×{job.height}{cut}{_blender(job)}").classes(
                "text-grey-5"
            )
            ui.space()
            ui.label(_standing(job)).classes("text-grey-5")
            _job_buttons(viewer, job, refresh)
        colour = JOB_COLOURS.get(job.status, "primary")
        ui.linear_progress(value=round(job.progress, 3), show_value=False, color=colour).props("rounded size=8px")
        for task in job.running:
            samples = f", sample {task.sample} of {task.samples}" if task.samples else ""
            left = f", {task.seconds_left:.0f} s left" if task.seconds_left is not None else ""
            ui.label(f"{task.worker_name}: {task.kind} frame {task.frame}{samples}{left}").classes(
                "text-caption text-grey-5"
            )
        for note in (*((job.waiting,) if job.waiting else ()), *job.notes):
            ui.label(note).classes("text-caption text-warning")
        if job.reason:
            ui.label(f"{job.reason.code}: {job.reason.message}").classes("text-negative whitespace-pre-wrap")


def _check_row(check: CheckView) -> None:
    """Whose result was rendered again, by whom, and what was found."""
    found = check.verdict or check.status.value
    with ui.row().classes("w-full items-center gap-2 no-wrap"):
        ui.badge(found, color=VERDICT_COLOURS.get(found, "grey-7"))
        what = "all of it" if check.kind == "replica" else f"part {check.region}"
        by = f" by {check.checker_name}" if check.checker_name else ""
        dispute = ", to settle a dispute" if check.dispute else ""
        ui.label(f"frame {check.frame} of {check.worker_name}: {what}{by}{dispute}").classes("text-caption")
        ui.label(check.sentence or check.reason).classes("text-caption text-grey-5")


def _blender(job: JobView) -> str:
    saved = f", saved by {job.saved_by}" if job.saved_by and (job.saved_by,) != job.series else ""
    return f", Blender {' or '.join(job.series)}{saved}" if job.series else ""


def _standing(job: JobView) -> str:
    left = f", {job.seconds_left:.0f} s left" if job.seconds_left is not None else ""
    return f"{job.frames_done} of {len(job.frames)} frames{left}"


def _job_buttons(viewer: Viewer, job: JobView, refresh: Callable[[], Any]) -> None:
    choices: list[tuple[str, str, Callable[[Tx], object]]] = []
    if job.status in (JobStatus.QUEUED, JobStatus.ACTIVE, JobStatus.FINISHING):
        choices.append(("pause", "Pause", lambda tx: jobs.pause(tx, job.id)))
    if job.status is JobStatus.PAUSED:
        choices.append(("play_arrow", "Resume", lambda tx: jobs.resume(tx, job.id)))
    if job.status in (JobStatus.FAILED, JobStatus.CANCELLED):
        choices.append(("replay", "Retry", lambda tx: jobs.retry(tx, job.id)))
    if not job.status.ended:
        choices.append(("stop", "Cancel", lambda tx: jobs.cancel(tx, job.id)))
    for icon, tip, change in choices:
        _button(viewer, icon, tip, change, refresh, job.id)


def _worker_card(viewer: Viewer, worker: WorkerView, refresh: Callable[[], Any]) -> None:
    able = worker.capabilities
    with ui.card().classes("w-80"):
        with ui.row().classes("w-full items-center gap-2 no-wrap"):
            ui.label(worker.name).classes("text-subtitle1")
            ui.badge(worker.status, color=WORKER_COLOURS.get(worker.status, "primary"))
            ui.space()
            if worker.status in (WorkerStatus.BANNED, WorkerStatus.QUARANTINED):
                _button(viewer, "undo", "Pardon", lambda tx: standings.pardon(tx, worker.id), refresh)
            elif worker.pause_requested:
                _button(viewer, "play_arrow", "Resume", lambda tx: workers.resume(tx, worker.id), refresh)
            else:
                _button(viewer, "pause", "Pause", lambda tx: workers.pause(tx, worker.id), refresh)
        devices = ", ".join(device.name for device in able.devices)
        ui.label(f"Blender {able.blender}, {able.threads} threads, {devices}").classes("text-caption text-grey-5")
        guards = ui.label(f"guarded by {', '.join(able.guards) or 'nobody knows what'}")
        guards.classes("text-caption text-grey-5")
        if able.unguarded:
            guards.tooltip(able.unguarded)
        ui.label(
            f"{worker.tasks_accepted} tasks accepted, {worker.tasks_failed} failed, {worker.held_tasks} in hand"
        ).classes("text-caption")
        if known := worker.standing:
            probation = ", on probation" if known.probation else ""
            faults = f", {known.faults} faults" if known.faults else ""
            ui.label(
                f"trust {known.credibility:.1%}{probation}: {known.passed} checks passed in a row{faults}, "
                f"{known.check_rate:.0%} of its results are checked"
            ).classes("text-caption text-grey-5")


def _button(
    viewer: Viewer,
    icon: str,
    tip: str,
    change: Callable[[Tx], object],
    refresh: Callable[[], Any],
    job_id: str | None = None,
) -> None:
    async def act() -> None:
        try:
            await run.io_bound(viewer.change, change, job_id)
        except RequestRefused as refusal:
            ui.notify(str(refusal), type="negative")
        viewer.dispatcher.intake.recover()
        await refresh()

    ui.button(icon=icon, on_click=act).props("flat dense round").tooltip(tip)
