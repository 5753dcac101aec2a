"""The call into Blender that renders and writes, and what its complaints mean."""

from __future__ import annotations

import errno
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..protocol.renderer import RenderedExtra
from ..protocol.states import FailureCode
from .failures import CannotServe, scene_fault, worker_fault
from .outputs import PICTURE, Extra, writing_to, written_extras, written_picture
from .versions import literal_path

_OUT_OF_MEMORY = re.compile(r"out of memory|bad_alloc|malloc|failed to allocate", re.IGNORECASE)
_DEVICE_LOST = re.compile(r"\b(CUDA|OptiX|HIP|oneAPI|Metal)\b", re.IGNORECASE)
_TOO_LITTLE_DISK = 16 << 20
"""Bytes. A frame that can't be written with less than this left free was most likely kept out by a full disk."""


@dataclass(frozen=True)
class Written:
    """What became of a request: files, and how."""

    path: Path
    """The picture."""
    extras: tuple[RenderedExtra, ...]
    seconds: float
    """In Blender."""
    device: str
    parts: tuple[Path, ...] = ()
    """The pictures of the parts that were asked for, of which ``path`` is the first."""


def write_frame(scene: Any, extras: list[Extra], frame: int, out_dir: Path) -> tuple[Path, tuple[RenderedExtra, ...]]:
    """Have ``scene`` rendered and its files written below ``out_dir``: the picture, and which ``extras`` it made.

    Raises CannotServe.
    """
    with writing_to(scene, out_dir):
        scene.render.filepath = literal_path(str(out_dir / PICTURE))
        call_blender(scene, out_dir)
        path = written_picture(scene, out_dir)
        if not path.is_file() or path.stat().st_size == 0:
            raise writing_failed("Blender finished without writing the frame.", None, out_dir)
        return path, written_extras(extras, out_dir, frame)


def call_blender(scene: Any, out_dir: Path) -> None:
    """Have Blender render ``scene`` and write it below ``out_dir``, where its path points; CannotServe if it can't."""
    try:
        result = bpy.ops.render.render(write_still=True, scene=scene.name)
    except RuntimeError as error:
        message = str(error).strip().removeprefix("Error: ")
        if _OUT_OF_MEMORY.search(message):
            raise worker_fault(FailureCode.OUT_OF_MEMORY, f"Rendering ran out of memory: {message}") from error
        if _DEVICE_LOST.search(message):
            raise worker_fault(FailureCode.NO_DEVICE, f"The GPU failed while rendering: {message}") from error
        if re.search(r"(could not|cannot|unable to) (write|save|open)|error writing", message, re.IGNORECASE):
            raise writing_failed(message, None, out_dir) from error
        raise scene_fault(FailureCode.RENDER_ERROR, f"Blender could not render the frame: {message}") from error
    if "FINISHED" not in result:
        raise scene_fault(FailureCode.RENDER_ERROR, f"Blender did not finish the frame: {', '.join(result)}.")


def writing_failed(message: str, number: int | None, folder: Path) -> CannotServe:
    """What to raise for a file that could not be written into ``folder``; ``number`` is the ``errno``, if known."""
    if number == errno.ENOSPC or shutil.disk_usage(folder).free < _TOO_LITTLE_DISK:
        return worker_fault(FailureCode.DISK_FULL, f"The disk of {folder} is full: {message}")
    return scene_fault(FailureCode.RENDER_ERROR, message)
