"""What checking a worker costs the others: render seconds for each second of its own, on probation and in the long run.

Run it: ``python3 bootstrap/start.py bench check_cost``. A real renderer renders whole frames, and then parts of them as
the dispatcher draws them, each frame in turn with its parts, as PNG and as the linear EXR of a tile. With the seconds
that both take, the rates of ``dispatcher/trust.py`` give the extra seconds. Ratios against the whole frames rendered
beside them, so that a busy machine slows both alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from renderbros_addon.cli import inspection
from renderbros_addon.dispatcher.asking import PARTS, part_size
from renderbros_addon.dispatcher.trust import FLOOR, REPLICA_SHARE
from renderbros_addon.imaging.attention import draw_regions
from renderbros_addon.protocol.jobs import JobFile, RenderSettings, SceneSpec
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.renderer import Rendered, RenderRequest
from renderbros_addon.worker.renderer_process import RendererProcess

SCENES = Path(__file__).resolve().parents[1] / "scenes.py"
EVEN = ((1.0,),)
WIDTH, HEIGHT = 960, 540


def spec_of(process: RendererProcess, blend: Path) -> SceneSpec:
    found = inspection.inspect(process, blend, None, RenderSettings())
    return SceneSpec(
        blend=blend.name,
        files=(JobFile(path=blend.name, sha256="0" * 64, size=blend.stat().st_size),),
        width=found.width,
        height=found.height,
        format=found.format,
        series=(found.series,),
        engine=found.engine,
    )


def seconds(process: RendererProcess, spec: SceneSpec, frame: int, region: Region, linear: bool, out: Path) -> float:
    """Inside Blender's render call, with the writing of the file."""
    out.mkdir()
    reply = process.request(
        RenderRequest(
            id="x",
            root=str(out.parent),
            spec=spec,
            frame=frame,
            region=region,
            linear=linear,
            out_dir=str(out),
        )
    )
    if not isinstance(reply, Rendered):
        raise SystemExit(f"frame {frame}, {region}: {reply}")
    return reply.render_seconds


def measure(process: RendererProcess, spec: SceneSpec, frames: int, linear: bool, home: Path) -> float:
    """Seconds of a part over those of the whole frame, the median."""
    random, whole = Random(1), Region.full(spec.width, spec.height)
    numbers = iter(range(100_000))

    def rendered(frame: int, region: Region) -> float:
        return seconds(process, spec, frame, region, linear, home / f"{'linear' if linear else 'png'}-{next(numbers)}")

    rendered(1, whole)  # opens the scene, which a worker of the job has open already
    ratios = []
    for frame in range(1, frames + 1):
        full = rendered(frame, whole)
        parts = draw_regions(EVEN, whole, part_size(whole), PARTS, random)
        ratios += [rendered(frame, part) / full for part in parts]
    return statistics.median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    rows = []
    share = part_size(Region.full(WIDTH, HEIGHT))
    of_frame = share[0] * share[1] / (WIDTH * HEIGHT)
    print(f"{PARTS} parts of {share[0]}x{share[1]} pixels of {WIDTH}x{HEIGHT}, {of_frame:.1%} each")
    print(f"{'format':10}{'a part':>10}{'on probation':>16}{'in the long run':>18}   of the frame's own render time")
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home = Path(folder)
        blend = home / "bench.blend"
        size = ("--width", str(WIDTH), "--height", str(HEIGHT), "--samples", str(options.samples))
        subprocess.run([sys.executable, str(SCENES), "simple", str(blend), *size], check=True)
        with inspection.renderer(None, home) as process:
            spec = spec_of(process, blend)
            for name, linear in (("PNG", False), ("linear", True)):
                part = measure(process, spec, options.frames, linear, home)
                each = (1 - REPLICA_SHARE) * PARTS * part + REPLICA_SHARE
                row = {"format": name, "part": part, "probation": each, "steady": FLOOR * each, "whole": FLOOR}
                rows.append(row)
                print(f"{name:10}{part:>10.1%}{each:>16.1%}{FLOOR * each:>18.2%}", flush=True)
    print(f"{'not local':10}{'100.0%':>10}{1:>16.1%}{FLOOR:>18.2%}   (denoised and the like: checked whole)")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
