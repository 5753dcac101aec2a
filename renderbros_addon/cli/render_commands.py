"""``render`` and ``demo``: a farm for one job. What takes long to load is loaded while Blender starts."""

from __future__ import annotations

from pathlib import Path

import typer

from . import options, settings
from .asked import AS_IN_SCENE, Asked
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
    asked: Asked = AS_IN_SCENE,
    workers: options.Workers = None,
    expect: options.Expect = 0,
    blender: options.Blender = None,
    film: options.Preview = False,
    out_dir: options.Out = None,
) -> int:
    """Render a scene on a farm on this machine, which is gone when the frames are there."""
    chosen = settings.load(workers=workers, blender=blender, verbose=out.verbose or None)
    if not blend.is_file():
        raise UsageError(f"there is no file {blend}")
    with ended_by_signals(), started(chosen.blender) as renderer:
        from .rendering import run

        wish = asked.wish(blend, expect)
        return run(out, chosen, renderer, out_dir or Path(f"{blend.stem}-frames"), lambda *_: wish, film=film)
