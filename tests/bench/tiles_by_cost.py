"""Tiles by cost: how much longer than the mean the slowest tile takes, against a grid of as many tiles.

Run it: ``python3 bootstrap/start.py bench tiles_by_cost``. The scene's cost lies in one corner (``tests/scenes.py``
builds it), or it is ``--blend FILE``. Each round renders every tile of both ways, one after another, as a worker does,
in one renderer that has the scene open. Processor time is what the verdict rests on, for other programs on the machine
hardly change it; the clock's time is shown beside it. Both ways' tiles are put together and have to equal the whole
frame, pixel by pixel.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from renderbros_addon.cli import costing, inspection, submission
from renderbros_addon.imaging.assembly import assemble
from renderbros_addon.imaging.cutting import cut
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.protocol.costs import CostMap
from renderbros_addon.protocol.jobs import JobSpec
from renderbros_addon.protocol.regions import Region, TileGrid
from renderbros_addon.protocol.renderer import Rendered, RenderRequest
from renderbros_addon.worker.renderer_process import RendererProcess

Times = list[list[float]]
"""For each round, each tile's seconds."""


class Bench:
    """A renderer with the scene open."""

    def __init__(self, process: RendererProcess, blend: Path, spec: JobSpec, home: Path) -> None:
        self._process = process
        self._family = psutil.Process(process.start().pid)
        self._root = blend.parent
        self.spec = spec
        self._home = home
        self._count = 0

    def render(self, region: Region) -> tuple[Path, float, float]:
        """The tile's file, and its seconds by the clock and of the processor."""
        out = self._home / f"tile-{self._count}"
        out.mkdir()
        self._count += 1
        wall, work = time.perf_counter(), sum(self._family.cpu_times()[:2])
        reply = self._process.request(
            RenderRequest(
                id="tile",
                root=str(self._root),
                spec=self.spec.scene,
                frame=self.spec.frames[0],
                region=region,
                linear=True,
                out_dir=str(out),
            )
        )
        if not isinstance(reply, Rendered):
            raise SystemExit(f"{region}: {reply.message}")
        return Path(reply.path), time.perf_counter() - wall, sum(self._family.cpu_times()[:2]) - work

    def digest(self, tiles: Sequence[tuple[Region, Path]]) -> str:
        """The digest of the pixels that the tiles make up."""
        frame = self._home / "assembled.exr"
        assemble(tiles, self.spec.scene.width, self.spec.scene.height, frame)
        return inspect_image(frame).pixel_digest


def balance(times: Times) -> dict[str, Any]:
    """Slowest over mean, of each round and of each tile's median over the rounds."""
    medians = [statistics.median(tile) for tile in zip(*times, strict=True)]
    return {
        "slowest over mean": max(medians) / statistics.mean(medians),
        "of each round": [max(row) / statistics.mean(row) for row in times],
        "sum": sum(medians),
        "tiles": medians,
    }


def grid_of(count: int) -> TileGrid:
    """The most nearly square grid of ``count`` tiles."""
    rows = max(rows for rows in range(1, int(count**0.5) + 1) if count % rows == 0)
    return TileGrid(columns=count // rows, rows=rows)


def measured(process: RendererProcess, blend: Path) -> tuple[JobSpec, CostMap]:
    """The job that ``render --tiles auto`` would make of frame 1, and the map it carries."""
    wish = submission.wish(
        blend, frames="1", tiles="auto", scene=None, resolution=None, priority=50, allow_missing=False, bundle=False,
        format="OPEN_EXR_MULTILAYER",
    )  # fmt: skip
    found = inspection.inspect(process, wish.blend, wish.scene, wish.settings)
    if found.whole_because:
        raise SystemExit(" ".join(found.whole_because))
    began = time.perf_counter()
    spec = costing.measured(process, wish, found, submission.prepare(wish, found), lambda text: None).spec
    if spec.cost is None:
        raise SystemExit("the renderer measured nothing")
    print(
        f"measured in {time.perf_counter() - began:.1f} s: {sum(spec.cost.cells):.1f} s a frame, "
        f"{spec.cost.overhead * 1000:.0f} ms beside its pixels a tile"
    )
    return spec, spec.cost


def compare(bench: Bench, cost: CostMap, count: int, rounds: int, expected: str) -> list[dict[str, Any]]:
    """Render ``count`` tiles by grid and by cost in turn; the figures of both."""
    scene = bench.spec.scene
    grid = grid_of(count)
    ways = {
        f"grid {grid}": grid.regions(scene.width, scene.height),
        "by cost": cut(cost, scene.width, scene.height, count),
    }
    walls: dict[str, Times] = {way: [] for way in ways}
    works: dict[str, Times] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, tiles in ways.items():
            rendered = [bench.render(tile) for tile in tiles]
            walls[way].append([wall for _, wall, _ in rendered])
            works[way].append([work for _, _, work in rendered])
            paths = [path for path, _, _ in rendered]
            if bench.digest(list(zip(tiles, paths, strict=True))) != expected:
                raise SystemExit(f"{way}: the tiles do not make up the whole frame")
    figures = []
    for way in ways:
        by_work, by_wall = balance(works[way]), balance(walls[way])
        figures.append({"tiles": count, "way": way, "processor": by_work, "clock": by_wall})
        print(
            f"{count:3d} tiles, {way:10s}: slowest {by_work['slowest over mean']:.2f} times the mean "
            f"(rounds {', '.join(f'{one:.2f}' for one in by_work['of each round'])}; "
            f"by the clock {by_wall['slowest over mean']:.2f}), sum {by_work['sum']:.2f} s",
            flush=True,
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, nargs="+", default=[8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--blend", type=Path, help="measure on this scene")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home = Path(folder).resolve()
        blend = options.blend.resolve() if options.blend else home / "scene" / "corner.blend"
        if options.blend is None:
            size = [f"--{name}={getattr(options, name)}" for name in ("width", "height", "samples")]
            scenes = Path(__file__).resolve().parents[1] / "scenes.py"
            subprocess.run(
                [sys.executable, str(scenes), "corner", str(blend), *size], check=True, stdout=subprocess.DEVNULL
            )
        with inspection.renderer(None, home / "scratch") as process:
            spec, cost = measured(process, blend)
            bench = Bench(process, blend, spec, home)
            bench.render(Region(x0=0, y0=0, x1=1, y1=1))  # gets the scene ready
            full = Region.full(spec.scene.width, spec.scene.height)
            whole, wall, work = bench.render(full)
            print(f"whole frame: {wall:.2f} s, {work:.2f} s of processor", flush=True)
            expected = bench.digest([(full, whole)])
            figures = [
                figure for count in options.tiles for figure in compare(bench, cost, count, options.rounds, expected)
            ]
        if options.json:
            options.json.write_text(json.dumps({"cost": cost.model_dump(mode="json"), "ways": figures}, indent=2))


if __name__ == "__main__":
    main()
