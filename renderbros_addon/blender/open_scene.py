"""The scene that is open in this Blender, with what is not saved yet, as a file to submit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..protocol.jobs import RenderSettings
from ..protocol.renderer import Inspection, InspectRequest
from .inspect import look
from .references import Need, described, used

_UNTITLED = "untitled.blend"


@dataclass(frozen=True)
class OpenScene:
    """A copy of the open scene, and what it is."""

    copy: Path
    """The file to send."""
    blend: Path
    """Where it belongs: the open file. The copy's relative paths and caches start there, not where the copy lies."""
    inspection: Inspection
    """Its first file is ``blend``."""


def take_open_scene(folder: Path, scene: str | None = None, settings: RenderSettings | None = None) -> OpenScene:
    """Save a copy of the open scene into ``folder`` and tell what it is and needs; the open scene stays as it is.

    Raises CannotServe if it can't be rendered so, OSError if Blender can't save it into ``folder``.
    """
    blend = Path(bpy.data.filepath or folder / _UNTITLED)
    copy = folder / blend.name
    try:
        # Paths stay as they are: the job lays the copy out in the place of the open file.
        bpy.ops.wm.save_as_mainfile(filepath=str(copy), copy=True, relative_remap=False, check_existing=False)
    except RuntimeError as error:
        reason = str(error).strip().removeprefix("Error: ")
        raise OSError(f"Blender can't save a copy of the scene into {folder}: {reason}") from error
    shown = {window: window.scene for window in bpy.context.window_manager.windows}
    frames = {one: (one.frame_current, one.frame_subframe) for one in bpy.data.scenes}
    request = InspectRequest(id="open", blend=str(blend), scene=scene, settings=settings or RenderSettings())
    try:
        found = look(request, _unsaved_images())
    finally:
        for one, (frame, subframe) in frames.items():
            if (one.frame_current, one.frame_subframe) != (frame, subframe):
                one.frame_set(frame, subframe=subframe)
        for window, one in shown.items():
            if window.scene != one:
                window.scene = one
    others = [file for file in found.files if file != str(blend)]
    return OpenScene(copy, blend, found.model_copy(update={"files": (str(blend), *others)}))


def _unsaved_images() -> Iterator[str]:
    """Paint that is in memory alone: a .blend holds the pixels of an image only if the image is packed."""
    for image in bpy.data.images:
        if image.is_dirty and image.source != "VIEWER" and used(image) is not Need.UNUSED:
            yield f"{described(image)} has changes that are not saved: save or pack it, or the farm shows it without."
