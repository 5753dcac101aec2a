"""The panel by which this machine is lent."""

# Blender reads these classes' annotations as properties.
# mypy: disable-error-code="valid-type, misc"

from typing import Any

import bpy
from bpy.props import StringProperty

from . import lending, preferences
from .child import OFFLINE, NotAllowed

_ICONS = {"starting": "SORTTIME", "waiting": "CHECKMARK", "rendering": "RENDER_STILL", "paused": "PAUSE"}


# A property that is read and set by functions leaves nothing in Blender's files.
def _get_invite(_: Any) -> str:
    return lending.invite()


def _set_invite(_: Any, value: str) -> None:
    lending.set_invite(value)


class RENDERBROS_OT_lend_start(bpy.types.Operator):
    """Render for others on this machine, on the terms that stand in the preferences"""

    bl_idname = "renderbros.lend_start"
    bl_label = "Lend This Machine"

    @classmethod
    def poll(cls, _: Any) -> bool:
        return not lending.active()

    def execute(self, context: Any) -> set[str]:
        try:
            if not lending.start(context):
                self.report({"INFO"}, "Another Blender lends this machine already: this panel now shows how it goes")
        except (NotAllowed, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class RENDERBROS_OT_lend_pause(bpy.types.Operator):
    """Give back at once what is being rendered, and render nothing until you go on"""

    bl_idname = "renderbros.lend_pause"
    bl_label = "Pause"

    @classmethod
    def poll(cls, _: Any) -> bool:
        return lending.active() and not lending.stopping()

    def execute(self, _: Any) -> set[str]:
        lending.pause(not lending.paused())
        return {"FINISHED"}


class RENDERBROS_OT_lend_stop(bpy.types.Operator):
    """Give back what is being rendered, and lend this machine no more"""

    bl_idname = "renderbros.lend_stop"
    bl_label = "Stop Lending"

    @classmethod
    def poll(cls, _: Any) -> bool:
        return lending.active() and not lending.stopping()

    def execute(self, _: Any) -> set[str]:
        lending.stop()
        return {"FINISHED"}


class RENDERBROS_PT_lend(bpy.types.Panel):
    bl_label = "Lend to RenderBros"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012  (Blender's own way)

    def draw(self, context: Any) -> None:
        layout, chosen = self.layout, preferences.of(context)
        lending.glance()
        told = lending.status()
        if lending.active():
            self._draw_worker(layout, told)
        else:
            if not bpy.app.online_access:
                preferences.paragraphs(layout, OFFLINE, icon="ERROR")
            if why := lending.problem():
                preferences.paragraphs(layout, why, icon="ERROR")
            layout.operator("renderbros.lend_start", icon="RENDER_ANIMATION")
            layout.prop(context.window_manager, "renderbros_lend_invite")
            preferences.paragraphs(layout, _terms(chosen), icon="INFO")
        _draw_earned(layout, told)

    def _draw_worker(self, layout: Any, told: dict[str, Any]) -> None:
        state, reason = str(told.get("state") or "starting"), str(told.get("reason") or "")
        if lending.stopping():
            state, reason = "stopping", ""
        text = state.capitalize() + (f": {reason}" if reason else "")
        preferences.paragraphs(layout, text, icon=_ICONS.get(state, "SORTTIME"))
        task = told.get("task")
        if state == "rendering" and isinstance(task, dict):
            column = layout.column(align=True)
            column.label(text=f"{task.get('scene')}, frame {task.get('frame')}{_part(task)}", icon="SCENE_DATA")
            fraction = _fraction(task)
            column.progress(factor=fraction or 0.0, text=f"{task.get('seconds', 0):.0f} s" + _percent(fraction))
        row = layout.row(align=True)
        paused = lending.paused()
        row.operator("renderbros.lend_pause", text="Go On" if paused else "Pause", icon="PLAY" if paused else "PAUSE")
        row.operator("renderbros.lend_stop", icon="CANCEL")


def _terms(chosen: Any) -> str:
    """The preferences in one sentence."""
    terms = []
    if chosen.lend_only_idle:
        terms.append(f"after {chosen.lend_idle_minutes} min without keyboard and mouse")
    if chosen.lend_hours:
        terms.append(f"from {chosen.lend_from}:00 to {chosen.lend_until}:00")
    if chosen.lend_pause_on_battery:
        terms.append("not on battery")
    end = "goes on after Blender" if chosen.lend_outlives else "ends with Blender"
    return f"Renders {', '.join(terms) or 'at any time'}; {end}. The preferences of RenderBros have the terms"


def _part(task: dict[str, Any]) -> str:
    """Which part of the frame it is."""
    region = task.get("region")
    whole = isinstance(region, dict) and (region.get("x1"), region.get("y1")) == (task.get("width"), task.get("height"))
    if whole and isinstance(region, dict) and not (region.get("x0") or region.get("y0")):
        return ""
    tiles = int(task.get("tiles") or 1)
    return f", {tiles} tiles" if tiles > 1 else ", a tile"


def _fraction(task: dict[str, Any]) -> float | None:
    progress = task.get("progress")
    if isinstance(progress, dict) and progress.get("samples"):
        return float(min(1.0, (progress.get("sample") or 0) / progress["samples"]))
    return None


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f", {fraction:.0%}"


def _draw_earned(layout: Any, told: dict[str, Any]) -> None:
    column = layout.column(align=True)
    for name, since in (("earned", "This time"), ("earned_ever", "In all")):
        earned = told.get(name)
        if name == "earned_ever" and earned == told.get("earned"):
            continue  # the first time
        if isinstance(earned, dict) and earned.get("tasks"):
            minutes, seconds = divmod(round(earned["seconds"]), 60)
            column.label(
                text=f"{since}: {earned['tasks']} tasks, {minutes} min {seconds:02} s, "
                f"{earned['pixels'] / 1e6:.1f} megapixels",
                icon="FUND",
            )


_CLASSES = (RENDERBROS_OT_lend_start, RENDERBROS_OT_lend_pause, RENDERBROS_OT_lend_stop, RENDERBROS_PT_lend)


def register() -> None:
    bpy.types.WindowManager.renderbros_lend_invite = StringProperty(
        name="Worker Invite",
        description="What the farm's operator gave you for this machine; needed the first time only",
        subtype="PASSWORD",
        get=_get_invite,
        set=_set_invite,
    )
    for one in _CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    for one in reversed(_CLASSES):
        bpy.utils.unregister_class(one)
    del bpy.types.WindowManager.renderbros_lend_invite
