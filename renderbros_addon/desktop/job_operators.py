"""What can be done about jobs: watch them, end them, go on with them, have their frames."""

# Blender reads these classes' annotations as properties.
# mypy: disable-error-code="valid-type, misc"

from pathlib import Path
from typing import Any

import bpy
from bpy.props import StringProperty

from . import activities, jobs, pictures, preferences, scene_settings
from .child import NotAllowed

_problem = ""
# Why the last change of a job was not made.


def problem() -> str:
    """Why the last change of a job was not made; empty if it was."""
    return _problem


class RENDERBROS_OT_watch(bpy.types.Operator):
    """Hear of your jobs on the farm as they come along, or stop that. The jobs go on in any case"""

    bl_idname = "renderbros.watch"
    bl_label = "Watch Jobs"

    def execute(self, context: Any) -> set[str]:
        watching = activities.running(jobs.PURPOSE)
        if watching is not None and not watching.cancelled:
            jobs.stop_watching()
            return {"FINISHED"}
        try:
            jobs.watch(context)
        except (NotAllowed, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class _OfAJob:
    """Operators on the job with the id ``job``, or the one that is selected in the list."""

    job: StringProperty(name="Job", options={"SKIP_SAVE", "HIDDEN"})

    def find(self, context: Any) -> jobs.Job | None:
        return jobs.find(self.job) if self.job else jobs.chosen(context)


class RENDERBROS_OT_cancel(_OfAJob, bpy.types.Operator):
    """End the job. Frames that are finished stay"""

    bl_idname = "renderbros.cancel"
    bl_label = "Cancel"

    def execute(self, context: Any) -> set[str]:
        return _change(self, context, self.find(context), "cancel")


class RENDERBROS_OT_retry(_OfAJob, bpy.types.Operator):
    """Go on with a job that failed or was cancelled. What is rendered stays"""

    bl_idname = "renderbros.retry"
    bl_label = "Retry"

    def execute(self, context: Any) -> set[str]:
        return _change(self, context, self.find(context), "retry")


class RENDERBROS_OT_fetch(_OfAJob, bpy.types.Operator):
    """Bring the job's frames to where they were to go, or to the scene's output path"""

    bl_idname = "renderbros.fetch"
    bl_label = "Fetch"

    def execute(self, context: Any) -> set[str]:
        job = self.find(context)
        if job is None:
            return _none(self)
        try:
            out = Path(job.out) if job.out else scene_settings.output_folder(context.scene)
            jobs.bring(context, job.id, out)
        except (NotAllowed, OSError, scene_settings.NoFolder) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class RENDERBROS_OT_open_result(_OfAJob, bpy.types.Operator):
    """Show what there is of the job in an image editor"""

    bl_idname = "renderbros.open_result"
    bl_label = "Open"

    def execute(self, context: Any) -> set[str]:
        job = self.find(context)
        if job is None:
            return _none(self)
        image = pictures.of_job(job.id)
        if image is None and job.files:
            image = pictures.finished(job.id, job.title, job.files[max(job.files)])
        if image is None:
            self.report({"WARNING"}, "Nothing of this job is here yet: fetch its frames")
            return {"CANCELLED"}
        pictures.show(context, image)
        return {"FINISHED"}


def _none(operator: Any) -> set[str]:
    operator.report({"WARNING"}, "No job is selected")
    return {"CANCELLED"}


def _change(operator: Any, context: Any, job: jobs.Job | None, verb: str) -> set[str]:
    global _problem
    if job is None:
        return _none(operator)
    _problem = ""

    def hear(reply: activities.Reply) -> None:
        if reply["type"] == "jobs":
            for facts in reply["jobs"]:
                jobs.take(facts)

    def ended(activity: activities.Activity) -> None:
        global _problem
        if activity.problem:
            _problem = activity.problem
        elif verb == "retry" and job.out and not activity.cancelled:
            jobs.bring(bpy.context, job.id, Path(job.out))

    request = {"do": "change", "job": job.id, "verb": verb}
    try:
        activities.start("change", request | preferences.connection(context), hear, ended)
    except (NotAllowed, OSError) as error:
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    return {"FINISHED"}


_CLASSES = (
    RENDERBROS_OT_watch,
    RENDERBROS_OT_cancel,
    RENDERBROS_OT_retry,
    RENDERBROS_OT_fetch,
    RENDERBROS_OT_open_result,
)


def register() -> None:
    for one in _CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    global _problem
    _problem = ""
    for one in reversed(_CLASSES):
        bpy.utils.unregister_class(one)
