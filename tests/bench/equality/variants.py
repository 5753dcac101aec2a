"""Saves the files that the equality bench renders: ``variants.py CASES.json``, a list of cases and where each goes.

Of each case there are two that differ in their format alone: 8-bit PNG, and 32-bit EXR with ``-float`` to its name.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

# This bench's own modules, the helpers of all tests, and the project.
sys.path.extend(str(Path(__file__).resolve().parents[level]) for level in (0, 2, 3))

import bpy
from bench_scenes import BENCH_SCENES
from effects import composite
from matrix import DENOISERS, Case


def build(case: Case, size: tuple[int, int], blend: Path) -> None:
    """Save ``case`` at ``size`` pixels as ``blend``, and beside it the file for floats."""
    scene = BENCH_SCENES[case.scene](*size)
    cycles = scene.cycles
    cycles.use_denoising = case.denoiser != "off"
    cycles.denoiser = "OPENIMAGEDENOISE"
    for name, value in DENOISERS[case.denoiser].items():
        setattr(cycles, name, value)
    if case.adaptive:
        cycles.use_adaptive_sampling, cycles.adaptive_threshold, cycles.adaptive_min_samples = True, 0.05, 4
        cycles.samples *= 3
    scene.render.use_motion_blur, scene.render.motion_blur_shutter = case.blur, 0.8
    scene.render.use_compositing = False
    if case.compositor != "off":
        composite(scene, case.compositor)
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), compress=True)
    image = scene.render.image_settings
    image.file_format, image.color_depth = "OPEN_EXR", "32"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend.with_name(f"{blend.stem}-float.blend")), compress=True)


def main() -> None:
    """Build what the file named on the command line lists."""
    wanted: dict[str, Any] = json.loads(Path(sys.argv[-1]).read_text())
    for order in wanted["orders"]:
        build(Case(**order["case"]), tuple(wanted["size"]), Path(order["blend"]))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Blender as a module can hang on the interpreter's own way out.
    os._exit(0)
