"""The artist's jobs as the farm tells of them, and what has come of them here."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import activities, pictures, preferences
from .activities import Activity, Reply

PURPOSE = "watch"


@dataclass
class Job:
    """A row of the list, and the files of it on this machine."""

    facts: dict[str, Any]
    """As ``DeskJob`` has them."""
    out: str | None = None
    """The folder that its frames come to; None if none are wanted."""
    files: dict[int, str] = field(default_factory=dict)
    """The picture of each frame that has come."""
    here: bool = False
    """All that it came to is here."""
    trouble: str = ""
    """Why its frames don't come."""

    @property
    def id(self) -> str:
        return str(self.facts["id"])

    @property
    def title(self) -> str:
        return f"{self.facts['name']} (farm)"


_jobs: dict[str, Job] = {}
_trouble = ""
_folder: Path | None = None


def listed() -> list[Job]:
    """All that are known, the newest first."""
    return list(_jobs.values())


def find(job_id: str) -> Job | None:
    return _jobs.get(job_id)


def chosen(context: Any) -> Job | None:
    """The one that is selected in the list."""
    rows = context.window_manager.renderbros_jobs
    index = context.window_manager.renderbros_job
    return _jobs.get(rows[index].name) if 0 <= index < len(rows) else None


def trouble() -> str:
    """Why nothing new is heard of jobs; empty if there is no such reason."""
    return _trouble


def watch(context: Any) -> Activity:
    """Begin to hear of jobs, if that hasn't begun. NotAllowed and OSError as :class:`child.Child`."""
    global _folder, _trouble
    running = activities.running(PURPOSE)
    if running is not None and not running.cancelled:
        return running
    _trouble = ""
    if _folder is None:
        _folder = Path(tempfile.mkdtemp(prefix="renderbros-pictures-"))
    wanted = {job.id: job.out for job in _jobs.values() if job.out and not job.here}
    request = {"do": "watch", "pictures": str(_folder), "bring": wanted}

    def hear(reply: Reply) -> None:
        if not activity.cancelled:
            _hear(reply)

    activity = activities.start(PURPOSE, request | preferences.connection(context), hear, _ended)
    return activity


def stop_watching() -> None:
    """Hear no more of jobs; they go on."""
    running = activities.running(PURPOSE)
    if running is not None:
        running.cancel()


def forget() -> None:
    """Watch no more, and show no jobs: they are of another farm."""
    stop_watching()
    _jobs.clear()
    _sync()


def bring(context: Any, job_id: str, out: Path) -> None:
    """Have the frames of a job brought to ``out``, those that are finished and those to come."""
    job = _jobs.setdefault(job_id, Job({"id": job_id, "name": job_id, "status": "queued", "progress": 0.0}))
    job.out, job.here, job.trouble = str(out), False, ""
    already = activities.running(PURPOSE)
    activity = watch(context)
    if activity is already:
        activity.child.tell({"job": job_id, "out": str(out)})


def add(facts: dict[str, Any]) -> Job:
    """Show a job that was just sent, and select it."""
    job = Job(facts)
    rest = {one: row for one, row in _jobs.items() if one != job.id}
    _jobs.clear()
    _jobs.update({job.id: job} | rest)
    _sync()
    bpy.context.window_manager.renderbros_job = 0
    return job


def take(facts: dict[str, Any]) -> None:
    """Show a job as it is now."""
    job = _jobs.get(facts["id"])
    if job is None:
        _jobs[facts["id"]] = Job(facts)
        _sync()
    else:
        job.facts = facts


def _hear(reply: Reply) -> None:
    global _trouble
    kind = reply["type"]
    if kind == "jobs":
        _trouble = ""
        if reply["all"]:
            _take_all(reply["jobs"])
        else:
            for facts in reply["jobs"]:
                take(facts)
        return
    job = _jobs.get(str(reply.get("job")))
    if kind == "trouble" and job is None:
        _trouble = str(reply["message"])
    elif job is None:
        return
    elif kind == "trouble":
        job.trouble, job.out = str(reply["message"]), None
    elif kind == "unfinished":
        with contextlib.suppress(FileNotFoundError):  # a later one is on its way
            pictures.unfinished(job.id, job.title, reply)
    elif kind == "brought" and reply["is_picture"]:
        job.files[int(reply["frame"])] = str(reply["path"])
        pictures.finished(job.id, job.title, str(reply["path"]))
    elif kind == "brought_all":
        job.here = True


def _take_all(found: list[dict[str, Any]]) -> None:
    known = dict(_jobs)
    _jobs.clear()
    for facts in found:
        job = known.get(facts["id"]) or Job(facts)
        job.facts = facts
        _jobs[job.id] = job
    _sync()


def _sync() -> None:
    """Make Blender's list, which holds no more than ids, the same as ours; the selected job stays selected."""
    manager = bpy.context.window_manager
    rows, index = manager.renderbros_jobs, manager.renderbros_job
    selected = rows[index].name if 0 <= index < len(rows) else ""
    if [row.name for row in rows] == list(_jobs):
        return
    rows.clear()
    for job_id in _jobs:
        rows.add().name = job_id
    manager.renderbros_job = list(_jobs).index(selected) if selected in _jobs else 0


def _ended(activity: Activity) -> None:
    global _trouble
    if activity.problem:
        _trouble = activity.problem
    if activities.running(PURPOSE) is None:  # not one that was started since
        _tidy()


def _tidy() -> None:
    global _folder
    if _folder is not None:
        shutil.rmtree(_folder, ignore_errors=True)
        _folder = None


class RenderBrosJobRow(bpy.types.PropertyGroup):  # type: ignore[misc]
    """The id of a job, as its ``name``."""


@persistent  # type: ignore[untyped-decorator]
def _file_opened(*_: Any) -> None:
    """Blender's list belongs to the window manager, which came empty with the file."""
    _sync()


def register() -> None:
    bpy.utils.register_class(RenderBrosJobRow)
    bpy.types.WindowManager.renderbros_jobs = bpy.props.CollectionProperty(type=RenderBrosJobRow)
    bpy.types.WindowManager.renderbros_job = bpy.props.IntProperty(name="Job")
    bpy.app.handlers.load_post.append(_file_opened)


def unregister() -> None:
    global _trouble
    bpy.app.handlers.load_post.remove(_file_opened)
    _jobs.clear()
    _trouble = ""
    _tidy()
    bpy.context.window_manager.renderbros_jobs.clear()
    del bpy.types.WindowManager.renderbros_job
    del bpy.types.WindowManager.renderbros_jobs
    bpy.utils.unregister_class(RenderBrosJobRow)
