"""``render`` and ``demo``: a farm for one job, which leaves nothing but the frames."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import typer

from ..client.http import DispatcherClient
from ..protocol.frames import format_frames
from ..protocol.jobs import JobView
from . import costing, expecting, inspection, options, preview, settings, submission
from .command import command
from .errors import DONE, FAILED
from .farm import LocalFarm
from .fetching import Fetcher, usable_folder
from .following import Patience, follow
from .output import Output
from .own_process import ended_by_signals
from .progress import LiveDisplay, PlainDisplay, display

DEMO_FRAMES = "1-4"
DEMO_TILES = "2x2"
DEMO_OUT = Path("renderbros-demo")


def register(app: typer.Typer) -> None:
    """Add the commands of this module to ``app``."""
    command(app, "demo")(demo)
    command(app, "render")(render)


def demo(out: Output, /, out_dir: options.Out = None, workers: options.Workers = None) -> int:
    """Render the sample scene on a farm on this machine: four frames, each in 2x2 tiles."""
    chosen = settings.load(workers=workers)
    return _run(out, chosen, out_dir or DEMO_OUT, blend=None, asked={"frames": DEMO_FRAMES, "tiles": DEMO_TILES})


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
    chosen = settings.load(workers=workers, blender=blender)
    asked = {
        "frames": frames, "tiles": tiles, "scene": scene, "resolution": resolution, "priority": priority,
        "allow_missing": allow_missing, "bundle": not no_bundle, "engine": engine, "samples": samples,
        "percentage": percentage, "format": file_format, "camera": camera, "view_layers": view_layers,
        "seed": seed, "device": device, "chunk": chunk, "blender_series": blender_series,
        "expect": expect,
    }  # fmt: skip
    return _run(out, chosen, out_dir or Path(f"{blend.stem}-frames"), blend=blend, asked=asked, film=film)


def _run(
    out: Output,
    chosen: settings.Settings,
    out_dir: Path,
    *,
    blend: Path | None,
    asked: dict[str, Any],
    film: bool = False,
) -> int:
    """Farm up, job done, frames in ``out_dir``, farm down. ``blend`` is None for the sample scene."""
    began = time.monotonic()
    asked = {"scene": None, "resolution": None, "priority": 50, "allow_missing": False, "bundle": True} | asked
    if blend is not None:
        submission.wish(blend, **asked)  # what is plainly wrong is told before anything starts
    folder = usable_folder(out_dir)
    farm = LocalFarm(chosen)
    with ended_by_signals(), display(out) as shown:
        shown.step(f"starting a dispatcher and {_workers(chosen.workers)}")
        with farm, DispatcherClient(farm.url, retry_for=5.0) as client:
            with inspection.renderer(chosen.blender, farm.path("inspection")) as process:
                if blend is None:
                    shown.step("building the sample scene")
                    blend = farm.path("demo.blend")
                    inspection.build_sample(process, blend)
                shown.step(f"looking into {blend.name}")
                wish = submission.wish(blend, **asked)
                found = inspection.inspect(process, wish.blend, wish.scene, wish.settings)
                sent = submission.prepare(wish, found)
                sent = costing.measured(process, wish, found, sent, shown.step)
                sent = expecting.expected(process, wish, found, sent, shown.step)
            _announce(out, shown, sent, farm.workers, out_dir)
            job = submission.submit(client, sent).job
            fetcher = Fetcher(client, job.id, folder)
            patience = Patience(client, farm.workers)

            def check(job: JobView) -> None:
                farm.check()
                patience.check(job)

            job = follow(client, job.id, shown, fetcher=fetcher, check=check)
            made = None
            if film:
                shown.step("making the film")
                made = preview.of_job(out, job, fetcher, chosen.blender, farm.path("film"))
    seconds = time.monotonic() - began
    files = fetcher.files
    pictures = [file for file in files if file.is_picture]
    out.result(
        {
            "status": job.status.value,
            "job": job.id,
            "out": str(fetcher.out),
            "frames": [file.as_json() for file in pictures],
            "extras": [file.as_json() for file in files if not file.is_picture],
            "width": job.width,
            "height": job.height,
            "tiles": str(job.tiles) if job.tiles else None,
            "tile_count": job.tile_count,
            "notes": job.notes,
            "seconds": round(seconds, 3),
        }
        | (made.as_json() if made else {}),
        f"{_frames(len(pictures))} of {job.width}x{job.height} pixels in {fetcher.out} after {seconds:.1f} s",
    )
    return FAILED if made and made.problem else DONE


def _announce(
    out: Output, shown: LiveDisplay | PlainDisplay, sent: submission.Submission, workers: int, out_dir: Path
) -> None:
    spec = sent.spec
    each = f", each in {spec.tiles} tiles" if spec.tiles else ", each in tiles by cost" if spec.cost else ""
    count = f"{_frames(len(spec.frames))} ({format_frames(spec.frames)})"
    out.note(
        f"{spec.name}: {count} of {spec.scene.width}x{spec.scene.height} pixels{each}, "
        f"with {spec.scene.engine} on {_workers(workers)}, into {out_dir}"
    )
    for note in spec.notes:
        out.note(f"note: {note}")
    shown.step("sending the scene")


def _frames(count: int) -> str:
    return f"{count} frame{'' if count == 1 else 's'}"


def _workers(count: int) -> str:
    return f"{count} worker{'' if count == 1 else 's'}"
