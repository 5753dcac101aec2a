"""Scaling: how much sooner two workers of one thread each are through than one, and how much sooner they could be.

Run it: ``python3 bootstrap/start.py bench scaling``. An animation of frames of about a second each, and a still in
8×8 tiles. What the machine itself can do is measured beside the farm: one plain Blender process of one thread on all
frames against two, each on every other frame, started together. Cores that share memory, caches or a clock keep even
those below 2; the farm's part is the ratio to them. All ways take turns on the same files.

Both workers are one owner's, as those of ``farm --workers 2`` are: they don't check each other. With ``--strangers``
each is an owner of its own, and what newcomers have to render again of each other's frames is in the figure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from farm_processes import Farm, run
from measuring import Figure, in_turn, options, report, timed

PLAIN = """
import sys, bpy
blend, out, first, last, step = sys.argv[1:]
bpy.ops.wm.open_mainfile(filepath=blend, use_scripts=False)
scene = bpy.context.scene
scene.render.threads_mode, scene.render.threads = "FIXED", 1
scene.render.use_persistent_data = True
scene.frame_start, scene.frame_end, scene.frame_step = int(first), int(last), int(step)
scene.render.filepath = out + "/frame_####"
bpy.ops.render.render(animation=True)
sys.stdout.flush()
import os
os._exit(0)
"""

FRAMES = 24
SIZE = ("--width", "320", "--height", "180", "--samples", "4")
STILL_SIZE = ("--width", "1280", "--height", "720", "--samples", "24")
GOAL = 1.9
OWNER = "the secret of both workers' owner"
ANIMATION, TILES, POSSIBLE = "animation", "tiled still", "plain Blender"


def plain(blend: Path, out: Path, frames: int, processes: int) -> None:
    """``processes`` Blenders of one thread each, side by side, each on every ``processes``-th frame."""
    command = [sys.executable, "-c", PLAIN, str(blend), str(out)]
    running = [
        subprocess.Popen([*command, str(first), str(frames), str(processes)], stdout=subprocess.DEVNULL)
        for first in range(1, processes + 1)
    ]
    codes = [process.wait() for process in running]
    if any(codes):
        raise SystemExit("plain Blender failed")


def through(farm: Farm, blend: Path, out: Path, *words: str) -> None:
    asked = ("submit", blend, "--expect", "0", *words, "--wait", "--out", out, "--json")
    run(*asked, "--dispatcher", farm.url, timeout=900)


class Bench:
    """Farms of one and of two workers, and the files that they render."""

    def __init__(self, home: Path, farms: dict[int, Farm], frames: int) -> None:
        self._home, self._farms, self._frames = home, farms, frames
        self._animation = self._built("animation", SIZE)
        self._still = self._built("still", STILL_SIZE)

    def _built(self, name: str, size: Sequence[str]) -> Path:
        blend = self._home / f"{name}.blend"
        scenes = Path(__file__).resolve().parents[1] / "scenes.py"
        subprocess.run([sys.executable, str(scenes), "simple", str(blend), *size], check=True)
        return blend

    def warm(self) -> None:
        """Renderers start before anything is measured, as in a farm that is up."""
        for number, farm in self._farms.items():
            through(farm, self._animation, self._home / f"warm{number}", "--frames", f"1-{2 * number}")

    def seconds(self, what: str, workers: int, turn: int) -> float:
        """From the command to the last file on disk, by so many workers or processes."""
        out = self._home / f"{what}{workers}" / str(turn)
        out.mkdir(parents=True)
        if what == POSSIBLE:
            taken = timed(lambda: plain(self._animation, out, self._frames, workers))
        elif what == ANIMATION:
            farm = self._farms[workers]
            taken = timed(lambda: through(farm, self._animation, out, "--frames", f"1-{self._frames}"))
        else:
            farm = self._farms[workers]
            taken = timed(lambda: through(farm, self._still, out, "--frames", "1", "--tiles", "8x8"))
        expected, found = 1 if what == TILES else self._frames, len(list(out.glob("*.png")))
        if found != expected:
            raise SystemExit(f"{what}: {found} frames instead of {expected}")
        return taken


def measure(bench: Bench, rounds: int, only: Sequence[str]) -> tuple[list[Figure], object]:
    """The speed-ups from one to two."""
    ways = {f"{what}, {workers}": (what, workers) for what in only for workers in (1, 2)}
    turns = {way: lambda turn, one=one: bench.seconds(one[0], one[1], turn) for way, one in ways.items()}
    found = in_turn(turns, rounds)
    sped = {
        what: tuple(one / two for one, two in zip(found[f"{what}, 1"], found[f"{what}, 2"], strict=True))
        for what in only
    }
    figures = [
        Figure(f"{what}: speed-up by a second worker", values, at_least=None if what == POSSIBLE else GOAL)
        for what, values in sped.items()
    ]
    if POSSIBLE in sped:
        figures += [
            Figure(
                f"{what}: of the possible speed-up",
                tuple(a / b for a, b in zip(sped[what], sped[POSSIBLE], strict=True)),
            )
            for what in sped
            if what != POSSIBLE
        ]
    return figures, found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--strangers", action="store_true", help="the two workers are two owners'")
    parser.add_argument("--only", choices=(ANIMATION, TILES, POSSIBLE), action="append")
    asked = parser.parse_args()
    os.environ["RENDERBROS_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home = Path(folder)
        for number in (1, 2):
            (home / f"farm{number}").mkdir()
        with Farm(home / "farm1") as alone, Farm(home / "farm2") as pair:
            alone.start_worker("one", "--threads", "1")
            for name in ("one", "two"):
                pair.start_worker(name, "--threads", "1", owner=None if asked.strangers else OWNER)
            bench = Bench(home, {1: alone, 2: pair}, asked.frames)
            bench.warm()
            figures, raw = measure(bench, asked.rounds, asked.only or (POSSIBLE, ANIMATION, TILES))
        report(figures, raw, asked.json)


if __name__ == "__main__":
    main()
