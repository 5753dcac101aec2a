"""A farm to which everything happens: what is lost, wrong or doubled, and how soon it has recovered from each.

Run it: ``python3 bootstrap/start.py bench faults``. One dispatcher and three workers of one owner render 200 short
frames, 30 of them in two tiles each. For each seed at least 200 faults are injected while they do, in an order and in a
manner that the seed decides: bytes between a worker and the dispatcher are delayed, cut, truncated, repeated and
corrupted, renderers, agents and the dispatcher are killed, agents are told to stop in the middle of an upload, workers
hang, strangers take work and walk away or send garbage, the database is locked by another program, disks fill up, and
clocks are set. A service manager of sorts starts again what has ended.

At the end each frame must be there once with the pixels of the undisturbed run, the states in the database must add up,
and no process, temporary file, unfinished upload or lease may be left. What counts as recovered, and from when, is told
in ``fault_injection/kinds.py``. If another fault strikes the same part before it has recovered from one, its recovery
is counted from that one's end: both have to be recovered from. If one strikes the dispatcher, without which nothing can
recover, it is counted from the dispatcher's own recovery, which is counted apart.

A lease is 15 s instead of 60 s, and whatever else waits by the clock is four times as impatient too
(``fault_injection/timing.py``). Disks that can be filled are mounted, which takes root or user namespaces.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.extend(
    str(path) for path in (Path(__file__).resolve().parent / "fault_injection", *Path(__file__).resolve().parents[1:3])
)

from access import OPERATOR
from farm_processes import run_json
from kinds import DISPATCHER, STRANGER, Injector, Scene, plan
from ledger import left_files, pixel_digests, problems_of
from machines import Machines, wait_until
from measuring import Figure, options, report
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from timing import ORPHAN_SECONDS
from watching import Fault, Watch

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher.store import BUSY_SECONDS
from renderbros_addon.protocol.jobs import JobSpec

HERE = Path(__file__).resolve().parent

BUILD = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import scenes
scene = scenes.fresh_scene(width=64, height=36, samples=int(sys.argv[3]))
scene.frame_end = int(sys.argv[4])
cube = scene.objects["Cube"]
cube.animation_data_clear()
for frame, x in ((1, -2.0), (int(sys.argv[4]), 2.0)):
    cube.location.x = x
    cube.keyframe_insert("location", index=0, frame=frame)
scenes.save(Path(sys.argv[2]))
os._exit(0)
"""
TILED_SHARE = 0.15
SPARE = 12
LONGEST = 420.0
"""Seconds after which a job that has not ended is lost."""


class Home:
    """The scene, its jobs and the pixels of the undisturbed run; kept in ``folder`` for the next time."""

    def __init__(self, folder: Path, frames: int, samples: int) -> None:
        self.folder = folder
        self.frames = frames
        self.blend = folder / f"scene-{frames}-{samples}.blend"
        self._known = folder / f"expected-{frames}-{samples}.json"
        if not self.blend.exists():
            words = [str(HERE.parent), str(self.blend), str(samples), str(frames)]
            subprocess.run([sys.executable, "-c", BUILD, *words], check=True, stdout=subprocess.DEVNULL)
        self.specs: list[JobSpec] = []
        self.expected: dict[int, str] = {}
        self.seconds = 0.0

    def render_undisturbed(self, lease: float) -> None:
        if self._known.exists():
            told = json.loads(self._known.read_text())
        else:
            told = self._render(lease)
            self._known.write_text(json.dumps(told))
        self.specs = [JobSpec.model_validate_json(text) for text in told["specs"]]
        self.expected = {int(frame): digest for frame, digest in told["expected"].items()}
        self.seconds = told["seconds"]

    def _render(self, lease: float) -> dict[str, Any]:
        folder = self.folder / "undisturbed"
        folder.mkdir()
        whole = self.frames - round(self.frames * TILED_SHARE)
        with Machines(folder, lease) as machines:
            wait_until("the dispatcher up", machines.is_up, 60)
            jobs = []
            for frames, more in ((f"1-{whole}", ()), (f"{whole + 1}-{self.frames}", ("--tiles", "2x1"))):
                words = ("submit", self.blend, "--expect", "0", "--frames", frames, *more, "--dispatcher", machines.url)
                jobs.append(str(run_json(*words, env=os.environ | {"RENDERBROS_TOKEN": OPERATOR})["job"]))
            began = time.monotonic()
            machines.start_workers()
            watch = Watch(machines.database, jobs)
            wait_until("the undisturbed jobs done", lambda: watch.look.job_over, LONGEST)
            watch.close()
            seconds = time.monotonic() - began
            expected = {f: d for job in jobs for f, d in pixel_digests(machines.url, job).items()}
            specs = [machines.spec_of(job).model_dump_json() for job in jobs]
        shutil.rmtree(folder)
        if len(set(expected.values())) < self.frames * 0.9:
            raise SystemExit("the frames of the undisturbed run are too much alike to tell them apart")
        return {"specs": specs, "expected": expected, "seconds": seconds}


def disturbed(home: Home, folder: Path, seed: int, faults: int, lease: float, keep_logs: Path | None) -> dict[str, Any]:
    """One run with faults; what was found."""
    chance = random.Random(seed)
    folder.mkdir()
    problems: list[str] = []
    try:
        with Machines(folder, lease) as machines:
            wait_until("the dispatcher up", machines.is_up, 60)
            jobs = submit(home, machines)
            watch = Watch(machines.database, jobs)
            machines.start_workers()
            scene = Scene(machines, watch, chance, BUSY_SECONDS * lease / 60 + 2.0)
            # A few more than asked for: the last frame may be done before the last of them is due.
            planned = plan(faults + SPARE, chance, machines.disks)
            injector = Injector(scene, planned, home.frames)
            began = time.monotonic()
            follow(watch, injector, home.frames, f"seed {seed}", began)
            seconds = time.monotonic() - began
            injector.join(lease * 2)
            if injector.done < faults:
                problems.append(f"the job was over after {injector.done} of {faults} faults")
            if not watch.look.job_over:
                problems.append(f"the job was not over after {seconds:.0f} s: {watch.look.accepted} frames")
            # Files are as old as the machine's own clock says.
            machines.set_clock(DISPATCHER, 0.0)
            time.sleep(ORPHAN_SECONDS + 3)
            found: dict[int, str] = {}
            for job in jobs:
                found |= pixel_digests(machines.url, job)
            watch.close()
            problems += injector.errors
            machines.stop()
            problems += problems_of(machines.database, jobs)
            left = left_files(machines)
            processes = machines.left_processes()
            starts = {name: kept.starts for name, kept in machines.workers.items()}
            starts[DISPATCHER] = machines.dispatcher.starts
    finally:
        if keep_logs:
            keep_logs.mkdir(parents=True, exist_ok=True)
            for log in folder.glob("*.log"):
                shutil.copy(log, keep_logs / f"seed{seed}-{log.name}")
            database = folder / "dispatcher" / "dispatcher.sqlite3"
            if database.exists():
                shutil.copy(database, keep_logs / f"seed{seed}.sqlite3")
    missing = sorted(home.expected.keys() - found.keys())
    wrong = sorted(frame for frame in found if found[frame] != home.expected.get(frame))
    return {
        "seed": seed,
        "seconds": seconds,
        "frames": len(found),
        "missing": missing,
        "wrong": wrong,
        "problems": problems,
        "left_files": left,
        "left_processes": processes,
        "starts": starts,
        "faults": [told(fault, watch.faults, began) for fault in watch.faults],
    }


def submit(home: Home, machines: Machines) -> list[str]:
    with DispatcherClient(machines.url, OPERATOR) as client:
        jobs = [client.create_job(spec) for spec in home.specs]
        brought = {file.sha256: file for spec in home.specs for file in spec.scene.files}
        for file in brought.values():
            client.upload(home.blend, file.sha256, file.size)
    return [job.id for job in jobs]


def follow(watch: Watch, injector: Injector, frames: int, name: str, began: float) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, transient=True) as shown:
        bar = shown.add_task(name, total=frames)
        while not watch.look.job_over and time.monotonic() - began < LONGEST:
            injector.step()
            shown.update(bar, completed=watch.look.accepted, description=f"{name}, {injector.done} faults")
            time.sleep(0.05)


def told(fault: Fault, others: Sequence[Fault], began: float) -> dict[str, Any]:
    """A fault for the table. Its recovery is counted from the end of the last one that hindered it."""
    seconds = None
    if fault.recovered is not None and fault.ended is not None:
        since = fault.ended
        for other in others:
            if other is fault or other.ended is None or other.began > fault.recovered:
                continue
            if other.where == DISPATCHER and fault.where != DISPATCHER:
                since = max(since, min(other.recovered or other.ended, fault.recovered))
            elif other.where == fault.where and fault.where != STRANGER:
                since = max(since, min(other.ended, fault.recovered))
        seconds = fault.recovered - since
    return {
        "kind": fault.kind,
        "where": fault.where,
        "at": round(fault.began - began, 2),
        "lasted": None if fault.ended is None else round(fault.ended - fault.began, 2),
        "seconds": None if seconds is None else round(seconds, 2),
        "alone": None if fault.seconds is None else round(fault.seconds, 2),
        "note": fault.note,
    }


def table(rows: Sequence[dict[str, Any]], lease: float) -> str:
    """Kind, number, how many recovered, median and longest recovery."""
    lines = [f"{'fault':26} {'number':>6} {'recovered':>9} {'median s':>9} {'longest s':>9}"]
    kinds = sorted({row["kind"] for row in rows})
    for kind in [*kinds, "all"]:
        mine = [row for row in rows if kind in (row["kind"], "all")]
        times = [row["seconds"] for row in mine if row["seconds"] is not None]
        middle, longest = (statistics.median(times), max(times)) if times else (float("nan"), float("nan"))
        late = sum(seconds > lease for seconds in times)
        note = f"  {late} later than a lease" if late else ""
        lines.append(f"{kind:26} {len(mine):6} {len(times):9} {middle:9.2f} {longest:9.2f}{note}")
    return "\n".join(lines)


def main() -> int:
    parser = options(__doc__, rounds=1)
    parser.add_argument("--seeds", type=int, default=10, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument(
        "--samples", type=int, default=40, help="of each frame: with these it takes some tenths of a second"
    )
    parser.add_argument("--lease", type=float, default=15.0, help="seconds")
    parser.add_argument("--home", type=Path, help="keep the scene and the undisturbed run's pixels here")
    parser.add_argument("--logs", type=Path, help="keep the logs and databases here")
    asked = parser.parse_args()
    if os.geteuid() != 0 or "RENDERBROS_BENCH_MOUNTS" not in os.environ:
        unshared(["--map-root-user", "--user"] if os.geteuid() != 0 else [])
    runs = []
    with tempfile.TemporaryDirectory(prefix="renderbros-faults-") as temporary:
        if asked.home:
            asked.home.mkdir(parents=True, exist_ok=True)
        home = Home(asked.home or Path(temporary), asked.frames, asked.samples)
        home.render_undisturbed(asked.lease)
        print(f"undisturbed: {len(home.expected)} frames in {home.seconds:.0f} s", flush=True)
        for seed in range(asked.first, asked.first + asked.seeds):
            run = disturbed(home, Path(temporary) / f"seed{seed}", seed, asked.faults, asked.lease, asked.logs)
            runs.append(run)
            print(one_line(run), flush=True)
    rows = [row for run in runs for row in run["faults"]]
    print(table(rows, asked.lease))
    times = [row["seconds"] for row in rows]
    figures = [
        Figure("frames lost", tuple(float(len(run["missing"])) for run in runs), at_most=0),
        Figure("frames wrong", tuple(float(len(run["wrong"])) for run in runs), at_most=0),
        Figure("other problems", tuple(float(len(problems_in(run))) for run in runs), at_most=0),
        Figure("faults not recovered from", (float(sum(one is None for one in times)),), at_most=0),
        Figure("longest recovery", (max((one for one in times if one is not None), default=0.0),), "s", asked.lease),
    ]
    report(figures, {"runs": runs, "lease": asked.lease, "undisturbed": home.seconds}, asked.json)
    return 0 if all(max(figure.values) <= (figure.at_most or 0) for figure in figures) else 1


def problems_in(run: dict[str, Any]) -> list[str]:
    return [*run["problems"], *run["left_files"], *run["left_processes"]]


def one_line(run: dict[str, Any]) -> str:
    said = f"seed {run['seed']}: {len(run['faults'])} faults, {run['frames']} frames in {run['seconds']:.0f} s, "
    said += f"{len(run['missing'])} lost, {len(run['wrong'])} wrong; started {run['starts']}"
    return "\n".join([said, *(f"   {problem}" for problem in problems_in(run))])


def unshared(more: list[str]) -> None:
    """Go on in a namespace of mounts of our own, so that no mount outlives us; without one if there is none."""
    os.environ["RENDERBROS_BENCH_MOUNTS"] = "1"
    command = ["unshare", "--mount", *more, "--"]
    try:
        able = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        able = False
    if able:
        os.execvp("unshare", [*command, sys.executable, *sys.argv])  # noqa: S606 - the same program again
    print("no disk can be mounted here, so none is filled", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
