"""A farm for one job, which leaves nothing but the frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ..client.http import DispatcherClient
from ..protocol.frames import format_frames
from ..protocol.jobs import JobView
from ..protocol.renderer import Inspection
from ..worker.renderer_process import RendererProcess
from . import costing, expecting, inspection, preview, submission
from .errors import DONE, FAILED
from .farm import LocalFarm
from .fetching import Fetcher, usable_folder
from .following import Patience, follow
from .output import Output
from .progress import LiveDisplay, PlainDisplay, display
from .settings import Settings
from .starting import Started

DEMO_FRAMES = "1-4"
DEMO_TILES = "2x2"


def build_demo(process: RendererProcess, scratch: Path) -> submission.Wish:
    """Have the sample scene built in ``scratch``; what to render of it."""
    blend = scratch / "demo.blend"
    inspection.build_sample(process, blend)
    return submission.wish(
        blend, frames=DEMO_FRAMES, tiles=DEMO_TILES, scene=None, resolution=None, priority=50, allow_missing=False,
        bundle=True,
    )  # fmt: skip


def run(
    out: Output,
    chosen: Settings,
    renderer: Started,
    out_dir: Path,
    wanted: Callable[[RendererProcess, Path], submission.Wish],
    *,
    film: bool = False,
) -> int:
    """Farm up, job done, frames in ``out_dir``, farm down; the exit code.

    ``renderer`` looks into what is ``wanted``, which gets it together with a folder for scratch.
    """
    began = time.monotonic()
    folder = usable_folder(out_dir)
    farm = LocalFarm(chosen)
    with display(out) as shown:
        shown.step(f"starting a dispatcher and {_workers(chosen.workers)}")
        with farm:
            farm.entrust(renderer.scratch)
            with inspection.renderer(chosen.blender, renderer.scratch, renderer.process) as process:
                wish = wanted(process, renderer.scratch)
                shown.step(f"looking into {wish.blend.name}")
                found = inspection.inspect(process, wish.blend, wish.scene, wish.settings)
                sent = submission.prepare(wish, found)
                sent = costing.measured(process, wish, found, sent, shown.step)
                _announce(out, shown, sent, farm.workers, out_dir)
                farm.ready()
                job, fetcher = _rendered(out, shown, farm, process, wish, found, sent, folder)
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


def _rendered(
    out: Output,
    shown: LiveDisplay | PlainDisplay,
    farm: LocalFarm,
    process: RendererProcess,
    wish: submission.Wish,
    found: Inspection,
    sent: submission.Submission,
    folder: Path,
) -> tuple[JobView, Fetcher]:
    """Send the job and wait for it; it as it ended, and what brought its frames into ``folder``."""

    def client() -> DispatcherClient:
        return DispatcherClient(farm.url, farm.operator_token, retry_for=5.0)

    with client() as dispatcher:
        job = submission.submit(dispatcher, sent).job
        fetcher = Fetcher(dispatcher, job.id, folder)
        patience = Patience(dispatcher, farm.workers)

        def check(job: JobView) -> None:
            farm.check()
            patience.check(job)

        with expecting.Previews(process, wish, found, job.id, sent.spec.frames, client, out.note):
            return follow(dispatcher, job.id, shown, fetcher=fetcher, check=check), fetcher


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
