"""Whether frames made of tiles equal Blender's own: denoiser, compositor, adaptive sampling, motion blur, odd splits.

Run it: ``python3 bootstrap/start.py bench tiled_equality``. Each case is a file that is rendered twice: by Blender
alone, untiled, and in tiles by RenderBros' renderer, assembled and finished. Without denoiser and compositor both must
be equal to the last bit; with them, no 8-bit channel may be off by more than 1 level, and 99.99 % of the pixels must be
identical. The cases are few of the many possible, chosen so that each two settings meet (``--quick``: each setting
occurs; ``--full``: all there are). It exits with 1 if a case misses its target.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.extend(
    str(path) for path in (Path(__file__).resolve().parent / "equality", Path(__file__).resolve().parents[1])
)

from comparing import Difference, difference
from in_blender import script_command
from looked_into import scene_spec
from matrix import FRAME, SCENES, Case, enough, every_case

from renderbros_addon.imaging.assembly import assemble
from renderbros_addon.protocol.jobs import SceneSpec
from renderbros_addon.protocol.renderer import (
    Failed,
    FinishRequest,
    Inspection,
    InspectRequest,
    Rendered,
    RenderRequest,
)
from renderbros_addon.worker.command import renderer_command
from renderbros_addon.worker.renderer_process import RendererProcess

SCRIPTS = Path(__file__).resolve().parent / "equality"


class CannotTile(Exception):
    """RenderBros would render this file whole, or could not render it; the message says why."""


@dataclass(frozen=True)
class Row:
    """What came of a case."""

    case: Case
    found: Difference | None
    problem: str = ""

    @property
    def verdict(self) -> str:
        """``exact``, ``within`` the target, ``MISSED``, or why there is nothing to compare."""
        if self.found is None:
            return f"MISSED: {self.problem}"
        if not self.found.meets(exact=self.case.exact):
            return "MISSED"
        return "exact" if self.found.meets(exact=True) else "within"


class TileRenderer:
    """RenderBros' side: a renderer as a worker has it, and what a dispatcher does with its tiles."""

    def __init__(self, process: RendererProcess, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._count = 0

    def series(self) -> str:
        """The Blender series of the renderer."""
        return self._process.start().capabilities.blender

    def frame(self, case: Case, blend: Path, stem: Path) -> None:
        """Render ``blend`` in tiles, and finish them as ``stem``.png and ``stem``.exr; CannotTile says why not."""
        spec = self._spec(blend)
        tiles = []
        for region in case.regions(spec.width, spec.height):
            order = {"root": str(blend.parent), "spec": spec, "frame": FRAME, "region": region, "linear": True}
            reply = self._process.request(RenderRequest(id="tile", out_dir=self._empty_folder(), **order))
            tiles.append((region, self._path(reply)))
        assembled = stem.with_name(f"{stem.name}-assembled.exr")
        assemble(tiles, spec.width, spec.height, assembled)
        # The same scene, set to write floats, finishes the same tiles.
        floats = self._spec(blend.with_name(f"{blend.stem}-float.blend"))
        for suffix, wanted in ((".png", spec), (".exr", floats)):
            order = {"root": str(blend.parent), "spec": wanted, "frame": FRAME, "assembled": str(assembled)}
            reply = self._process.request(FinishRequest(id="frame", out_dir=self._empty_folder(), **order))
            self._path(reply).rename(stem.with_suffix(suffix))
        for path in (assembled, *(path for _, path in tiles)):
            path.unlink()

    def _spec(self, blend: Path) -> SceneSpec:
        """The job that a submitter would make of ``blend``."""
        found = self._process.request(InspectRequest(id="look", blend=str(blend)))
        if not isinstance(found, Inspection):
            raise CannotTile(found.message)
        if found.whole_because:
            raise CannotTile("whole: " + " ".join(found.whole_because))
        return scene_spec(blend, found)

    def _path(self, reply: Rendered | Failed) -> Path:
        if isinstance(reply, Failed):
            raise CannotTile(f"{reply.code}: {reply.message}")
        return Path(reply.path)

    def _empty_folder(self) -> str:
        self._count += 1
        folder = self._folder / f"out{self._count}"
        folder.mkdir()
        return str(folder)


def measure(cases: Iterable[Case], size: tuple[int, int], home: Path) -> tuple[str, list[Row]]:
    """Render every case both ways below ``home``; the renderer's Blender version, and a row a case.

    A line of the table is printed as soon as its case is done.
    """
    orders = [
        {"case": case.as_row(), "blend": str(home / f"{i:03}.blend"), "own": str(home / f"{i:03}-own")}
        for i, case in enumerate(cases)
    ]
    listed = home / "cases.json"
    listed.write_text(json.dumps({"orders": orders, "size": size, "frame": FRAME}))
    for script, what in (("variants.py", "files built"), ("own.py", "rendered by Blender alone")):
        with timed(f"{len(orders)} {what}"):
            _run(SCRIPTS / script, listed, home / f"{script}.log")
    rows = []
    with RendererProcess(renderer_command(None), scratch=home / "scratch") as process, timed("rendered in tiles"):
        renderer = TileRenderer(process, home)
        version = renderer.series()
        print(HEADING)
        for order in orders:
            case, blend, own = Case(**order["case"]), Path(order["blend"]), Path(order["own"])  # type: ignore[arg-type]
            ours = own.with_name(own.name.replace("own", "tiled"))
            try:
                renderer.frame(case, blend, ours)
                rows.append(Row(case, difference(own, ours)))
            except (CannotTile, ValueError) as error:
                rows.append(Row(case, None, str(error)))
            print(line(rows[-1]), flush=True)
    return version, rows


def _run(script: Path, argument: Path, log: Path) -> None:
    with log.open("wb") as output:
        done = subprocess.run(script_command(script, argument), stdout=output, stderr=output, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{script.name} failed:\n{log.read_text(errors='replace')[-3000:]}")


@contextmanager
def timed(what: str) -> Any:
    """Say afterwards how long it took."""
    start = time.perf_counter()
    yield
    print(f"{what} in {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)


HEADING = (
    f"{'scene':9} {'denoiser':9} {'compositor':13} {'adaptive':8} {'blur':4} {'split':6} {'max level':>9} "
    f"{'identical %':>11} {'float max':>9} {'relative':>9}  verdict"
)


def line(row: Row) -> str:
    """A row of the table."""
    case, found = row.case, row.found
    figures = f"{'':41}"
    if found is not None:
        figures = (
            f"{found.max_level:9} {100 * found.identical:11.4f} {found.max_absolute:9.2g} {found.max_relative:9.2g}"
        )
    switches = f"{'on' if case.adaptive else 'off':8} {'on' if case.blur else 'off':4}"
    return f"{case.scene:9} {case.denoiser:9} {case.compositor:13} {switches} {case.split:6} {figures}  {row.verdict}"


def summary(rows: list[Row]) -> str:
    """How many kept their target, and the worst of those that were compared."""
    missed = [row for row in rows if row.verdict.startswith("MISSED")]
    exact = sum(row.verdict == "exact" for row in rows)
    text = (
        f"{len(rows)} cases: {exact} exact, {len(rows) - exact - len(missed)} within the target, {len(missed)} missed"
    )
    compared = [(row, row.found) for row in rows if row.found is not None]
    if compared:
        worst, _ = max(compared, key=lambda pair: (pair[1].max_level, -pair[1].identical, pair[1].max_relative))
        text += f"\nthe worst:\n{line(worst)}"
    return text


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdigit() and height.isdigit() and int(width) >= 16 and int(height) >= 16):
        raise argparse.ArgumentTypeError(f"written WIDTHxHEIGHT, at least 16x16, not {text!r}")
    return int(width), int(height)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--quick", action="store_true", help="a handful of cases in which each setting occurs")
    amount.add_argument("--full", action="store_true", help="every combination: hours")
    parser.add_argument("--scene", action="append", choices=SCENES, help="only this one; may be given again")
    parser.add_argument("--size", type=_size, default=(320, 180), metavar="WxH", help="pixels of a frame")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave files and pictures in this new folder")
    options = parser.parse_args()

    cases = every_case(options.scene or SCENES)
    if not options.full:
        cases = enough(cases, 1 if options.quick else 2)
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home = Path(folder)
        if options.keep:
            home = options.keep.resolve()
            home.mkdir(parents=True)
        version, rows = measure(cases, options.size, home)
    print(f"Blender {version}, {options.size[0]}x{options.size[1]} pixels, {summary(rows)}")
    if options.json:
        found = [
            row.case.as_row() | (asdict(row.found) if row.found else {}) | {"verdict": row.verdict} for row in rows
        ]
        options.json.write_text(json.dumps({"blender": version, "size": options.size, "cases": found}, indent=2))
    if any(row.verdict.startswith("MISSED") for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
