"""Tiled stills: a still in 8×8 tiles against the same still untiled, through the same farm with one worker.

Run it: ``python3 bootstrap/start.py bench tiles``. The still is RenderBros' sample scene at 1280×720, as an artist
would tile it: ``plain`` takes about a minute on two cores, ``adaptive`` has a noise threshold (then a margin is
rendered around each tile), ``denoised`` is denoised once it is whole, and ``cheap`` is the worst case: few samples
against the same work beside them. The time runs from the command ``submit`` to the file on disk, both ways, in a farm
that is up. Beside it stands what the renderer itself was busy with. The pixels of both ways are compared.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from farm_processes import Farm, run
from measuring import Figure, in_turn, options, ratio, report, timed

from renderbros_addon.imaging.decode import read_channels

STILL = """
import os, sys
from pathlib import Path
import bpy
from renderbros_addon.blender.sample import build_sample
blend, width, height, samples, adaptive, denoised = sys.argv[1:]
build_sample(Path(blend))
scene = bpy.context.scene
scene.render.resolution_x, scene.render.resolution_y = int(width), int(height)
scene.cycles.samples = int(samples)
scene.cycles.use_adaptive_sampling, scene.cycles.use_denoising = adaptive == "1", denoised == "1"
bpy.ops.wm.save_as_mainfile(filepath=blend, compress=True)
sys.stdout.flush()
os._exit(0)
"""

WIDTH, HEIGHT = 1280, 720
STILLS = {"plain": (44, 0, 0), "adaptive": (256, 1, 0), "denoised": (32, 0, 1), "cheap": (6, 0, 0)}
"""Samples, adaptive sampling, denoiser."""
GOAL = 1.10
TILED, WHOLE = "8x8 tiles", "untiled"
_TOOK = re.compile(r"rendered frame \d+ in ([\d.]+) s")


class Bench:
    """A farm with one worker, and a still for it."""

    def __init__(self, farm: Farm, home: Path, name: str, tiles: str, scale: int) -> None:
        self._farm, self._home, self._name, self._tiles = farm, home, name, tiles
        self._log = farm.folder / "bench.log"
        home.mkdir(exist_ok=True)
        self.blend = home / f"{name}.blend"
        self.inside: dict[str, list[float]] = {TILED: [], WHOLE: []}
        samples, adaptive, denoised = STILLS[name]
        words = (WIDTH * scale // 100, HEIGHT * scale // 100, samples, adaptive, denoised)
        root = str(Path(__file__).resolve().parents[2])
        subprocess.run(
            [sys.executable, "-c", STILL, str(self.blend), *map(str, words)],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": root},
        )  # fmt: skip

    def picture(self, way: str, turn: int) -> Path:
        return self._home / self._name / f"{way[:3]}{turn}" / "frame_0001.png"

    def render(self, way: str, turn: int) -> float:
        """Seconds from the command to the file."""
        out = self.picture(way, turn).parent
        words: list[str | Path] = ["submit", self.blend, "--expect", "0", "--frames", "1", "--wait", "--out", out]
        words += ["--tiles", self._tiles] if way == TILED else []
        before = self._log.stat().st_size
        seconds = timed(lambda: run(*words, "--dispatcher", self._farm.url, "--json", timeout=900))
        with self._log.open("rb") as log:
            log.seek(before)
            self.inside[way].append(sum(map(float, _TOOK.findall(log.read().decode()))))
        return seconds

    def compare(self, rounds: int) -> float:
        """The share of 8-bit channels that differ between the ways; SystemExit if by more than one level."""
        worst = 0.0
        for turn in range(rounds):
            one, other = (read_channels(self.picture(way, turn)).channels for way in (TILED, WHOLE))
            off = np.stack([np.abs(one[name].astype(int) - other[name].astype(int)) for name in one])
            if off.max() > (1 if STILLS[self._name][2] else 0):
                raise SystemExit(
                    f"{self._name}: the tiled still differs from the untiled one, by up to {off.max()} of 255"
                )
            worst = max(worst, float((off > 0).mean()))
        return worst


def measure(bench: Bench, name: str, rounds: int) -> tuple[list[Figure], dict[str, Any]]:
    """A still's ratios, and what they are made of."""
    print(f"{name}, seconds from submit to the file on disk:", flush=True)
    seconds = in_turn({way: lambda turn, way=way: bench.render(way, turn) for way in (TILED, WHOLE)}, rounds)
    differing = bench.compare(rounds)
    goal = None if name == "cheap" else GOAL
    whole = ratio(seconds, TILED, WHOLE, goal)
    inside = ratio(bench.inside, TILED, WHOLE)
    more = tuple(tiled - untiled for tiled, untiled in zip(seconds[TILED], seconds[WHOLE], strict=True))
    figures = [
        Figure(f"{name}: {whole.name}", whole.values, at_most=goal),
        Figure(f"{name}: {inside.name}, in the renderer alone", inside.values),
        Figure(f"{name}: {WHOLE}", tuple(seconds[WHOLE]), "s"),
        Figure(f"{name}: more than {WHOLE}", more, "s"),
    ]
    return figures, {"seconds": seconds, "in the renderer": bench.inside, "differing channels": differing}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--still", choices=sorted(STILLS), action="append", help="only this one")
    parser.add_argument("--tiles", default="8x8")
    parser.add_argument("--scale", type=int, default=100, help="percent of the resolution")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home = Path(folder)
        figures: list[Figure] = []
        raw = {}
        with Farm(home) as farm:
            farm.start_worker("bench")
            warm = Bench(farm, home / "warm", "cheap", "2x2", 10)
            warm.render(TILED, 0)
            for name in asked.still or STILLS:
                found, raw[name] = measure(Bench(farm, home, name, asked.tiles, asked.scale), name, asked.rounds)
                figures += found
        report(figures, raw, asked.json)


if __name__ == "__main__":
    main()
