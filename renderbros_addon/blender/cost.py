"""Measure what a frame costs, and where, by timing parts of a small preview of it."""

from __future__ import annotations

import math
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..imaging.cost_patches import Floats, cost_map, refine, spread
from ..imaging.decode import read_channels
from ..protocol.costs import CostMap
from ..protocol.jobs import DeviceKind
from ..protocol.regions import Region
from ..protocol.renderer import CostMeasured, MeasureCostRequest
from .configure import (
    apply_linear,
    apply_output,
    apply_settings,
    pick_scene,
    refuse_scripts,
    require_camera,
    settings_kept,
)
from .devices import choose_device_or_cpu
from .open import open_blend
from .regions import Canvas, canvas_of, set_border
from .render import adaptive_margin
from .render_call import call_blender, writing_failed
from .versions import cycles_preferences, literal_path

PREVIEW_SHARE = 1 / 64
"""Of the frame's pixels."""

MIN_PIXELS, MAX_PIXELS = 96 * 96, 512 * 512
"""Of a preview, where the frame has so many: fewer would not show where the cost lies."""

FEWEST_PIXELS = 48 * 48
"""Of the preview of a very slow frame with adaptive sampling, which takes all samples to show where they go."""

BUDGET_SHARE, MIN_BUDGET, MAX_BUDGET = 0.03, 2.5, 15.0
"""Measuring may take this share of the time that the frame is estimated to take, within these bounds in seconds. What
comes before it, opening the file and getting the scene ready to render, takes what it takes."""

PASSES = 10
"""One rendering of the whole preview shall take this part of the budget: each halving of patches renders about as much
once more."""

OVERHEAD_REPEATS = 5

SAMPLE_COUNTS = "Debug Sample Count"
"""In shares of the samples that a pixel gets at most."""


@dataclass(frozen=True)
class Taken:
    """How long a render took, in seconds."""

    wall: float
    work: float
    """Processor time of all threads together, which other programs on the machine hardly change. On a GPU the same as
    ``wall``."""


def measure_cost(request: MeasureCostRequest) -> CostMeasured:
    """Open ``request.blend`` and measure one frame of it with the settings of the job; CannotServe says why not.

    The scene's settings are afterwards what they were.
    """
    open_blend(Path(request.blend))
    scene = pick_scene(request.scene)
    with settings_kept(scene), tempfile.TemporaryDirectory(prefix="cost-") as folder:
        apply_settings(scene, request.settings)
        refuse_scripts(scene)
        device = choose_device_or_cpu(scene, request.device, cycles_preferences())
        apply_linear(scene)
        apply_output(scene)
        scene.frame_set(request.frame)
        require_camera(scene)
        preview = _Preview(scene, Path(folder), device)
        return CostMeasured(id=request.id, cost=preview.measure(), device=device)


class _Preview:
    """The scene made small, with a clock."""

    def __init__(self, scene: Any, folder: Path, device: DeviceKind) -> None:
        self._scene = scene
        self._folder = folder
        self._on_cpu = device == "CPU"
        self._threads = _threads(scene) if self._on_cpu else 1
        scene.render.filepath = literal_path(str(folder / "preview"))
        self._full = canvas_of(scene.render)
        self._margin = adaptive_margin(scene)
        self._samples = _Samples(scene)
        self._canvas = self._full
        self._resize(min(max(self._pixels(self._full) * PREVIEW_SHARE, MIN_PIXELS), MAX_PIXELS))

    def measure(self) -> CostMap:
        """The map of the whole frame at full size and samples.

        Timed with the same number of samples everywhere. Where Cycles gives clean pixels fewer of them, how many each
        pixel gets is counted besides: timing parts with all their samples would take too long to be done finely.
        """
        self._samples.fix(1)
        self._render(self._pixel)  # gets the scene ready, which no later render pays for again
        quick = self._render(self._limits).wall
        estimate = quick * self._scale * self._samples.total
        budget = min(max(BUDGET_SHARE * estimate, MIN_BUDGET), MAX_BUDGET)
        shares = self._count_samples(budget, quick) if self._samples.adaptive else None
        deadline = time.monotonic() + budget
        self._samples.fix(min(self._samples.total, max(1, int(budget / PASSES / quick))))
        empty = [self._render(self._pixel) for _ in range(OVERHEAD_REPEATS)]
        overhead = statistics.median(taken.work for taken in empty)
        noise = max(taken.work for taken in empty) - min(taken.work for taken in empty)
        patches = refine(
            self._limits,
            lambda region: self._render(region).work - overhead,
            noise=noise,
            go_on=lambda: time.monotonic() < deadline,
        )
        pixels = spread(patches, self._canvas.output)
        if shares is not None:
            x, y = self._limits.x0 - self._canvas.output.x0, self._limits.y0 - self._canvas.output.y0
            pixels[y : y + self._limits.height, x : x + self._limits.width] *= shares
        return cost_map(
            pixels * (self._scale * self._samples.total / self._samples.now / self._threads),
            overhead=statistics.median(taken.wall for taken in empty),
            margin=self._margin,
        )

    def _count_samples(self, budget: float, quick: float) -> Floats:
        """The share of all samples that each pixel in the limits gets.

        Rendering the preview may take ``budget`` seconds, where one sample takes it ``quick``. A frame that is too slow
        for that even at FEWEST_PIXELS is counted with fewer samples, which makes it look more even than it is.
        """
        before = self._pixels(self._canvas)
        slow = quick * self._samples.total / budget
        if slow > 1 and before > FEWEST_PIXELS:
            self._resize(max(before / slow, FEWEST_PIXELS))
            quick *= self._pixels(self._canvas) / before
        self._samples.count(min(self._samples.total, max(1, int(budget / quick))))
        self._render(self._limits)
        file = self._folder / "preview.exr"
        if not file.is_file():
            raise writing_failed("Blender finished without writing the preview.", None, self._folder)
        counted = [pixels for name, pixels in read_channels(file).channels.items() if SAMPLE_COUNTS in name]
        self._samples.fix(1)
        self._render(self._pixel)  # the scene may have to be made ready for the new size
        return np.mean(counted, axis=0, dtype=np.float64) if counted else np.ones(1)

    @property
    def _limits(self) -> Region:
        """What is rendered, in pixels of the preview's whole camera frame."""
        return self._canvas.border or self._canvas.output

    @property
    def _pixel(self) -> Region:
        """One pixel, the cheapest thing to render."""
        x0, y0 = self._limits.x0, self._limits.y0
        return Region(x0=x0, y0=y0, x1=x0 + 1, y1=y0 + 1)

    @property
    def _scale(self) -> float:
        """Pixels of the frame for one of the preview."""
        return self._pixels(self._full) / self._pixels(self._canvas)

    @staticmethod
    def _pixels(canvas: Canvas) -> int:
        limits = canvas.border or canvas.output
        return limits.width * limits.height

    def _resize(self, pixels: float) -> None:
        """Make what is rendered of the frame about ``pixels`` large, never larger than it is."""
        render, full = self._scene.render, self._full
        factor = min(1.0, math.sqrt(pixels / self._pixels(full)))
        # At 100 %: a percentage would round the sides of a small frame too coarsely.
        render.resolution_percentage = 100
        render.resolution_x = max(4, round(full.full_width * factor))
        render.resolution_y = max(4, round(full.full_height * factor))
        if full.border is not None:
            set_border(render, full.border, full, crop=full.cropped)
        self._canvas = canvas_of(render)

    def _render(self, region: Region) -> Taken:
        set_border(self._scene.render, region, self._canvas, crop=True)
        wall, work = time.perf_counter(), self._work()
        call_blender(self._scene, self._folder)
        return Taken(time.perf_counter() - wall, self._work() - work)

    def _work(self) -> float:
        return time.process_time() if self._on_cpu else time.perf_counter()


class _Samples:
    """How many samples Cycles takes of a pixel."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self.total = int(scene.cycles.samples)
        """What the frame is rendered with, at most."""
        self.now = self.total
        self.adaptive = bool(scene.cycles.use_adaptive_sampling)
        """Clean pixels get fewer."""

    def fix(self, samples: int) -> None:
        """Take so many of each pixel."""
        self._set(samples, adaptive=False)

    def count(self, samples: int) -> None:
        """Take so many at most, and write how many."""
        self._set(samples, adaptive=True)

    def _set(self, samples: int, *, adaptive: bool) -> None:
        self._scene.cycles.samples = self.now = samples
        self._scene.cycles.use_adaptive_sampling = adaptive
        for layer in self._scene.view_layers:
            layer.cycles.pass_debug_sample_count = adaptive


def _threads(scene: Any) -> int:
    if scene.render.threads_mode == "FIXED":
        return int(scene.render.threads)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
