"""``submit``, ``jobs``, ``job``, ``cancel``, ``fetch``: the submitter's side of a dispatcher somewhere."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from ..protocol.frames import format_frames
from ..protocol.jobs import JobView, LogEntry
from . import costing, expecting, inspection, options, preview, settings, submission
from .check_lines import check_counts, check_line
from .command import command
from .connecting import connect
from .errors import DONE, FAILED, Interrupted, UsageError
from .fetching import Fetcher, usable_folder
from .following import follow
from .output import Output
from .own_process import ended_by_signals
from .progress import display


def register(app: typer.Typer) -> None:
    """Add the commands of this module to ``app``."""
    command(app, "submit")(submit)
    command(app, "jobs")(jobs)
    command(app, "job")(job)
    command(app, "cancel")(cancel)
    command(app, "fetch")(fetch)


def submit(
    out: Output,
    /,
    blend: options.Blend,
    frames: options.Frames = None,
    tiles: options.Tiles = None,
    chunk: options.Chunk = None,
    samples: options.Samples = None,
    engine: options.Engine = None,
    resolution: options.Resolution = None,
    percentage: options.Percentage = None,
    file_format: options.Format = None,
    camera: options.Camera = None,
    view_layers: options.ViewLayers = None,
    seed: options.Seed = None,
    scene: options.Scene = None,
    device: options.Device = None,
    priority: options.Priority = 50,
    allow_missing: options.AllowMissing = False,
    no_bundle: options.NoBundle = False,
    expect: options.Expect = expecting.SUBMIT_SECONDS,
    blender: options.Blender = None,
    blender_series: options.BlenderSeries = None,
    dispatcher: options.Dispatcher = None,
    ca: options.Ca = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job has ended.")] = False,
    film: options.Preview = False,
    out_dir: options.Out = None,
) -> int:
    """Send a scene to a dispatcher, to be rendered by its workers. --out waits and brings the frames."""
    wish = submission.wish(
        blend, frames=frames, tiles=tiles, scene=scene, resolution=resolution, priority=priority,
        allow_missing=allow_missing, bundle=not no_bundle, engine=engine, samples=samples, percentage=percentage,
        format=file_format, camera=camera, view_layers=view_layers, seed=seed, device=device, chunk=chunk,
        blender_series=blender_series, expect=expect,
    )  # fmt: skip
    if film and out_dir is None:
        raise UsageError("--preview: say where the frames and the film shall go: --out DIR")
    folder = usable_folder(out_dir) if out_dir else None
    chosen = settings.load(blender=blender)
    with ended_by_signals(), connect(dispatcher, ca) as client, display(out) as shown:
        shown.step(f"looking into {blend.name}")
        with (
            tempfile.TemporaryDirectory(prefix="renderbros-") as scratch,
            inspection.renderer(chosen.blender, Path(scratch)) as process,
        ):
            found = inspection.inspect(process, wish.blend, wish.scene, wish.settings)
            prepared = submission.prepare(wish, found)
            prepared = costing.measured(process, wish, found, prepared, shown.step)
            prepared = expecting.expected(process, wish, found, prepared, shown.step)
        for note in prepared.spec.notes:
            out.note(f"note: {note}")
        shown.step("sending the scene")
        upload = submission.submit(client, prepared, lambda done, size: shown.step(_sending(done, size)))
        out.note(str(upload))
        sent = upload.job
        fetcher = Fetcher(client, sent.id, folder) if folder else None
        made = None
        if wait or fetcher:
            out.note(f"job {sent.id}")
            try:
                sent = follow(client, sent.id, shown, fetcher=fetcher)
            except KeyboardInterrupt:
                goes_on = (
                    f"interrupted; job {sent.id} goes on: fetch {sent.id} brings its frames, cancel {sent.id} ends it"
                )
                raise Interrupted(goes_on, job=sent.id) from None
            if film and fetcher:
                shown.step("making the film")
                made = preview.of_job(out, sent, fetcher, chosen.blender)
    result = _job_json(sent) | {"sent": upload.as_json(), "previewed": len(prepared.spec.expected)}
    if fetcher:
        result |= {"out": str(fetcher.out), "files": [file.as_json() for file in fetcher.files]}
    if made:
        result |= made.as_json()
    out.result(result, f"job {sent.id} is {sent.status.value}")
    return FAILED if made and made.problem else DONE


def jobs(out: Output, /, dispatcher: options.Dispatcher = None, ca: options.Ca = None) -> int:
    """List the jobs of a dispatcher."""
    with connect(dispatcher, ca) as client:
        found = client.jobs()
    table = Table(
        Column("id", no_wrap=True), "name", "status", "frames", "done", "priority", "what", box=None, pad_edge=False
    )
    for one in found:
        table.add_row(
            one.id,
            Text(one.name),
            one.status.value,
            f"{one.frames_done}/{len(one.frames)}",
            f"{one.progress:.0%}",
            str(one.priority),
            Text(one.reason.message if one.reason else one.waiting or ""),
        )
    out.result({"status": "ok", "jobs": [_job_json(one) for one in found]}, table if found else "no jobs")
    return 0


def job(out: Output, /, job_id: options.JobId, dispatcher: options.Dispatcher = None, ca: options.Ca = None) -> int:
    """Tell how a job stands, frame by frame, and what has happened to it."""
    with connect(dispatcher, ca) as client:
        one, frames, log = client.job(job_id), client.frames(job_id).frames, client.log(job_id).entries
        checks = client.job_checks(job_id)
    lines = [
        f"{one.name} ({one.id}) is {one.status.value}",
        f"  frames {format_frames(one.frames)} of {one.width}x{one.height} pixels"
        + (f", in {one.cut}" if one.cut else "")
        + (f", by Blender {' or '.join(one.series)}" if one.series else "")
        + (f", saved by {one.saved_by}" if one.saved_by else ""),
        f"  {one.frames_done} of {len(one.frames)} frames done, {one.progress:.0%} of the work",
        *([f"  waiting: {one.waiting}"] if one.waiting else []),
        *([f"  failed: {one.reason.message} ({one.reason.code.value})"] if one.reason else []),
        *(f"  note: {note}" for note in one.notes),
        *(f"  frame {task.frame} is with {task.worker_name}" for task in one.running),
        *([f"  checks: {check_counts(one.checks)}"] if one.checks else []),
        *(f"  {check_line(check)}" for check in checks),
        *(_log_line(entry) for entry in log),
    ]
    details = {
        "frame_views": [frame.model_dump(mode="json") for frame in frames],
        "check_views": [check.model_dump(mode="json") for check in checks],
        "log": [entry.model_dump(mode="json") for entry in log],
    }
    out.result(_job_json(one) | details, "\n".join(lines))
    return 0


def cancel(out: Output, /, job_id: options.JobId, dispatcher: options.Dispatcher = None, ca: options.Ca = None) -> int:
    """Stop a job; frames that are finished stay."""
    with connect(dispatcher, ca) as client:
        one = client.cancel_job(job_id)
    out.result(_job_json(one), f"job {one.id} is {one.status.value}")
    return 0


def fetch(
    out: Output,
    /,
    job_id: options.JobId,
    out_dir: options.Out = None,
    dispatcher: options.Dispatcher = None,
    ca: options.Ca = None,
    blender: options.Blender = None,
    film: options.Preview = False,
) -> int:
    """Bring the frames of a job that are finished."""
    if out_dir is None:
        raise UsageError("say where the frames shall go: --out DIR")
    folder = usable_folder(out_dir)
    with ended_by_signals(), connect(dispatcher, ca) as client:
        one = client.job(job_id)
        fetcher = Fetcher(client, job_id, folder)
        files = fetcher.fetch()
        made = None
        if film:
            made = preview.of_job(out, one, fetcher, settings.load(blender=blender).blender)
    result = _job_json(one) | {"out": str(fetcher.out), "files": [file.as_json() for file in files]}
    if made:
        result |= made.as_json()
    out.result(
        result,
        f"{len(files)} files in {fetcher.out}; {one.frames_done} of {len(one.frames)} frames are done",
    )
    return FAILED if made and made.problem else DONE


def _job_json(job: JobView) -> dict[str, Any]:
    return {"job": job.id} | job.model_dump(mode="json")


def _log_line(entry: LogEntry) -> str:
    ids = " ".join(str(one) for one in (entry.task_id, entry.worker_id) if one)
    detail = " ".join(f"{name}={value}" for name, value in entry.detail.items())
    return f"  {entry.at:%Y-%m-%d %H:%M:%S}  {entry.event}  {ids}  {detail}".rstrip()


def _sending(done: int, size: int) -> str:
    return f"sending the scene: {done / 1e6:.1f} of {size / 1e6:.1f} MB"
