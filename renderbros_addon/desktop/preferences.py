"""The extension's preferences: which farm, what may be kept on disk, and what this machine lends.

No token is among them: what is typed as an invite or token is kept by ``client/credentials.py``, never by Blender.
"""

# Blender reads these classes' annotations as properties.
# mypy: disable-error-code="valid-type, misc"

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty

from . import fitness

KEY = __package__.rpartition(".")[0].rpartition(".")[0] or __package__.partition(".")[0]
"""What Blender knows the extension by: the package around ours, where it is installed as one."""

_typed = ""
# What stands in the field for an invite or token. A property that is read and set by functions leaves nothing behind
# in Blender's files.


def _get_code(_: Any) -> str:
    return _typed


def _set_code(_: Any, value: str) -> None:
    global _typed
    _typed = value.strip()


def _moved(_: Any, __: Any) -> None:
    """Another farm is chosen."""
    from . import connection as farm
    from . import jobs

    farm.forget()
    jobs.forget()


def clear_code() -> None:
    """Empty the field for an invite or token."""
    _set_code(None, "")


def of(context: Any) -> Any:
    """The extension's preferences."""
    return context.preferences.addons[KEY].preferences


def connection(context: Any) -> dict[str, Any]:
    """The farm that is chosen, as the children want it told."""
    chosen = of(context)
    return {
        "dispatcher": chosen.dispatcher.strip(),
        "ca": bpy.path.abspath(chosen.ca) or None,
        "pin": chosen.pin.strip() or None,
        "insecure": chosen.insecure,
    }


class RenderBrosPreferences(bpy.types.AddonPreferences):
    bl_idname = KEY

    dispatcher: StringProperty(
        name="Dispatcher",
        description="Address of the farm, such as https://farm.example:8420",
        default="http://127.0.0.1:8420",
        update=_moved,
    )
    code: StringProperty(
        name="Invite or Token",
        description="What the farm's operator gave you. It is kept outside of Blender, and this field is emptied",
        subtype="PASSWORD",
        get=_get_code,
        set=_set_code,
    )
    ca: StringProperty(
        name="Certificate Authority",
        description="File with the authority to trust (PEM), if the farm's certificate needs one of its own",
        subtype="FILE_PATH",
    )
    pin: StringProperty(
        name="Pinned Certificate", description="SHA-256 of the farm's certificate, to trust that one and no other"
    )
    insecure: BoolProperty(
        name="Without TLS",
        description="Send tokens to an http:// address beyond this machine. Only if the network is your own",
        default=False,
    )
    cache_folder: StringProperty(
        name="Cache Folder",
        description="Where scenes that this machine renders for others are kept; empty for the usual place",
        subtype="DIR_PATH",
    )
    cache_gb: IntProperty(name="Cache Limit (GB)", description="What that cache may take", default=20, min=1, max=65536)
    expect_seconds: IntProperty(
        name="Preview for (s)",
        description="Render small previews for so long after a scene is sent: the farm compares its frames with them",
        default=20,
        min=0,
        max=3600,
    )
    lend_memory_gb: IntProperty(
        name="Memory (GB)",
        description="What a render may use; 0 for 80 % of the machine's",
        default=0,
        min=0,
        max=65536,
    )
    lend_threads: IntProperty(name="Threads", description="0 for all", default=0, min=0, max=1024)
    lend_device: EnumProperty(
        name="Devices",
        items=(
            ("ANY", "All", "Whatever Blender can render on"),
            ("CPU", "CPU", "The processor alone"),
            ("GPU", "GPU", "Graphics cards alone"),
        ),
        default="ANY",
    )
    lend_hours: BoolProperty(name="Only at Hours", description="Lend between these hours alone", default=False)
    lend_from: IntProperty(name="From", description="Hour of the day", default=20, min=0, max=23)
    lend_until: IntProperty(name="Until", description="Hour of the day", default=7, min=0, max=23)
    lend_only_idle: BoolProperty(
        name="Only When Idle", description="Lend while nobody uses keyboard and mouse", default=True
    )
    lend_idle_minutes: IntProperty(
        name="Idle After (min)", description="Without keyboard and mouse for so long", default=5, min=1, max=1440
    )
    lend_pause_on_battery: BoolProperty(name="Pause on Battery", default=True)
    lend_outlives: BoolProperty(
        name="Go On After Blender", description="Lend on when this Blender is closed", default=False
    )

    def draw(self, _: Any) -> None:
        layout = self.layout
        if problem := fitness.problem():
            paragraphs(layout.box(), problem, icon="ERROR")
            return
        from . import connection as farm

        layout.use_property_split = True
        farm.draw(layout, self)
        layout.label(text="Sending")
        layout.prop(self, "expect_seconds")
        layout.label(text="Lending")
        lent = layout.column(align=True)
        lent.prop(self, "cache_folder")
        for name in ("cache_gb", "lend_memory_gb", "lend_threads", "lend_device", "lend_only_idle"):
            lent.prop(self, name)
        if self.lend_only_idle:
            lent.prop(self, "lend_idle_minutes")
        lent.prop(self, "lend_hours")
        if self.lend_hours:
            lent.prop(self, "lend_from")
            lent.prop(self, "lend_until")
        lent.prop(self, "lend_pause_on_battery")
        lent.prop(self, "lend_outlives")


def paragraphs(layout: Any, text: str, icon: str = "NONE", width: int | None = None) -> None:
    """``text`` in as many labels as it takes, since Blender's don't break lines: of ``width`` characters, or as many
    as fit where it is drawn."""
    column = layout.column(align=True)
    most, line = width or _characters(), ""
    for word in text.split():
        if line and len(line) + len(word) >= most:
            column.label(text=line, icon=icon)
            line, icon = "", "BLANK1" if icon != "NONE" else "NONE"
        line = f"{line} {word}" if line else word
    column.label(text=line, icon=icon)


def count(number: int, noun: str) -> str:
    """``1 frame``, ``2 frames``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _characters() -> int:
    """About as many as fit beside each other into the region that is drawn, next to an icon and margins."""
    region, system = bpy.context.region, bpy.context.preferences.system
    wide = region.width / system.ui_scale if region else 600
    return max(20, int((wide - 90) / 6.5))


def register() -> None:
    bpy.utils.register_class(RenderBrosPreferences)


def unregister() -> None:
    clear_code()
    bpy.utils.unregister_class(RenderBrosPreferences)
