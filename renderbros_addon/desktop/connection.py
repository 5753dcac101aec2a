"""Signing in at the farm, and testing the connection to it."""

from __future__ import annotations

from typing import Any

import bpy

from . import activities, preferences
from .child import NotAllowed

_told = ("", "INFO")
# The outcome of the last test or login, and its icon.

PURPOSE = "connection"


def told() -> str:
    """What the last test or login came to, in words."""
    return _told[0]


def forget() -> None:
    """What was told is of another farm."""
    _tell("", "INFO")


def draw(layout: Any, chosen: Any) -> None:
    """The farm's part of the preferences."""
    layout.label(text="Farm")
    column = layout.column(align=True)
    column.prop(chosen, "dispatcher")
    column.prop(chosen, "code")
    row = column.row(align=True)
    row.operator("renderbros.login", icon="USER")
    row.operator("renderbros.test_connection", icon="LINKED")
    row.operator("renderbros.logout", icon="X", text="")
    if not bpy.app.online_access:
        preferences.paragraphs(column, "Blender may not go online: see System > Network", icon="ERROR")
    busy = activities.running(PURPOSE)
    text, icon = (busy.step or "Connecting", "SORTTIME") if busy else _told
    if text:
        preferences.paragraphs(column, text, icon=icon)
    more = layout.column(align=True)
    for name in ("ca", "pin", "insecure"):
        more.prop(chosen, name)


def _begin(operator: Any, context: Any, request: dict[str, Any]) -> set[str]:
    """Start a child for ``request``; an operator's result."""
    if activities.running(PURPOSE):
        operator.report({"WARNING"}, "A connection is being made already")
        return {"CANCELLED"}
    try:
        hear = _hear_login if "code" in request else _hear
        activities.start(PURPOSE, request | preferences.connection(context), hear, _ended)
    except (NotAllowed, OSError) as error:
        _tell(str(error), "ERROR")
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    return {"FINISHED"}


def _hear(reply: activities.Reply) -> None:
    if reply["type"] == "connected":
        _tell(f"Signed in at {reply['dispatcher']} as {reply['role']} {reply['name']}", "CHECKMARK")
    elif reply["type"] == "signed_out":
        _tell(f"Signed out of {reply['dispatcher']}", "CHECKMARK")


def _hear_login(reply: activities.Reply) -> None:
    if reply["type"] == "connected":
        preferences.clear_code()  # it is kept
    _hear(reply)


def _ended(activity: activities.Activity) -> None:
    if activity.problem:
        _tell(activity.problem, "ERROR")


def _tell(text: str, icon: str) -> None:
    global _told
    _told = text, icon


class RENDERBROS_OT_test_connection(bpy.types.Operator):  # type: ignore[misc]
    """Ask the farm whether it is there and knows you"""

    bl_idname = "renderbros.test_connection"
    bl_label = "Test Connection"

    def execute(self, context: Any) -> set[str]:
        return _begin(self, context, {"do": "test"})


class RENDERBROS_OT_login(bpy.types.Operator):  # type: ignore[misc]
    """Sign in at the farm with the invite or token above, which is kept for the next time"""

    bl_idname = "renderbros.login"
    bl_label = "Sign In"

    @classmethod
    def poll(cls, context: Any) -> bool:
        return bool(preferences.of(context).code)

    def execute(self, context: Any) -> set[str]:
        return _begin(self, context, {"do": "login", "code": preferences.of(context).code})


class RENDERBROS_OT_logout(bpy.types.Operator):  # type: ignore[misc]
    """Forget the token that is kept for the farm, and have it revoked there"""

    bl_idname = "renderbros.logout"
    bl_label = "Sign Out"

    def execute(self, context: Any) -> set[str]:
        return _begin(self, context, {"do": "logout"})


_CLASSES = (RENDERBROS_OT_test_connection, RENDERBROS_OT_login, RENDERBROS_OT_logout)


def register() -> None:
    for one in _CLASSES:
        bpy.utils.register_class(one)


def unregister() -> None:
    forget()
    for one in reversed(_CLASSES):
        bpy.utils.unregister_class(one)
