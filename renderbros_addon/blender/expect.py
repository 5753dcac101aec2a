"""What frames look like in small previews of them, for their hashes to be compared with those of finished frames."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..imaging.errors import ImageError
from ..imaging.expected import expectation
from ..imaging.fingerprint import inspect_image
from ..protocol.expectations import MAX_EXPECTED, ExpectedFrame
from ..protocol.renderer import Previewed, PreviewRequest
from ..protocol.results import Output
from ..protocol.states import FailureKind
from .configure import (
    apply_format,
    apply_output,
    apply_settings,
    job_format,
    pick_scene,
    refuse_scripts,
    require_camera,
    settings_kept,
)
from .denoise import require_denoiser
from .devices import choose_device_or_cpu
from .failures import CannotServe
from .frame_names import frame_name
from .freshness import keep_what_stays_fresh
from .open import open_blend
from .outputs import extras_of
from .progress import ProgressBoard
from .regions import canvas_of
from .render_call import write_frame
from .versions import cycles_preferences

log = logging.getLogger("renderbros.blender")

SIDES = (256, 192)
"""Pixels along the longer side of the first and the second preview of a frame. A cell of the hashes' grid is scaled to
32 pixels, of which the first has one each; what the second shows otherwise depends on the size and is left out."""

MOST_SAMPLES = 16
"""Of a pixel. What more of them would show is noise in a preview, and the second one tells where."""

LEAST_QUALITY = 90
"""Percent, of lossy formats: their artefacts are coarser in a small picture."""

_MOST_PROBLEMS = 5


def preview(request: PreviewRequest, board: ProgressBoard) -> Previewed:
    """Open ``request.blend`` and preview frames of it with the settings of the job, as they are delivered: through
    compositor, sequencer and view transform, in the job's format.

    CannotServe if nothing of the scene can be rendered. The scene's settings are afterwards what they were.
    """
    open_blend(Path(request.blend))
    began = time.monotonic()
    scene = pick_scene(request.scene)
    found: dict[int, ExpectedFrame] = {}
    problems: list[str] = []
    with settings_kept(scene):
        apply_settings(scene, request.settings)
        refuse_scripts(scene)
        require_denoiser(scene)
        if scene.render.engine == "CYCLES":
            choose_device_or_cpu(scene, request.device, cycles_preferences())
            scene.cycles.samples = min(scene.cycles.samples, MOST_SAMPLES)
            scene.cycles.use_layer_samples = "IGNORE"
        apply_format(scene, job_format(scene, request.settings.format))
        scene.render.image_settings.quality = max(scene.render.image_settings.quality, LEAST_QUALITY)
        apply_output(scene)
        small = _Small(scene)
        wanted = min(len(request.frames), MAX_EXPECTED)
        with board.counting(request.id, wanted) as tell:
            slowest = 0.0
            for done, place in enumerate(spread_order(len(request.frames))):
                started = time.monotonic()
                # What has begun can't be stopped, so that one which would go on for too long is not begun.
                if done == wanted or (done and started - began + slowest > request.seconds):
                    break
                frame = request.frames[place]
                try:
                    found[frame] = small.expected(frame)
                except (CannotServe, ImageError) as error:
                    log.warning("no preview of frame %d: %s", frame, error)
                    problems.append(f"Frame {frame} can't be previewed: {error}")
                    if isinstance(error, CannotServe) and error.kind is not FailureKind.SCENE:
                        break
                # The first one gets the scene ready, for which later ones need not pay.
                slowest = max(slowest, time.monotonic() - started) if done > 1 else time.monotonic() - started
                tell(done + 1)
    return Previewed(
        id=request.id,
        expected=tuple(found[frame] for frame in sorted(found)),
        problems=tuple(problems[:_MOST_PROBLEMS]),
    )


def spread_order(count: int) -> Iterator[int]:
    """0 to ``count`` - 1, each once: the first, the last, the one in the middle, those between these, and so on."""
    if count > 0:
        yield 0
    if count > 1:
        yield count - 1
    gaps = [(0, count - 1)]
    while gaps:
        halves = []
        for low, high in gaps:
            middle = (low + high) // 2
            if low < middle < high:
                yield middle
                halves += [(low, middle), (middle, high)]
        gaps = halves


class _Small:
    """The scene made small."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._percentage = int(scene.render.resolution_percentage)
        self._longer = max(canvas_of(scene.render).width, canvas_of(scene.render).height)
        self._extras = extras_of(scene, frame_name(scene)[0])
        self._seed = int(scene.cycles.seed) if scene.render.engine == "CYCLES" else None

    def expected(self, frame: int) -> ExpectedFrame:
        """What ``frame`` looks like. Raises CannotServe, ImageError."""
        self._scene.frame_set(frame)
        require_camera(self._scene)
        keep_what_stays_fresh(self._scene)
        return expectation(frame, self._render(frame, 0), self._render(frame, 1))

    def _render(self, frame: int, number: int) -> Output:
        # By the percentage: that is how compositor nodes know how large their blurs and shifts are to be.
        factor = SIDES[number] / self._longer
        self._scene.render.resolution_percentage = max(1, round(self._percentage * min(1.0, factor)))
        if self._seed is not None:
            self._scene.cycles.seed = (self._seed + number) % (1 << 31)
        with tempfile.TemporaryDirectory(prefix="preview-") as folder:
            path, _ = write_frame(self._scene, self._extras, frame, Path(folder))
            return inspect_image(path, finite=False)
