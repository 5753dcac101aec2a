"""Start: from the command to the first sample of the first frame, with everything installed.

Run it: ``python3 bootstrap/start.py bench start``. Of ``render``, which brings a farm up first; of ``submit`` to a farm
that is up; and of ``worker``, for which a job waits. Blender alone, opening the file and rendering its frame, is the
baseline. The scene is small, so that none of its own time counts.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from farm_processes import Farm, command, run, run_json, until
from measuring import Figure, in_turn, options, ratio, report

GOAL = 2.5
ALONE = """
import sys, bpy
bpy.ops.wm.open_mainfile(filepath=sys.argv[1], use_scripts=False)
bpy.context.scene.render.filepath = sys.argv[2]
bpy.ops.render.render(write_still=True)
import os
os._exit(0)
"""
_SAMPLED = re.compile(r"\| Sample [1-9]\d*/")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


def first_sample_of(words: list[str], cwd: Path) -> float:
    """Seconds from the start of a command until it prints that a sample is done; it is run to its end."""
    began = time.perf_counter()
    sampled = None
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if sampled is None and _SAMPLED.search(line):
                sampled = time.perf_counter() - began
    if sampled is None:
        raise SystemExit(f"{words} rendered nothing:\n{''.join(said[-30:])}")
    return sampled


def logged_sample(log: Path, after: float) -> float | None:
    """The time of the first line after ``after`` (seconds since the epoch) that tells of a sample that is done."""
    for line in log.read_text().splitlines():
        told = _TIME.match(line)
        if told and _SAMPLED.search(line) and (at := datetime.fromisoformat(told[0]).timestamp()) > after:
            return at
    return None


def main() -> None:
    asked = options(__doc__, rounds=5).parse_args()
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home = Path(folder)
        blend = home / "start.blend"
        scenes = Path(__file__).resolve().parents[1] / "scenes.py"
        subprocess.run([sys.executable, str(scenes), "simple", str(blend), "--samples", "2"], check=True)

        def alone(turn: int) -> float:
            return first_sample_of([sys.executable, "-c", ALONE, str(blend), str(home / f"alone{turn}.png")], home)

        def render(turn: int) -> float:
            words = command("render", blend, "--frames", "1", "--workers", "1", "--out", home / f"render{turn}", "-v")
            return first_sample_of(words, home)

        def submit(turn: int) -> float:
            with Farm(home / f"submit{turn}") as farm:
                farm.start_worker("one", "-v")
                until("a worker", lambda: run_json("workers", "--dispatcher", farm.url)["workers"])
                time.sleep(1.0)
                began = time.time()
                run("submit", blend, "--frames", "1", "--wait", "--dispatcher", farm.url)
                sampled = logged_sample(farm.folder / "one.log", began)
                assert sampled is not None
                return sampled - began

        def worker(turn: int) -> float:
            with Farm(home / f"worker{turn}") as farm:
                job = run_json("submit", "--expect", "0", blend, "--frames", "1", "--dispatcher", farm.url)["job"]
                began = time.time()
                farm.start_worker("one", "-v")
                until("done", lambda: farm.job(job)["status"] == "completed")
                sampled = logged_sample(farm.folder / "one.log", began)
                assert sampled is not None
                return sampled - began

        ways = {"Blender alone": alone, "render": render, "submit": submit, "worker": worker}
        seconds = in_turn(ways, asked.rounds)
    ours = [name for name in ways if name != "Blender alone"]
    figures = [Figure(f"{name}, to the first sample", tuple(seconds[name]), "s", at_most=GOAL) for name in ours]
    figures += [ratio(seconds, name, "Blender alone") for name in ours]
    report(figures, seconds, asked.json)


if __name__ == "__main__":
    main()
