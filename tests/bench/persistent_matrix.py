"""Whether a renderer that keeps a scene open shows every kind of change as a fresh Blender does, pixel for pixel.

Run it: ``python3 bootstrap/start.py bench persistent_matrix``. In each scene one thing changes. Blender alone renders
its frames, each in a process of its own; RenderBros' renderer renders them out of order in one process, with
persistent data wherever it trusts that. Every value of every pass must be equal. It exits with 1 if one is not.

``--trusting`` has persistent data on always, to see what Blender itself gets wrong.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import numpy as np
from in_blender import script_command
from looked_into import scene_spec

from renderbros_addon.imaging.decode import Pixels, read_channels
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.renderer import Failed, Inspection, InspectRequest, RenderRequest
from renderbros_addon.worker.command import renderer_command
from renderbros_addon.worker.renderer_process import RendererLost, RendererProcess

TESTS = Path(__file__).resolve().parents[1]
SCRIPTS = TESTS / "bench" / "persistence"
ORDER = (1, 5, 3, 3, 1)
"""The frames as they are rendered."""


@dataclass(frozen=True)
class Row:
    """What came of a change."""

    name: str
    verdict: str
    """``equal``, ``DIFFERS``, or why there is nothing to compare."""
    wrong: tuple[int, ...] = ()
    """Places in ORDER whose frames differ."""
    share: float = 0.0
    """The greatest share of values that differ in a frame."""
    moves: bool = True
    """The fresh frames differ from each other, as they are meant to."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="only this change; may be given again")
    parser.add_argument("--trusting", action="store_true", help="keep persistent data on whatever the scene is")
    parser.add_argument("--json", type=Path, help="write the table here as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        version, rows = measure(Path(folder), set(options.only or ()), trusting=options.trusting)
    wrong = [row for row in rows if not row.verdict.startswith(("equal", "unavailable"))]
    print(f"Blender {version}: {sum(row.verdict.startswith('equal') for row in rows)} of {len(rows)} equal")
    if options.json:
        told = {"blender": version, "trusting": options.trusting, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(told, indent=2))
    if wrong:
        raise SystemExit(1)


def measure(home: Path, only: set[str], *, trusting: bool) -> tuple[str, list[Row]]:
    """The renderer's Blender version, and a row a change; each is printed as soon as it is known."""
    built = _built(home, only)
    command = renderer_command(None)
    if trusting:
        command = [str(SCRIPTS / "trusting_renderer.py") if part.endswith("start.py") else part for part in command]
    rows = []
    with ThreadPoolExecutor(2) as pool, RendererProcess(command, scratch=home / "scratch") as process:
        version = process.start().capabilities.blender
        ready = [name for name, told in built.items() if not told]
        fresh = {(name, frame): pool.submit(_fresh, home, name, frame) for name in ready for frame in set(ORDER)}
        for name, told in built.items():
            if told:
                rows.append(Row(name, told.strip().splitlines()[-1]))
            else:
                expected = {frame: fresh[name, frame].result() for frame in sorted(set(ORDER))}
                kept = list(_kept(process, home, name))
                rows.append(_compared(name, expected, kept))
                if rows[-1].wrong:
                    stills = {frame: _fresh(home, name, frame, "still") for frame in expected}
                    if (row := _compared(name, stills, kept)).verdict == "equal":
                        rows[-1] = replace(row, verdict="equal to F12, which differs from an animation")
            print(line(rows[-1]), flush=True)
    return version, rows


def line(row: Row) -> str:
    """A row of the table."""
    told = f" at {row.wrong} by {100 * row.share:.1f} % of the values" if row.wrong else ""
    return f"{row.name:30} {row.verdict}{told}{'' if row.moves else '  (nothing changes)'}"


def _built(home: Path, only: set[str]) -> dict[str, str]:
    names = only or _names()
    orders = home / "orders.json"
    scenes = {name: str(home / name / "scene.blend") for name in names}
    orders.write_text(json.dumps({"scenes": scenes, "path": sys.path}))
    _run(script_command(SCRIPTS / "build.py", orders), home / "build.log")
    return dict(json.loads((home / "built.json").read_text()))


def _names() -> list[str]:
    """Told by the text of the modules, since this process has no Blender."""
    found: list[str] = []
    for module in ("changing_shapes", "changing_looks", "changing_views"):
        text = (TESTS / f"{module}.py").read_text()
        listed = text.rpartition("= (")[2].partition(")")[0]
        found += [name.strip() for name in listed.split(",") if name.strip()]
    return found


def _run(command: list[str], log: Path) -> None:
    with log.open("wb") as output:
        done = subprocess.run(command, stdout=output, stderr=output, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command} failed:\n{log.read_text(errors='replace')[-3000:]}")


Frame = dict[str, Pixels]


def _fresh(home: Path, name: str, frame: int, way: str = "animation") -> Frame:
    out = home / name / way
    command = script_command(SCRIPTS / "fresh.py", way, home / name / "scene.blend", str(frame), out)
    _run(command, home / f"{name}{frame}.log")
    return read_channels(next(out.parent.glob(f"{way}_{frame}.*"))).channels


def _kept(process: RendererProcess, home: Path, name: str) -> Iterator[Frame | str]:
    """The frames of ORDER, or what kept one from being rendered."""
    blend = home / name / "scene.blend"
    found = process.request(InspectRequest(id="look", blend=str(blend)))
    if not isinstance(found, Inspection):
        yield found.message
        return
    spec = scene_spec(blend, found)
    region = Region.full(found.width, found.height)
    for place, frame in enumerate(ORDER):
        out = blend.parent / f"out{place}"
        out.mkdir()
        try:
            reply = process.request(
                RenderRequest(
                    id="frame", root=str(blend.parent), spec=spec, frame=frame, region=region, linear=False,
                    out_dir=str(out),
                )
            )  # fmt: skip
        except RendererLost as lost:
            yield f"lost: {lost.message}"
            return
        yield reply.message if isinstance(reply, Failed) else read_channels(Path(reply.path)).channels


def _compared(name: str, expected: dict[int, Frame], kept: Iterable[Frame | str]) -> Row:
    first, last = expected[min(expected)], expected[max(expected)]
    moves = _differing(first, last) > 0
    wrong, worst = [], 0.0
    for place, (frame, found) in enumerate(zip(ORDER, kept, strict=False)):
        if isinstance(found, str):
            return Row(name, found.partition("\n")[0][:150], moves=moves)
        share = _differing(expected[frame], found)
        if share:
            wrong.append(place)
            worst = max(worst, share)
    return Row(name, "DIFFERS" if wrong else "equal", tuple(wrong), worst, moves)


def _differing(expected: Frame, found: Frame) -> float:
    """The share of values that differ; what is no number in both is equal. 1 for other passes or another size."""
    if expected.keys() != found.keys() or any(expected[key].shape != found[key].shape for key in expected):
        return 1.0
    shares = [np.mean(expected[key] != found[key]) for key in expected if not _alike(expected[key], found[key])]
    return float(np.mean(shares)) if shares else 0.0


def _alike(expected: Pixels, found: Pixels) -> bool:
    return bool(np.array_equal(expected, found, equal_nan=expected.dtype.kind == "f"))


if __name__ == "__main__":
    main()
