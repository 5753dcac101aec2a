"""Parts of one frame, one after the other: what Cycles holds of the frame serves for all of them.

Blender evaluates a frame anew for every render, and tells Cycles that whatever is animated has changed, though it is
where it was. One moving object is enough for Cycles to build the search tree of all triangles again: measured, 50 ms a
tile for a still life of 35,000 triangles, which grows with the scene.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .freshness import has_diced
from .versions import cycles_engine

_held: object = None
"""What was rendered last, if Cycles still holds the scene as that found it; None if it may not."""


def forget() -> None:
    """The open file, or what Cycles holds of it, is not what the last part was rendered from."""
    global _held
    _held = None


@contextmanager
def frame_held(scene: Any, what: object) -> Iterator[bool]:
    """Render the scene within: if ``what`` equals that of the render before, Cycles takes its scene for unchanged.

    ``what`` says all that a request decides but for the region. Yields whether the scene is at that frame already.
    Nobody but requests may change the open file.
    """
    global _held
    same, _held = _may_hold(scene) and what == _held, None
    if not _may_hold(scene):
        yield False
        return
    engine = cycles_engine()
    own = engine.__dict__["update"]

    def update(self: Any, data: Any, depsgraph: Any) -> None:
        if same and self.session:
            # There is nothing left to evaluate, but afterwards nothing counts as changed any more.
            depsgraph.update()
        own(self, data, depsgraph)

    engine.update = update
    try:
        yield same
    finally:
        engine.update = own
    _held = what


def _may_hold(scene: Any) -> bool:
    """Whether Cycles keeps all it needs for the next part.

    Of several view layers each changes the scene. What is diced for the camera is not known to stay. The camera's
    motion is lost with every render, and comes back only with the objects'.
    """
    layers = [layer for layer in scene.view_layers if layer.use]
    return (
        scene.render.engine == "CYCLES"
        and len(layers) == 1
        and not scene.render.use_multiview
        and not scene.render.use_motion_blur
        and not layers[0].use_pass_vector
        and not has_diced(scene)
    )


def sets_itself(scene: Any) -> bool:
    """Whether going to a frame changes settings of ``scene`` itself, which are put back after each request."""
    return scene.animation_data is not None or any(marker.camera for marker in scene.timeline_markers)
