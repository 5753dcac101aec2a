"""Short frames: the farm with one worker against Blender's own ``-a`` and against a process per frame.

Run it: ``python3 bootstrap/start.py bench short_frames``. Two scenes, 40 frames each in which a ball and the camera
move: ``crowded``, where to set up what stands still takes longer than the samples, and ``simple``, all samples.
The farm's time runs from the command ``submit`` to the last frame on disk, in a farm that is up, as it is for any job
but the day's first. Each round runs the ways in turn on the same file.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from farm_processes import Farm, run
from measuring import Figure, in_turn, options, ratio, report, timed

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

SCENES = {
    "crowded": ("--width", "320", "--height", "180", "--samples", "2"),
    "simple": ("--width", "480", "--height", "270", "--samples", "4"),
}
GOALS = {"crowded": 0.75, "simple": 1.02}
"""Of Blender's own ``-a``."""
PER_PROCESS_GOAL = 0.35
FARM, ANIMATION, PER_FRAME = "farm", "-a", "process per frame"


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
    words = ("submit", "--expect", "0", blend, "--frames", f"1-{frames}", "--wait", "--out", out, "--json")
    run(*words, "--dispatcher", farm.url, timeout=600)


def measure(farm: Farm, name: str, home: Path, frames: int, rounds: int, slow: bool) -> tuple[list[Figure], object]:
    """The ratios of one scene; without ``slow`` no process per frame."""
    blend = home / f"{name}.blend"
    scenes = Path(__file__).resolve().parents[1] / "scenes.py"
    subprocess.run([sys.executable, str(scenes), name, str(blend), *SCENES[name]], check=True)

    def counted(way: str, turn: int, seconds: float) -> float:
        found = len(list((home / name / way / str(turn)).glob("*.png")))
        if found != frames:
            raise SystemExit(f"{way}: {found} frames instead of {frames}")
        return seconds

    def out(way: str, turn: int) -> Path:
        folder = home / name / way / str(turn)
        folder.mkdir(parents=True)
        return folder

    ways = {
        FARM: lambda turn: timed(lambda: through_farm(farm, blend, out(FARM, turn), frames)),
        ANIMATION: lambda turn: timed(lambda: animation(blend, out(ANIMATION, turn), 1, frames)),
    }
    if slow:
        ways[PER_FRAME] = lambda turn: timed(lambda: process_per_frame(blend, out(PER_FRAME, turn), frames))
    checked = {way: lambda turn, way=way, go=go: counted(way, turn, go(turn)) for way, go in ways.items()}
    print(f"{name}, seconds for {frames} frames:", flush=True)
    seconds = in_turn(checked, rounds)
    figures = [ratio(seconds, FARM, ANIMATION, GOALS[name])]
    if slow:
        figures.append(ratio(seconds, FARM, PER_FRAME, PER_PROCESS_GOAL))
    return [Figure(f"{name}: {f.name}", f.values, at_most=f.at_most) for f in figures], seconds


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--scene", choices=sorted(SCENES), action="append", help="only this one")
    parser.add_argument("--quick", action="store_true", help="without a process per frame, which takes longest")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home = Path(folder)
        figures: list[Figure] = []
        raw = {}
        with Farm(home) as farm:
            farm.start_worker("bench")
            blend = home / "warm.blend"
            scenes = Path(__file__).resolve().parents[1] / "scenes.py"
            subprocess.run([sys.executable, str(scenes), "simple", str(blend)], check=True)
            through_farm(farm, blend, home / "warm", 1)
            for name in asked.scene or SCENES:
                found, raw[name] = measure(farm, name, home, asked.frames, asked.rounds, not asked.quick)
                figures += found
        report(figures, raw, asked.json)


if __name__ == "__main__":
    main()
