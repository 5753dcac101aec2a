"""The panel in the render properties from which a scene goes to the farm."""

from __future__ import annotations

from typing import Any

import bpy

from . import activities, scene_settings, submit
from .preferences import count, paragraphs

_MOST = 12
"""Lines of a list; the rest is counted."""


class RENDERBROS_PT_submit(bpy.types.Panel):  # type: ignore[misc]
    bl_label = "Render Farm"
    bl_idname = "RENDERBROS_PT_submit"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"

    def draw(self, context: Any) -> None:
        layout, scene = self.layout, context.scene
        chosen = scene.renderbros
        column = layout.column(align=True)
        for line in scene_settings.describe(scene):
            column.label(text=line)
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(chosen, "which")
        if chosen.which == "LIST":
            column.prop(chosen, "frames")
        column.prop(chosen, "cut")
        if chosen.cut == "GRID":
            row = column.row(align=True)
            row.prop(chosen, "columns")
            row.prop(chosen, "rows", text="")
        column.prop(chosen, "priority")
        column.prop(chosen, "series")
        column.prop(chosen, "bring")
        _folder(column, scene)
        if unsaved := submit.unsaved_images():
            _list(layout.box(), "Images with changes that are not saved, which are not sent", unsaved, "ERROR")
        _findings(layout, scene)
        _buttons(layout)


def _folder(layout: Any, scene: Any) -> None:
    if not scene.renderbros.bring:
        return
    try:
        layout.label(text=str(scene_settings.output_folder(scene)), icon="FILE_FOLDER")
    except scene_settings.NoFolder as error:
        paragraphs(layout, str(error), "ERROR")


def _findings(layout: Any, scene: Any) -> None:
    known = submit.findings(scene)
    if known.missing:
        box = layout.box()
        _list(
            box,
            count(len(known.missing), "missing file"),
            [f"{one['user']}: {one['path']}" + (f" ({one['why']})" if one["why"] else "") for one in known.missing],
            "ERROR",
        )
        box.prop(scene.renderbros, "allow_missing")
    elif known.problem:
        paragraphs(layout.box(), known.problem, "ERROR")
    if looked := known.looked:
        box = layout.box()
        sent = f"{count(looked['files'], 'file')} of {looked['size'] / 1e6:.1f} MB"
        box.label(text=f"{count(looked['frames'], 'frame')}, {sent}", icon="INFO")
        if scene.renderbros.cut != "WHOLE" and looked["whole_because"]:
            paragraphs(box, "Not cut into tiles: " + " ".join(looked["whole_because"]), "ERROR")
        for note in looked["notes"][:_MOST]:
            paragraphs(box, note, "BLANK1")
        if known.estimated:
            paragraphs(box, estimate(looked, known.estimated), "TIME")
    if known.sent:
        layout.label(text=known.sent, icon="CHECKMARK")


def estimate(looked: dict[str, Any], estimated: dict[str, Any]) -> str:
    """What rendering will take, in words."""
    if estimated["seconds"] is None:
        return f"No estimate: {estimated['problem']}"
    each, total = estimated["seconds"], estimated["seconds"] * looked["frames"]
    return (
        f"About {clock(each)} a frame, {clock(total)} in all, on one machine like this ({estimated['device']}); "
        f"with ten, {clock(max(each, total / 10))}"
    )


def clock(seconds: float) -> str:
    """``2 h 05 min``, ``3 min 20 s`` or ``12 s``."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    if minutes:
        return f"{minutes} min {rest:02d} s"
    return f"{rest} s" if whole >= 10 else f"{seconds:.1f} s"


def _buttons(layout: Any) -> None:
    busy = activities.running(submit.PURPOSE)
    if busy is not None:
        row = layout.row(align=True)
        text = "Stopping" if busy.cancelled else busy.step or "Starting"
        if busy.fraction is not None:
            row.progress(factor=busy.fraction, text=text)
        else:
            row.label(text=text, icon="SORTTIME")
        row.operator("renderbros.stop_sending", text="", icon="CANCEL")
        return
    if not bpy.app.online_access:
        paragraphs(layout, "Blender may not go online: see Preferences > System > Network", "ERROR")
    column = layout.column()
    column.operator("renderbros.look", icon="VIEWZOOM")
    column.scale_y = 1.2
    column.operator("renderbros.submit", icon="RENDER_ANIMATION")


def _list(layout: Any, title: str, lines: list[str], icon: str) -> None:
    column = layout.column(align=True)
    column.label(text=title, icon=icon)
    for line in lines[:_MOST]:
        column.label(text=line, icon="BLANK1")
    if len(lines) > _MOST:
        column.label(text=f"and {len(lines) - _MOST} more", icon="BLANK1")


def register() -> None:
    bpy.utils.register_class(RENDERBROS_PT_submit)


def unregister() -> None:
    bpy.utils.unregister_class(RENDERBROS_PT_submit)
