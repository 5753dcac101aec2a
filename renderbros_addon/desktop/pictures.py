"""Frames of the farm in the image editor: a still builds up, then stands as it is finished."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import bpy

_LINEAR = (".exr", ".hdr")

_names: dict[str, str] = {}
# The name of the image that shows a job.


def unfinished(job: str, title: str, reply: dict[str, Any]) -> Any:
    """Show what there is of a frame: a file of floats, as ``protocol/desk.py`` has it. The image."""
    width, height = int(reply["width"]), int(reply["height"])
    image = _image(job, title, width, height)
    with Path(reply["path"]).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        whole = memoryview(content)
        pixels = whole.cast("f")
        try:
            image.pixels.foreach_set(pixels)
        finally:
            pixels.release()
            whole.release()
    image.update()
    image.use_view_as_render = True
    _show_where_it_fits(image)
    return image


def finished(job: str, title: str, path: str) -> Any:
    """Show a finished frame. The image, which Blender reads when it draws it."""
    image = bpy.data.images.get(_names.get(job, ""))
    if image is None:
        image = bpy.data.images.load(path)
        image.name = title
        _names[job] = image.name
    else:
        image.source = "FILE"
        image.filepath = path
        # What stood there before were linear floats, and Blender would take the file's pixels for the same.
        fresh = bpy.data.images.load(path)
        image.colorspace_settings.name = fresh.colorspace_settings.name
        bpy.data.images.remove(fresh)
        image.reload()
    image.use_view_as_render = path.lower().endswith(_LINEAR)
    _show_where_it_fits(image)
    return image


def of_job(job: str) -> Any:
    """The image that shows ``job``; None if there is none."""
    return bpy.data.images.get(_names.get(job, ""))


def ours() -> set[str]:
    """Names of the images that the extension made."""
    return set(_names.values())


def show(context: Any, image: Any) -> bool:
    """Put ``image`` into an image editor; False where there is neither one nor a window to open one in."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR":
                area.spaces.active.image = image
                area.tag_redraw()
                return True
    if bpy.app.background or not context.window_manager.windows:
        return False
    bpy.ops.wm.window_new()
    area = context.window_manager.windows[-1].screen.areas[0]
    area.type = "IMAGE_EDITOR"
    area.spaces.active.image = image
    return True


def _image(job: str, title: str, width: int, height: int) -> Any:
    image = bpy.data.images.get(_names.get(job, ""))
    if image is not None and image.source == "GENERATED":
        if tuple(image.size) != (width, height):
            image.scale(width, height)
        return image
    if image is not None:
        # It shows a finished frame, and the next one of the job begins.
        bpy.data.images.remove(image)
    image = bpy.data.images.new(title, width, height, alpha=True, float_buffer=True)
    _names[job] = image.name
    return image


def _show_where_it_fits(image: Any) -> None:
    """Into image editors that show nothing, or another image of ours: what an artist looks at is theirs to choose."""
    known = ours()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR":
                space = area.spaces.active
                if space.image is None or (space.image != image and space.image.name in known):
                    space.image = image
                area.tag_redraw()


def register() -> None:
    """There is nothing to register: images belong to the open file."""


def unregister() -> None:
    """Forget which images were ours; they stay with the file."""
    _names.clear()
