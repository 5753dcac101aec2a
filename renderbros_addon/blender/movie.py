"""A film of finished frames, by Blender's own encoder: for looking at, not for keeping."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import bpy

from ..imaging.decode import ImageFile
from ..protocol.movies import Playback
from ..protocol.renderer import Encoded, EncodeRequest
from ..protocol.states import FailureCode
from .failures import CannotServe, scene_fault, worker_fault
from .versions import literal_path, new_strips, set_h264

_STRIP_FRAMES = 500
"""Adding an image to a strip copies all that it has, so a long film is laid out in several."""

_LEAST_SIDE = 16
"""Pixels. A smaller film the encoder does not take."""


def playback(scene: Any) -> Playback:
    """How ``scene`` plays and shows its frames; numbers that a damaged file has wrong are brought into range."""
    view = scene.view_settings
    return Playback(
        fps=min(max(scene.render.fps, 1), 32767),
        fps_base=_within(scene.render.fps_base, 1e-5, 1e6, 1.0),
        view_transform=view.view_transform or "Standard",
        look=view.look or "None",
        exposure=_within(view.exposure, -32.0, 32.0, 0.0),
        gamma=_within(view.gamma, 0.0, 5.0, 1.0),
    )


def _within(value: float, least: float, most: float, otherwise: float) -> float:
    return min(max(value, least), most) if math.isfinite(value) else otherwise


def encode(request: EncodeRequest) -> Encoded:
    """Write ``request.frames`` as an H.264 film in an MP4 file; CannotServe if that can't be done.

    Frames of an odd width or height lose their last column or row, because colours are stored for every second pixel;
    no pixel is scaled. The open file is gone afterwards.
    """
    if not bpy.app.build_options.codec_ffmpeg:
        raise worker_fault(
            FailureCode.UNKNOWN_FORMAT, "This Blender was built without FFmpeg, so it can't make a film of the frames."
        )
    paths = [Path(frame) for frame in request.frames]
    width, height = _size(paths)
    even = width - width % 2, height - height % 2
    if min(even) < _LEAST_SIDE:
        raise scene_fault(
            FailureCode.BAD_SETTING,
            f"Frames of {width}×{height} pixels are too small for a film, which needs {_LEAST_SIDE} a side.",
        )
    scene = _cutting_room(request, even)
    strips = new_strips(scene)
    start = 1
    for part in _parts(paths):
        strip = strips.new_image("frames", str(part[0]), 1, start, fit_method="ORIGINAL")
        for path in part[1:]:
            strip.elements.append(path.name)
        # Strips are centred: half a pixel back, where one was left over, puts pixels onto pixels.
        strip.transform.offset_x, strip.transform.offset_y = width % 2 / 2, -(height % 2) / 2
        strip.transform.filter = "NEAREST"
        start += len(part)
    scene.frame_start, scene.frame_end = 1, len(paths)
    # Of a film's path Blender replaces more than of an image's: # by the range of frames, in 4.5 also names in braces.
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        _write(scene, film)
        shown = _frames_in(film, len(paths))
        shutil.move(film, request.path)
    return Encoded(id=request.id, frames=shown, width=even[0], height=even[1])


def _size(paths: Sequence[Path]) -> tuple[int, int]:
    """Of all images alike, in pixels. Blender would show one that it can't read as black, or fall over it."""
    sizes: dict[tuple[int, int], Path] = {}
    for path in dict.fromkeys(paths):
        with ImageFile(path) as file:
            sizes.setdefault((file.width, file.height), path)
    if len(sizes) > 1:
        (a, b), (c, d) = list(sizes)[:2]
        one, other = list(sizes.values())[:2]
        raise scene_fault(
            FailureCode.SIZE_MISMATCH,
            f"A film needs frames of one size, but {one.name} has {a}×{b} pixels and {other.name} has {c}×{d}.",
        )
    return next(iter(sizes))


def _parts(paths: Sequence[Path]) -> Iterator[list[Path]]:
    for _, group in groupby(paths, key=lambda path: path.parent):
        together = list(group)
        for start in range(0, len(together), _STRIP_FRAMES):
            yield together[start : start + _STRIP_FRAMES]


def _cutting_room(request: EncodeRequest, size: tuple[int, int]) -> Any:
    """An empty scene that is set to write a film of ``size``, and to show frames as they look."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    render, plays = scene.render, request.playback
    try:
        set_h264(render)
    except TypeError as error:
        raise worker_fault(
            FailureCode.UNKNOWN_FORMAT, f"This Blender's FFmpeg has no H.264 encoder, so it can't make a film: {error}"
        ) from error
    render.resolution_x, render.resolution_y = size
    render.resolution_percentage = 100
    render.fps, render.fps_base = plays.fps, plays.fps_base
    render.use_sequencer, render.use_compositing, render.use_file_extension = True, False, False
    render.dither_intensity = 0
    view = scene.view_settings
    view.view_transform = "Standard"
    if request.linear:
        for name in ("view_transform", "look"):
            try:
                setattr(view, name, getattr(plays, name))
            except TypeError:
                # A transform that another Blender has, or that a configuration of the submitter's added.
                continue
        view.exposure, view.gamma = plays.exposure, plays.gamma
    return scene


def _write(scene: Any, path: Path) -> None:
    scene.render.filepath = literal_path(str(path))
    try:
        result = bpy.ops.render.render(animation=True)
    except RuntimeError as error:
        raise _failed(str(error).strip().removeprefix("Error: ")) from error
    if "FINISHED" not in result or not path.is_file() or not path.stat().st_size:
        raise _failed("it wrote nothing")


def _frames_in(path: Path, expected: int) -> int:
    """How many frames Blender finds in the film; CannotServe if not as many as were ``expected``."""
    try:
        clip = bpy.data.movieclips.load(str(path))
    except RuntimeError as error:
        raise _failed(f"it can't read what it wrote: {error}") from error
    found = int(clip.frame_duration)
    bpy.data.movieclips.remove(clip)
    if found != expected:
        raise _failed(f"the film has {found} frames, not {expected}")
    return found


def _failed(why: str) -> CannotServe:
    return worker_fault(FailureCode.BAD_OUTPUT, f"Blender could not make a film of the frames: {why}")
