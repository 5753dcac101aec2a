"""``render`` and ``demo``: a farm for one job. What takes long to load is loaded while Blender starts."""

from __future__ import annotations

from pathlib import Path

import typer

from . import options, settings
from .command import command
from .errors import UsageError
from .output import Output
from .own_process import ended_by_signals
from .starting import started

DEMO_OUT = Path("renderbros-demo")


def register(app: typer.Typer) -> None:
    """Add the commands of this module to ``app``."""
    command(app, "demo")(demo)
    command(app, "render")(render)


def demo(out: Output, /, out_dir: options.Out = None, workers: options.Workers = None) -> int:
    """Render the sample scene on a farm on this machine: four frames, each in 2x2 tiles."""
    chosen = settings.load(workers=workers, verbose=out.verbose or None)
    with ended_by_signals(), started(chosen.blender) as renderer:
        from .rendering import build_demo, run

        return run(out, chosen, renderer, out_dir or DEMO_OUT, build_demo)


def render(
    out: Output,
    /,
    blend: options.Blend,
    frames: options.Frames = None,
    tiles: options.Tiles = None,
    chunk: options.Chunk = None,
    workers: options.Workers = None,
    samples: options.Samples = None,
    engine: options.Engine = None,
    resolution: options.Resolution = None,
    percentage: options.Percentage = None,
    file_format: options.Format = None,
    camera: options.Camera = None,
    view_layers: options.ViewLayers = None,
    seed: options.Seed = None,
    scene: options.Scene = None,
    device: options.Device = None,
    priority: options.Priority = 50,
    allow_missing: options.AllowMissing = False,
    no_bundle: options.NoBundle = False,
    expect: options.Expect = 0,
    blender: options.Blender = None,
    blender_series: options.BlenderSeries = None,
    film: options.Preview = False,
    out_dir: options.Out = None,
) -> int:
    """Render a scene on a farm on this machine, which is gone when the frames are there."""
    chosen = settings.load(workers=workers, blender=blender, verbose=out.verbose or None)
    if not blend.is_file():
        raise UsageError(f"there is no file {blend}")
    with ended_by_signals(), started(chosen.blender) as renderer:
        from . import submission
        from .rendering import run

        wish = submission.wish(
            blend, frames=frames, tiles=tiles, scene=scene, resolution=resolution, priority=priority,
            allow_missing=allow_missing, bundle=not no_bundle, samples=samples, engine=engine, percentage=percentage,
            format=file_format, camera=camera, view_layers=view_layers, seed=seed, device=device, chunk=chunk,
            blender_series=blender_series, expect=expect,
        )  # fmt: skip
        return run(out, chosen, renderer, out_dir or Path(f"{blend.stem}-frames"), lambda *_: wish, film=film)
