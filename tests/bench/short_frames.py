"""Short frames: the farm with one worker against Blender's own ``-a`` and against a process per frame.

Run it: ``python3 bootstrap/start.py bench short_frames``. Each round runs the three ways in turn on the same file, so
that a busy machine slows all three alike; what counts is the ratio within a round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from farm_processes import Farm, run

BLENDER_ANIMATION = """
import sys, bpy
blend, out, first, last = sys.argv[1:]
bpy.ops.wm.open_mainfile(filepath=blend, use_scripts=False)
scene = bpy.context.scene
scene.frame_start, scene.frame_end, scene.render.filepath = int(first), int(last), out + "/frame_####"
bpy.ops.render.render(animation=True)
sys.stdout.flush()
import os
os._exit(0)
"""
"""What ``blender -b FILE -s FIRST -e LAST -a`` does, for the bpy wheel, which has no command line of its own."""


def animation(blend: Path, out: Path, first: int, last: int) -> None:
    subprocess.run(
        [sys.executable, "-c", BLENDER_ANIMATION, str(blend), str(out), str(first), str(last)],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def process_per_frame(blend: Path, out: Path, frames: int) -> None:
    for frame in range(1, frames + 1):
        animation(blend, out, frame, frame)


def through_farm(farm: Farm, blend: Path, out: Path, frames: int) -> None:
    run(
        "submit",
        "--expect",
        "0",
        blend,
        "--frames",
        f"1-{frames}",
        "--dispatcher",
        farm.url,
        "--wait",
        "--out",
        out,
        "--json",
        timeout=600,
    )


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home = Path(folder)
        blend = home / "bench.blend"
        scenes = Path(__file__).resolve().parents[1] / "scenes.py"
        size = ("--width", "480", "--height", "270", "--samples", "4")
        subprocess.run([sys.executable, str(scenes), "simple", str(blend), *size], check=True)
        rows = []
        with Farm(home) as farm:
            farm.start_worker("bench")
            # The first job pays for starting the renderer, as the first job of any farm's day does; a farm that is
            # up already is what later jobs meet, so that is what is measured.
            through_farm(farm, blend, home / "warm", 1)
            for turn in range(options.rounds):
                out = home / f"round-{turn}"
                seconds = {
                    "farm": timed(lambda out=out: through_farm(farm, blend, out / "farm", options.frames)),
                    "-a": timed(lambda out=out: animation(blend, out / "a", 1, options.frames)),
                    "process per frame": timed(lambda out=out: process_per_frame(blend, out / "p", options.frames)),
                }
                rows.append(seconds)
                print("  ".join(f"{way} {value:.2f} s" for way, value in seconds.items()), flush=True)
                for way in ("farm", "a", "p"):
                    found = len(list((out / way).glob("*.png")))
                    if found != options.frames:
                        raise SystemExit(f"{way}: {found} frames instead of {options.frames}")
        figures = {f"farm over {way}": [row["farm"] / row[way] for row in rows] for way in ("-a", "process per frame")}
        for name, ratios in figures.items():
            print(f"{name}: median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")
        if options.json:
            options.json.write_text(json.dumps({"seconds": rows, "ratios": figures}, indent=2))


if __name__ == "__main__":
    main()
