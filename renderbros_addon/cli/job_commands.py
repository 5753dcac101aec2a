"""``jobs``, ``job``, ``cancel``, ``fetch``: the submitter's side of a dispatcher somewhere."""

from __future__ import annotations

import typer
from rich.table import Column, Table
from rich.text import Text

from ..protocol.frames import format_frames
from ..protocol.jobs import LogEntry
from . import options, preview, settings
from .check_lines import check_counts, check_line
from .command import command
from .connecting import AS_SET, Connecting, connect
from .errors import DONE, FAILED, UsageError
from .fetching import Fetcher, usable_folder
from .job_json import job_json
from .output import Output
from .own_process import ended_by_signals


def register(app: typer.Typer) -> None:
    """Add the commands of this module to ``app``."""
    command(app, "jobs")(jobs)
    command(app, "job")(job)
    command(app, "cancel")(cancel)
    command(app, "fetch")(fetch)


def jobs(out: Output, /, to: Connecting = AS_SET) -> int:
    """List the jobs of a dispatcher."""
    with connect(to) as client:
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
    out.result({"status": "ok", "jobs": [job_json(one) for one in found]}, table if found else "no jobs")
    return 0


def job(out: Output, /, job_id: options.JobId, to: Connecting = AS_SET) -> int:
    """Tell how a job stands, frame by frame, and what has happened to it."""
    with connect(to) as client:
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
    out.result(job_json(one) | details, "\n".join(lines))
    return 0


def cancel(out: Output, /, job_id: options.JobId, to: Connecting = AS_SET) -> int:
    """Stop a job; frames that are finished stay."""
    with connect(to) as client:
        one = client.cancel_job(job_id)
    out.result(job_json(one), f"job {one.id} is {one.status.value}")
    return 0


def fetch(
    out: Output,
    /,
    job_id: options.JobId,
    out_dir: options.Out = None,
    to: Connecting = AS_SET,
    blender: options.Blender = None,
    film: options.Preview = False,
) -> int:
    """Bring the frames of a job that are finished."""
    if out_dir is None:
        raise UsageError("say where the frames shall go: --out DIR")
    folder = usable_folder(out_dir)
    with ended_by_signals(), connect(to) as client:
        one = client.job(job_id)
        fetcher = Fetcher(client, job_id, folder)
        files = fetcher.fetch()
        made = None
        if film:
            made = preview.of_job(out, one, fetcher, settings.load(blender=blender).blender)
    result = job_json(one) | {"out": str(fetcher.out), "files": [file.as_json() for file in files]}
    if made:
        result |= made.as_json()
    out.result(
        result,
        f"{len(files)} files in {fetcher.out}; {one.frames_done} of {len(one.frames)} frames are done",
    )
    return FAILED if made and made.problem else DONE


def _log_line(entry: LogEntry) -> str:
    ids = " ".join(str(one) for one in (entry.task_id, entry.worker_id) if one)
    detail = " ".join(f"{name}={value}" for name, value in entry.detail.items())
    return f"  {entry.at:%Y-%m-%d %H:%M:%S}  {entry.event}  {ids}  {detail}".rstrip()
