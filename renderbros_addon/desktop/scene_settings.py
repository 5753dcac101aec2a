"""What an artist wishes of a scene on the farm: kept in the scene, and the rest is the scene's own settings."""

# Blender reads these classes' annotations as properties.
# mypy: disable-error-code="valid-type, misc"

import os
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, PointerProperty, StringProperty

MOVIES = frozenset({"FFMPEG", "AVI_JPEG", "AVI_RAW"})
"""Of the file formats those that are one file for all frames; the farm renders images instead."""


class NoFolder(Exception):
    """The scene does not say where its frames go; the message says what to do."""


class RenderBrosScene(bpy.types.PropertyGroup):
    which: EnumProperty(
        name="Frames",
        items=(
            ("RANGE", "Scene Range", "All frames of the scene's range"),
            ("CURRENT", "Current Frame", "The frame that is shown, as a still"),
            ("LIST", "List", "Frames and ranges of your own"),
        ),
        default="RANGE",
    )
    frames: StringProperty(name="List", description="Such as 1-4,7 or 1-100x5", default="1-10")
    cut: EnumProperty(
        name="Tiles",
        description="What each frame is cut into, so that many machines render one frame",
        items=(
            ("WHOLE", "None", "Each frame is rendered by one machine"),
            ("AUTO", "By Cost", "As many as are worth it, each with an equal share of the work"),
            ("GRID", "Grid", "Columns and rows"),
        ),
        default="WHOLE",
    )
    columns: IntProperty(name="Columns", default=2, min=1, max=64)
    rows: IntProperty(name="Rows", default=2, min=1, max=64)
    priority: IntProperty(name="Priority", description="Higher goes first", default=50, min=0, max=100)
    series: StringProperty(
        name="Blender Versions",
        description="Those that may render it, such as 4.5 or 4.5-5.2; empty for this one's",
    )
    allow_missing: BoolProperty(
        name="Render Without Missing Files", description="Send the scene although files are missing", default=False
    )
    bring: BoolProperty(
        name="Bring Frames Here",
        description="Download frames to the scene's output path as they are finished",
        default=True,
    )


def wished(scene: Any) -> dict[str, Any]:
    """What is wished of ``scene``, as a child wants it told."""
    chosen = scene.renderbros
    tiles = {"WHOLE": None, "AUTO": "auto", "GRID": f"{chosen.columns}x{chosen.rows}"}[chosen.cut]
    return {
        "scene": scene.name,
        "frames": frames(scene),
        "tiles": tiles,
        "priority": chosen.priority,
        "series": chosen.series.strip() or None,
        "allow_missing": chosen.allow_missing,
    }


def frames(scene: Any) -> str:
    """The frames that are wished, as a list of ranges."""
    chosen = scene.renderbros
    if chosen.which == "LIST":
        return str(chosen.frames)
    if chosen.which == "CURRENT":
        return str(scene.frame_current)
    step = f"x{scene.frame_step}" if scene.frame_step > 1 else ""
    return f"{scene.frame_start}-{max(scene.frame_start, scene.frame_end)}{step}"


def output_folder(scene: Any) -> Path:
    """Where Blender itself would put the scene's frames. NoFolder if that depends on where the file is saved."""
    path = scene.render.filepath
    if path.startswith("//") and not bpy.data.filepath:
        raise NoFolder("The output path is relative to a file that is not saved: save it, or choose another path")
    folder = Path(bpy.path.abspath(scene.render.frame_path(frame=scene.frame_start))).parent
    return Path(os.path.normpath(folder.absolute()))


def describe(scene: Any) -> list[str]:
    """What would be rendered, in a few lines; cheap enough to be drawn."""
    render = scene.render
    percent = render.resolution_percentage / 100
    width, height = int(render.resolution_x * percent), int(render.resolution_y * percent)
    kind = render.image_settings.file_format
    camera = scene.camera.name if scene.camera else "no camera"
    return [
        f"Frames {frames(scene)}, {width} x {height} px",
        f"{render.engine.replace('_', ' ').title()}, {camera}",
        f"Images instead of {kind}" if kind in MOVIES else kind.replace("_", " "),
    ]


def register() -> None:
    bpy.utils.register_class(RenderBrosScene)
    bpy.types.Scene.renderbros = PointerProperty(type=RenderBrosScene)


def unregister() -> None:
    del bpy.types.Scene.renderbros
    bpy.utils.unregister_class(RenderBrosScene)
