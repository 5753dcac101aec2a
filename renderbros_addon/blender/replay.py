"""An assembled frame in the place of a render: Cycles hands out its passes, and the rest of Blender goes its own way.

Compositor, view transform, dithering, metadata and file formats are then Blender's own, on the very scene, so they come
out as after a render: nothing of them is imitated here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..imaging.decode import Pixels
from ..imaging.errors import ImageError
from ..imaging.passes import header_texts, read_window
from ..protocol.regions import Region
from ..protocol.states import FailureCode
from .failures import worker_fault
from .versions import cycles_engine

log = logging.getLogger("renderbros.blender")

_NOISY = "Noisy "
"""Cycles' name for a pass as it was before the denoiser starts so."""

_METADATA = ("cycles.", "cryptomatte/")
"""What Cycles itself adds to a frame's metadata."""


@dataclass
class AssembledFrame:
    """A multilayer EXR of floats with everything that Cycles rendered of a frame, before the denoiser."""

    path: Path
    window: Region
    """The part of it that Blender takes for the render: all of it, unless the scene has a border that doesn't crop."""
    denoised: dict[tuple[str, str], Pixels] = field(default_factory=dict)
    """By view layer and view: its Combined pass after the denoiser, shape (height, width, 4), top row first."""

    def read(self, layer: str, passes: list[tuple[str, str]]) -> Iterator[Pixels]:
        """``passes`` of a view layer, each a full name and the letters of its channels: (height, width, channels).

        What has been taken is let go of: all passes of a large frame are gigabytes. CannotServe (``bad_output``) if one
        of them is not there.
        """
        names = [[f"{layer}.{name}.{letter}" for letter in letters] for name, letters in passes]
        with _told():
            channels = read_window(self.path, [name for group in names for name in group], self.window)
        last = {name: i for i, group in enumerate(names) for name in group}
        for i, group in enumerate(names):
            yield np.stack([channels[name] if last[name] > i else channels.pop(name) for name in group], axis=-1)

    def metadata(self) -> dict[str, str]:
        """What Cycles told of itself in the frame. CannotServe (``bad_output``)."""
        with _told():
            return header_texts(self.path, _METADATA)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise worker_fault(FailureCode.BAD_OUTPUT, f"The assembled frame can't be used: {error}") from error


@contextmanager
def replaying(frame: AssembledFrame) -> Iterator[None]:
    """While this lasts, whatever Cycles is asked to render is taken from ``frame``. CannotServe if that failed."""
    engine = cycles_engine()
    problems: list[Exception] = []

    def render(self: Any, depsgraph: Any) -> None:
        try:
            _hand_out(self, depsgraph.view_layer_eval.name, frame)
        except Exception as error:
            # Blender would print it and go on with an empty picture.
            log.debug("handing out an assembled frame failed", exc_info=True)
            # Traces hold the engine, which Blender frees now.
            error.__cause__ = error.__context__ = None
            problems.append(error.with_traceback(None))

    def nothing(self: Any, *_: object) -> None:
        pass

    # Blender looks these up in the class whenever it calls them.
    own = {name: engine.__dict__[name] for name in ("update", "render", "render_frame_finish")}
    for name, instead in (("update", nothing), ("render", render), ("render_frame_finish", nothing)):
        setattr(engine, name, instead)
    try:
        yield
    finally:
        for name, method in own.items():
            setattr(engine, name, method)
    if problems:
        raise problems[0]


def _hand_out(engine: Any, layer: str, frame: AssembledFrame) -> None:
    whole = engine.get_result()
    size = (whole.resolution_x, whole.resolution_y)
    if size != (frame.window.width, frame.window.height):
        raise worker_fault(
            FailureCode.BAD_OUTPUT,
            f"The assembled frame has {frame.window.width}×{frame.window.height} pixels where the scene has "
            f"{size[0]}×{size[1]}.",
        )
    for name, value in frame.metadata().items():
        whole.stamp_data_add_field(name, value)
    for view in [view.name for view in whole.views]:
        result = engine.begin_result(0, 0, *size, layer=layer, view=view)
        try:
            _fill(result.layers[0], view, frame)
        finally:
            engine.end_result(result)


def _fill(layer: Any, view: str, frame: AssembledFrame) -> None:
    empty = []
    for one in layer.passes:
        denoised = frame.denoised.get((layer.name, view))
        if one.name == "Combined" and denoised is not None:
            _put(one, denoised)
        else:
            empty.append(one)
    wanted = [(_source(one.fullname), one.channel_id) for one in empty]
    for one, pixels in zip(empty, frame.read(layer.name, wanted), strict=True):
        _put(one, pixels)


def _source(full_name: str) -> str:
    """The pass that an undenoised render has where a denoised one has ``full_name``."""
    if full_name.startswith(_NOISY):
        return full_name.removeprefix(_NOISY).replace("Image", "Combined", 1)
    return full_name


def _put(one: Any, pixels: Pixels) -> None:
    # Blender counts rows from the bottom.
    one.rect.foreach_set(np.ascontiguousarray(pixels[::-1], np.float32).ravel())
