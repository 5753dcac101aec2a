"""The panel with the list of jobs, and how the selected one stands."""

from __future__ import annotations

from typing import Any

import bpy

from . import activities, job_operators, jobs
from .preferences import count, paragraphs
from .submit_panel import clock

_ICONS = {
    "uploading": "EXPORT", "queued": "SORTTIME", "active": "RENDER_ANIMATION", "finishing": "RENDER_STILL",
    "paused": "PAUSE", "completed": "CHECKMARK", "failed": "ERROR", "cancelled": "CANCEL",
}  # fmt: skip


class RENDERBROS_UL_jobs(bpy.types.UIList):  # type: ignore[misc]
    """A line for each job, with how far it is."""

    def draw_item(
        self, _context: Any, layout: Any, _data: Any, item: Any, _icon: int, _active: Any, _active_name: str
    ) -> None:
        job = jobs.find(item.name)
        if job is None:
            return
        facts = job.facts
        row = layout.row(align=True)
        row.label(text=str(facts["name"]), icon=_ICONS.get(facts["status"], "QUESTION"))
        if facts.get("ended"):
            row.label(text=str(facts["status"]).title())
        else:
            row.progress(factor=float(facts["progress"]), text=f"{float(facts['progress']):.0%}")


class RENDERBROS_PT_watch(bpy.types.Panel):  # type: ignore[misc]
    bl_label = "Jobs"
    bl_idname = "RENDERBROS_PT_watch"
    bl_parent_id = "RENDERBROS_PT_submit"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"

    def draw(self, context: Any) -> None:
        layout, manager = self.layout, context.window_manager
        watching = activities.running(jobs.PURPOSE)
        on = watching is not None and not watching.cancelled
        layout.operator(
            "renderbros.watch", text="Stop Watching" if on else "Watch Jobs", icon="PAUSE" if on else "HIDE_OFF"
        )
        for problem in (jobs.trouble(), job_operators.problem()):
            if problem:
                paragraphs(layout, problem, "ERROR")
        if not len(manager.renderbros_jobs):
            return
        layout.template_list("RENDERBROS_UL_jobs", "", manager, "renderbros_jobs", manager, "renderbros_job", rows=4)
        job = jobs.chosen(context)
        if job is not None:
            _draw_job(layout, job)


def _draw_job(layout: Any, job: jobs.Job) -> None:
    facts = job.facts
    column = layout.column(align=True)
    if "frames" in facts:
        tiles = f", {facts['tiles']} tiles each" if facts["tiles"] > 1 else ""
        column.label(text=f"{facts['frames_done']} of {facts['frames']} frames{tiles}, {facts['status']}")
        if facts["seconds_left"]:
            column.label(text=f"About {clock(facts['seconds_left'])} left", icon="TIME")
        if facts["why"]:
            paragraphs(column, facts["why"], "ERROR" if facts["status"] == "failed" else "INFO")
        for line in facts["running"][:6]:
            column.label(text=line, icon="BLANK1")
    if job.out:
        text = f"{count(len(job.files), 'frame')} in {job.out}"
        column.label(text=text, icon="CHECKMARK" if job.here else "IMPORT")
    if job.trouble:
        paragraphs(column, job.trouble, "ERROR")
    row = layout.row(align=True)
    for name in ("open_result", "fetch", "retry", "cancel"):
        one = row.row(align=True)
        one.enabled = _can(name, facts)
        one.operator(f"renderbros.{name}").job = job.id


def _can(name: str, facts: dict[str, Any]) -> bool:
    """Whether the dispatcher would do it to a job that stands as ``facts`` say. It knows best: they may be old."""
    if name == "retry":
        return facts.get("status") in ("failed", "cancelled")
    return name != "cancel" or not facts.get("ended")


_CLASSES = (RENDERBROS_UL_jobs, RENDERBROS_PT_watch)


def register() -> None:
    for one in _CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    for one in reversed(_CLASSES):
        bpy.utils.unregister_class(one)
