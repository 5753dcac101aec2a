"""How well verification tells cheats from honest renders: false accepts, false rejects, and what can't be told.

Run it: ``python3 bootstrap/start.py bench cheats``. Four scenes are rendered honestly and in some twenty ways that a
cheat would, same seed. Each frame is checked many times as the farm checks it: two crops where its rule draws them, or
all of it, by a worker of the same class, and by workers of other classes: without AVX2, and by other builds of Blender
that ``--other NAME=PATH`` names (a Blender, or a Python that has bpy; it may be given again). Every cheat is this
build's; the checkers are honest. Compared are linear floats, as tiles are, and the 8-bit PNG that is delivered (a
scene's JPEG as a whole only: crops of it have other blocks). *Looks* is level 3: the hashes of what is delivered, by
the submitter's previews, the frames before and after, and copies.

*Together* is what becomes of a frame that is checked: if it looks suspicious, another owner of the cheater's class
renders all of it anew, and every bit has to be equal; otherwise a quarter of the checks are of the whole frame and the
others of crops.

The scenes have no dither, for forged floats are developed apart, and it would be added to renders alone. With it, 4.3
and 4.5 were seen to differ in most 8-bit pixels.

``--quick`` takes two scenes, a few cheats and the same build alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.extend(
    str(path) for path in (Path(__file__).resolve().parent / "cheating", Path(__file__).resolve().parents[1])
)

from catalogue import CHEATS, LAST, SCENES, Cheat
from counting import Findings
from footage import AGAIN, CHEATER, NO_AVX2, Footage, Maker
from judging import Checker, Session
from tables import LEGEND, against_targets, by_level, rows

from renderbros_addon.dispatcher.asking import PARTS, part_size
from renderbros_addon.protocol.regions import Region

QUICK_SCENES = ("interior", "titles")
FRAMES, QUICK_FRAMES = (1, 2, 3, 4), (2,)
SIZE, SAMPLES = (192, 144), 64
DRAWS = 330
"""Checks of each cheated frame, of each honest one ten times as many: with four frames of four scenes enough to tell
one in a thousand, and one in ten thousand."""


def _check(task: tuple[Footage, str, Checker, tuple[Cheat, ...]]) -> Findings:
    began = time.perf_counter()
    _, scene, checker, _ = task
    findings = Session(*task).run()
    print(f"{scene} checked by {checker.name} in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return findings


def measure(footage: Footage, checkers: list[Checker], cheats: tuple[Cheat, ...], jobs: int) -> Findings:
    """Check every scene by every checker."""
    tasks = [(footage, scene, checker, cheats) for checker in checkers for scene in footage.scenes]
    findings = Findings()
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for found in pool.imap_unordered(_check, tasks):
            findings.merge(found)
    return findings


def film(footage: Footage, checkers: list[Checker], cheats: tuple[Cheat, ...]) -> dict[str, str]:
    """Make every frame; the versions of the Blenders that did."""
    footage.build()
    versions = {CHEATER.name: footage.shoot(CHEATER, cheats, previews=True)}
    footage.forge(cheats)
    for checker in checkers:
        versions[checker.name] = footage.shoot(checker.maker)
    return versions


def report(findings: Findings, footage: Footage, checkers: list[Checker], cheats: tuple[Cheat, ...]) -> None:
    print(LEGEND.format(frames=len(footage.frames), scenes=len(footage.scenes)))
    for checker in checkers:
        print(f"\n== checked by {checker.name} ==")
        print("honest linear pixels that differ by more than slightly (and at all):")
        for scene in footage.scenes:
            where = scene, checker.name
            print(f"    {scene}: {100 * findings.apart[where]:.3g} % ({100 * findings.unequal[where]:.3g} %)")
        print()
        print(*by_level(findings, checker.name, cheats), sep="\n")
        for level in findings.levels(checker.name):
            if level.startswith("together"):
                print(f"-- targets for a checked frame, {level} --")
                print(*against_targets(findings, checker.name, level, cheats), sep="\n")


def _other(text: str) -> Maker:
    name, equals, program = text.partition("=")
    if not (name and equals and os.access(program, os.X_OK)):
        raise argparse.ArgumentTypeError(f"written NAME=PATH, where PATH is a Blender or a Python, not {text!r}")
    return Maker(name, program)


def _frames(text: str) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in text.split(",") if number.isdigit() and 1 <= int(number) <= LAST)
    if len(set(numbers)) != text.count(",") + 1:
        raise argparse.ArgumentTypeError(f"written 1,2,4, each once and from 1 to {LAST}, not {text!r}")
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few minutes: two scenes, few cheats, the same build")
    parser.add_argument("--other", type=_other, action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--scene", action="append", choices=SCENES, help="only this one; may be given again")
    parser.add_argument("--frames", type=_frames, metavar="N,N", help=f"of 1 to {LAST}; {FRAMES} if not given")
    parser.add_argument("--draws", type=int, default=DRAWS, help="checks of each cheated frame")
    parser.add_argument("--crops", type=int, default=PARTS, help="that a check compares")
    parser.add_argument("--side", type=int, help="pixels of a crop's side, if not what the farm takes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes that compare")
    parser.add_argument("--json", type=Path, help="write all counts here as well")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="take renders from here, and leave new ones")
    options = parser.parse_args()

    cheats = tuple(cheat for cheat in CHEATS if cheat.quick or not options.quick)
    scenes = options.scene or (QUICK_SCENES if options.quick else SCENES)
    frames = options.frames or (QUICK_FRAMES if options.quick else FRAMES)
    size = (options.side, options.side) if options.side else part_size(Region.full(*SIZE))
    makers = [AGAIN] if options.quick else [AGAIN, NO_AVX2, *options.other]
    checkers = [Checker(maker.name, maker, maker == AGAIN, options.draws, options.crops, size) for maker in makers]
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home = options.keep.resolve() if options.keep else Path(folder)
        footage = Footage(home, scenes, frames, SIZE, SAMPLES)
        versions = film(footage, checkers, cheats)
        findings = measure(footage, checkers, cheats, options.jobs)
    print(f"Cheater: Blender {versions[CHEATER.name]}. Checkers: {versions}")
    report(findings, footage, checkers, cheats)
    if options.json:
        told: dict[str, Any] = {"versions": versions, "rows": rows(findings)}
        told["touched"] = [{"scene": s, "cheat": c, "fraction": f} for (s, c), f in findings.touched.items()]
        told["apart"] = [{"scene": s, "checker": c, "fraction": f} for (s, c), f in findings.apart.items()]
        options.json.write_text(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
