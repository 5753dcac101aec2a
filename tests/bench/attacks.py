"""Attacks: every hostile scene of the corpus against guarded renderers, and unguarded as the control.

Run it: ``python3 bootstrap/start.py bench attacks``, or in a Blender: ``blender -b --python bootstrap/start.py -- bench
attacks``. The scenes are built, shown unguarded and rendered guarded by the same Blender. Each must do harm unguarded,
else it proves nothing there, and none behind the guards within Blender alone, nor behind those of the system too.
Greedy scenes must end with a name, within their memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from attacks.corpus import Corpus
from attacks.greedy_runs import MEMORY, OVERSHOOT, run_greedy
from in_blender import script_command
from measuring import Figure, options, report

from renderbros_addon.worker.command import chosen_blender, renderer_command
from renderbros_addon.worker.guard import Guard, find_guard
from renderbros_addon.worker.limits import Limits
from renderbros_addon.worker.renderer_process import RendererLost, RendererProcess

GREEDY_SECONDS = 30.0
TASK_SECONDS = 60.0


def packages() -> list[Path]:
    told = os.environ.get("RENDERBROS_PACKAGES")
    return [Path(told)] if told else []


def guarded_harm(corpus: Corpus, guard: Guard) -> tuple[dict[str, set[str]], str]:
    """What each attack does behind ``guard``, and the Blender's series."""
    found: dict[str, set[str]] = {}
    waiting = [one for one in corpus.made.values() if guard.by_the_system or not one.by_system]
    roots = [one.root for one in waiting]
    count, series = 0, ""
    while waiting:
        count += 1
        scratch = corpus.home / f"scratch-{guard.by_the_system}-{count}"
        scratch.mkdir()

        def wrap(command: list[str], scratch: Path = scratch) -> list[str]:
            return guard.wrap(command, readable=roots, writable=[scratch])

        with RendererProcess(
            renderer_command(chosen_blender(None)), scratch=scratch, threads=1, wrap=wrap,
            environment=guard.environment, limits=Limits(), task_timeout=TASK_SECONDS,
        ) as renderer:  # fmt: skip
            series = renderer.start().capabilities.series
            while waiting:
                one = waiting.pop(0)
                try:
                    found[one.name] = corpus.tried(one, renderer, scratch / "out" / one.name, series)
                except RendererLost as lost:
                    found[one.name] = corpus.harm_done(one, None)
                    print(f"{one.name}: the renderer was lost ({lost.code}): {lost.message}")
                    break
    return found, series


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--blender", type=Path, help="the Blender to try; the one that this runs in if left out")
    asked = parser.parse_args()
    if asked.blender:
        os.environ["RENDERBROS_BLENDER"] = str(asked.blender.resolve())
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home, greedy_home = Path(folder, "attacks"), Path(folder, "greedy")
        home.mkdir()
        greedy_home.mkdir()
        script = Path(__file__).resolve().parents[1] / "attacks" / "make_corpus.py"
        done = subprocess.run(script_command(script, home, greedy_home), capture_output=True, text=True, check=False)
        if not (greedy_home / "greedy.json").is_file():
            raise SystemExit(f"the corpus could not be made:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        corpus = Corpus(home)
        harmless = sorted(name for name, harm in corpus.harm.items() if not harm)
        system = find_guard(home, chosen_blender(None), packages())
        within, series = guarded_harm(corpus, Guard(("in-process",)))
        behind = guarded_harm(corpus, system)[0] if system.by_the_system else {}
        greedy = {}
        for name, codes in json.loads((greedy_home / "greedy.json").read_text()).items():
            guard = find_guard(greedy_home, chosen_blender(None), packages(), limits=Limits(memory=MEMORY))
            ended = run_greedy(
                greedy_home / name / "scene.blend", greedy_home / f"scratch-{name}", guard, corpus.size, series,
                GREEDY_SECONDS,
            )  # fmt: skip
            held = ended.peak_memory < MEMORY + OVERSHOOT and ended.peak_threads <= Limits().threads
            greedy[name] = (ended, held and (not codes or ended.how in codes))
    print(f"Blender {series}; the system's guards: {', '.join(system.layers)}")
    for name, why in corpus.left_out.items():
        print(f"left out: {name}: {why}")
    for name in harmless:
        print(f"no harm unguarded, so it proves nothing here: {name}")
    for where, found in (("within Blender alone", within), ("by the system too", behind)):
        for name, harm in found.items():
            if harm:
                print(f"HARM, guarded {where}: {name}: {', '.join(sorted(harm))}")
    for name, (ended, held) in greedy.items():
        print(
            f"{name}: {ended.how}, {ended.peak_memory >> 20} MiB, {ended.peak_threads} threads"
            + ("" if held else f"  NOT HELD: {ended.message}")
        )
    if harmless:
        print(corpus.said)
    figures = [
        Figure("attacks", (len(corpus.made),), at_least=1),
        Figure("attacks that do harm unguarded", (len(corpus.made) - len(harmless),)),
        Figure("that do harm guarded within Blender alone", (sum(map(bool, within.values())),), at_most=0),
        Figure("that do harm guarded by the system too", (sum(map(bool, behind.values())),), at_most=0),
        Figure("greedy scenes that were not held", (sum(not held for _, held in greedy.values()),), at_most=0),
    ]
    raw = {"harmless": harmless, "greedy": {name: vars(ended) for name, (ended, _) in greedy.items()}}
    report(figures, raw, asked.json)


if __name__ == "__main__":
    main()
