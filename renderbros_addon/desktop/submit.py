"""From the open file to a job: the copy that is saved here, and what children make of it."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

from . import activities, jobs, pictures, preferences, scene_settings
from .activities import Activity, Reply
from .child import OFFLINE, NotAllowed

PURPOSE = "submit"

_numbers = itertools.count(1)


@dataclass
class Findings:
    """What was found out about a scene the last time that a child looked into it."""

    scene: str = ""
    looked: dict[str, Any] | None = None
    """As ``Looked`` has it."""
    estimated: dict[str, Any] | None = None
    """As ``Estimated`` has it."""
    missing: list[dict[str, str]] = field(default_factory=list)
    problem: str = ""
    sent: str = ""
    """What the last job that was sent took."""


_findings = Findings()


def findings(scene: Any) -> Findings:
    """What is known of ``scene``."""
    return _findings if _findings.scene == scene.name else Findings()


def unsaved_images() -> list[str]:
    """Images with changes that are in no file: a copy of the scene does not have them either."""
    ours = pictures.ours()
    return [i.name for i in bpy.data.images if i.is_dirty and i.source != "VIEWER" and i.name not in ours]


def begin(context: Any, request: dict[str, Any], out: Path | None) -> Activity:
    """Save a copy and have a child do with it what ``request`` says. The frames go to ``out``, if anywhere.

    NotAllowed, OSError and RuntimeError (Blender could not save) if it can't be begun; there is no copy then.
    """
    global _findings
    if not bpy.app.online_access:
        raise NotAllowed(OFFLINE)
    blend, copy = save_copy()
    scene = context.scene
    temporary = copy.parent.name.startswith(_FOLDER)
    wished = scene_settings.wished(scene) | {"blend": str(blend), "saved_as": str(copy), "temporary": temporary}
    known = Findings(scene.name)

    def hear(reply: Reply) -> None:
        _hear(known, reply, out)

    def drop() -> None:
        # The child does so too, also when this Blender is gone; it may not have come to that.
        with contextlib.suppress(OSError):
            copy.unlink(missing_ok=True)
            if temporary:
                copy.parent.rmdir()

    def ended(activity: Activity) -> None:
        drop()
        if activity.problem:
            known.problem = activity.problem

    try:
        activity = activities.start(PURPOSE, request | wished | preferences.connection(context), hear, ended)
    except OSError:
        drop()
        raise
    _findings = known
    return activity


_FOLDER = "renderbros-copy-"


def save_copy() -> tuple[Path, Path]:
    """Save what is open as it stands: the file that the artist knows, and the copy.

    The copy lies beside the file, where paths that are relative to it are right; where nothing can be written there,
    or nothing was ever saved, in a folder of its own. RuntimeError if Blender can't save it.
    """
    name = bpy.data.filepath
    if name:
        blend = Path(name)
        copy = blend.with_name(f".{blend.stem[:100]}.renderbros-{os.getpid()}-{next(_numbers)}.blend")
        with contextlib.suppress(RuntimeError):
            _save(copy)
            return blend, copy
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER))
    copy = folder / (Path(name).name or "untitled.blend")
    try:
        _save(copy)
    except RuntimeError:
        folder.rmdir()
        raise
    return copy, copy


def _save(path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, check_existing=False)
    if not path.is_file():
        raise RuntimeError(f"Blender did not save {path}")


def _hear(known: Findings, reply: Reply, out: Path | None) -> None:
    kind = reply["type"]
    if kind == "looked":
        known.looked, known.missing = reply, reply["missing"]
    elif kind == "estimated":
        known.estimated = reply
    elif kind == "failed":
        known.missing = reply["missing"]
    elif kind == "sent":
        job = jobs.add(reply["job"])
        known.sent = (
            f"{job.facts['name']} is sent: {preferences.count(reply['files'], 'file')}, {reply['size'] / 1e6:.1f} MB"
        )
        try:
            if out is not None:
                jobs.bring(bpy.context, job.id, out)
            else:
                jobs.watch(bpy.context)
        except (NotAllowed, OSError) as error:
            known.problem = f"The job is sent, but can't be watched: {error}"


def _try(operator: Any, context: Any, request: dict[str, Any], out: Path | None = None) -> set[str]:
    try:
        begin(context, request, out)
    except (NotAllowed, OSError, RuntimeError) as error:
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    return {"FINISHED"}


class _OfTheScene:
    """Operators that have a child look into the open file; one at a time does."""

    @classmethod
    def poll(cls, context: Any) -> bool:
        return context.scene is not None and activities.running(PURPOSE) is None


class RENDERBROS_OT_look(_OfTheScene, bpy.types.Operator):  # type: ignore[misc]
    """Look for missing files, and measure what a frame takes. Nothing is sent"""

    bl_idname = "renderbros.look"
    bl_label = "Check and Estimate"

    def execute(self, context: Any) -> set[str]:
        return _try(self, context, {"do": "look"})


class RENDERBROS_OT_submit(_OfTheScene, bpy.types.Operator):  # type: ignore[misc]
    """Send the scene with all files that it needs, and render it on the farm"""

    bl_idname = "renderbros.submit"
    bl_label = "Render on Farm"

    def execute(self, context: Any) -> set[str]:
        scene = context.scene
        out = None
        if scene.renderbros.bring:
            try:
                out = scene_settings.output_folder(scene)
            except scene_settings.NoFolder as error:
                self.report({"ERROR"}, str(error))
                return {"CANCELLED"}
        expect = preferences.of(context).expect_seconds
        return _try(self, context, {"do": "submit", "expect": expect}, out)


class RENDERBROS_OT_stop_sending(bpy.types.Operator):  # type: ignore[misc]
    """Stop looking into the scene or sending it. A job that is sent already goes on"""

    bl_idname = "renderbros.stop_sending"
    bl_label = "Stop"

    @classmethod
    def poll(cls, _: Any) -> bool:
        return activities.running(PURPOSE) is not None

    def execute(self, _: Any) -> set[str]:
        activity = activities.running(PURPOSE)
        if activity is not None:
            activity.cancel()
        return {"FINISHED"}


_CLASSES = (RENDERBROS_OT_look, RENDERBROS_OT_submit, RENDERBROS_OT_stop_sending)


def register() -> None:
    for one in _CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    global _findings
    _findings = Findings()
    for one in reversed(_CLASSES):
        bpy.utils.unregister_class(one)
