"""Hostile files: hundreds of damaged .blend files through the real inspection and the real render.

Run it: ``python3 bootstrap/start.py bench hostile_files``. Two small scenes are saved plain and packed, then cut short,
and their bits, headers, versions, DNA, block headers, pointers and numbers changed, all by a seed. Each file goes to a
guarded renderer as the agent starts it. Every one must end in a good picture or in a failure with a name, within the
task's time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from damaged_blends import TASK_SECONDS, Gauntlet, Outcome, damaged
from in_blender import script_command
from measuring import Figure, options, report

from renderbros_addon.protocol.states import FailureCode
from renderbros_addon.worker.command import chosen_blender, renderer_command
from renderbros_addon.worker.guard import Guard, find_guard
from renderbros_addon.worker.limits import Limits
from renderbros_addon.worker.renderer_process import RendererProcess

SIZE = (24, 16)


def good_scenes(home: Path) -> list[bytes]:
    scenes = Path(__file__).resolve().parents[1] / "scenes.py"
    found = []
    for name in ("simple", "finished"):
        path = home / f"{name}.blend"
        words = (name, path, "--width", str(SIZE[0]), "--height", str(SIZE[1]), "--samples", "1")
        subprocess.run(script_command(scenes, *words), check=True, stdout=subprocess.DEVNULL)
        found.append(path.read_bytes())
    return found


def starter(home: Path, guard: Guard, limits: Limits) -> Gauntlet:
    files = home / "files"
    files.mkdir()
    count = 0

    def start() -> RendererProcess:
        nonlocal count
        count += 1
        scratch = home / f"scratch-{count}"
        scratch.mkdir()

        def wrap(command: list[str]) -> list[str]:
            return guard.wrap(command, readable=[], writable=[scratch, files])

        return RendererProcess(
            renderer_command(chosen_blender(None)), scratch=scratch, threads=1, wrap=wrap, limits=limits,
            max_memory=limits.memory, task_timeout=TASK_SECONDS, hang_timeout=TASK_SECONDS,
        )  # fmt: skip

    with start() as first:
        series = first.start().capabilities.series
    return Gauntlet(start, files, series)


def table(outcomes: list[Outcome]) -> str:
    counted: dict[tuple[str, str], Counter[str]] = {}
    for one in outcomes:
        counted.setdefault((one.how.partition(",")[0], one.way), Counter())[one.what] += 1
    rows = [
        f"{how:16} {way:8} " + ", ".join(f"{what} {n}" for what, n in c.most_common())
        for (how, way), c in counted.items()
    ]
    return "\n".join(rows)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--files", type=int, default=320)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home = Path(folder)
        limits = Limits(memory=2 << 30, disk=1 << 30)
        packages = [Path(os.environ["RENDERBROS_PACKAGES"])] if os.environ.get("RENDERBROS_PACKAGES") else []
        guard = find_guard(home, chosen_blender(None), packages, limits=limits)
        scenes = good_scenes(home)
        run = starter(home, guard, limits)
        outcomes = []
        for number, file in enumerate(damaged(scenes, asked.files, asked.seed)):
            outcomes += run.run(number, file, SIZE)
        run.close()
    print(f"guarded by {', '.join(guard.layers)}; {asked.files} files, {run.lost} renderers lost and replaced")
    print(table(outcomes))
    slow = max(outcomes, key=lambda one: one.seconds)
    print(f"the slowest: {slow.how} ({slow.way}) took {slow.seconds:.1f} s and ended as {slow.what}")
    for one in sorted(
        {(one.what, one.message[:150]) for one in outcomes if one.what in ("hung", "timed_out", "crashed")}
    ):
        print(*one)
    names = {code.value for code in FailureCode} | {"good"}
    unnamed = sum(one.what not in names or (one.what != "good" and not one.message) for one in outcomes)
    figures = [
        Figure("outcomes without a name", (unnamed,), at_most=0),
        Figure("longest", (slow.seconds,), "s", at_most=TASK_SECONDS + 10),
        Figure("lost renderers", (run.lost,)),
    ]
    report(figures, {"outcomes": [vars(one) for one in outcomes]}, asked.json)


if __name__ == "__main__":
    main()
