"""What the farm itself costs per task, with renderers that take no time, and how many tasks a dispatcher gets through.

Run it: ``python3 bootstrap/start.py bench overhead``.

``one worker``: a real agent and a real dispatcher, each a process, over a loopback socket. The renderer is a stand-in
that writes a small picture at once. Wall time from the first lease to the end of the job, by the dispatcher's own
events, over the number of tasks; and the processor time of each process.

``N workers``: a real dispatcher on SQLite, and workers that render nothing in one process beside it, over HTTP on
loopback. Each leases a batch, as an agent does whose tasks are short, and hands the results in together, pictures and
all; with a dispatcher that does not take them so, it uploads each picture and hands in each result. A task counts when
it is *accepted*: when the dispatcher's image-checking child has decoded the picture and found it to be what was
claimed. ``handed in`` counts the same tasks when the answer to their result is there. The processor serves the workers
too; what each side took is told.

``--baseline DIR`` measures another checkout, such as a git worktree of the commit before, in turn with this one. The
floor is the same number of requests to a route that does nothing. ``--plans`` measures nothing and prints how SQLite
finds the rows of each statement in the hot path.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent / "loading"))

from dispatcher.pictures import BLEND, BLEND_SHA, enrolment, job_spec, result_of
from measuring import Figure, in_turn, options, ratio, report
from tiny_png import tiny_png

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.protocol.access import Role
from renderbros_addon.protocol.base import API_PREFIX

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WIDTH, HEIGHT = 32, 16

MOST_MS, LEAST_RATE, MOST_LEASE_MS = 10.0, 400.0, 100.0
"""The goals: milliseconds a task at one worker; tasks a second, and the 99th percentile of a lease request."""


@dataclass(frozen=True)
class Run:
    """What one run came to. Times are in seconds, processor times in seconds per task."""

    tasks: int
    seconds: float
    dispatcher_cpu: float
    checkers_cpu: float
    client_cpu: float
    handed_in: float = 0.0
    lease_p50: float = 0.0
    lease_p99: float = 0.0
    upload_p50: float = 0.0
    result_p50: float = 0.0

    @property
    def rate(self) -> float:
        return self.tasks / self.seconds


def processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class Processors:
    """Processor time of a process and of its children since the object was made."""

    def __init__(self, pid: int) -> None:
        self._own = psutil.Process(pid)
        self._before = self._read()

    def _read(self) -> tuple[float, float]:
        children = sum(processor(child) for child in self._own.children(recursive=True))
        return processor(self._own), children

    def used(self) -> tuple[float, float]:
        """Its own seconds, and its children's."""
        own, children = self._read()
        return own - self._before[0], children - self._before[1]


operator: dict[str, str | None] = {}
"""The operator's token of each dispatcher, by its URL; None of an older one, which asks for none."""


@contextmanager
def process(tree: Path, log: Path, *words: str | Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A RenderBros command of the checkout ``tree``, stopped on leaving."""
    command = [sys.executable, str(tree / "bootstrap" / "start.py"), *map(str, words)]
    with log.open("a") as errors:
        running = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True, env=os.environ | more
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(15)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        if running.stdout:
            running.stdout.close()


@contextmanager
def dispatcher(tree: Path, home: Path) -> Iterator[tuple[str, int, Path]]:
    """URL, process id and database of a fresh dispatcher."""
    data = home / "dispatcher"
    words = ("dispatcher", "--data", data, "--port", "0", "--json", "--no-dashboard")
    with process(tree, home / "dispatcher.log", *words, RENDERBROS_CREDENTIALS=str(home / "login")) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        if not line:
            raise SystemExit(f"the dispatcher did not start:\n{(home / 'dispatcher.log').read_text()[-3000:]}")
        told = json.loads(line)
        operator[told["url"]] = told.get("operator_token")
        yield told["url"], running.pid, data / "dispatcher.sqlite3"


def as_operator(url: str) -> DispatcherClient:
    return DispatcherClient(url, operator[url])


def invite(url: str) -> str | None:
    """A code for a worker; None at a dispatcher that wants none."""
    if operator[url] is None:
        return None
    with as_operator(url) as client:
        return client.invite(Role.WORKER).code


def submit(url: str, home: Path, frames: int) -> str:
    with as_operator(url) as client:
        job = client.create_job(job_spec(tuple(range(1, frames + 1))))
        if job.missing_blobs:
            blend = home / "scene.blend"
            blend.write_bytes(BLEND)
            client.upload(blend, BLEND_SHA, len(BLEND))
        return job.id


def wait_for(database: Path, job: str, pid: int, seconds: float = 200) -> None:
    """Until a job is completed. Looks into the database, which costs the dispatcher nothing."""
    deadline = time.monotonic() + seconds
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as store:
        while True:
            [(status,)] = store.execute("SELECT status FROM jobs WHERE id = ?", (job,)).fetchall()
            if status == "completed":
                return
            if status in ("failed", "cancelled") or time.monotonic() > deadline or not psutil.pid_exists(pid):
                reasons = store.execute("SELECT detail FROM events WHERE job_id = ? ORDER BY id DESC LIMIT 5", (job,))
                raise SystemExit(f"the job is {status}: {reasons.fetchall()}")
            time.sleep(0.02)


def span(database: Path, job: str) -> float:
    """Seconds from a job's first lease to its end, by its events."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as store:
        query = "SELECT min(at), max(at) FROM events WHERE job_id = ? AND event IN ('task.leased', 'job.completed')"
        [(first, last)] = store.execute(query, (job,)).fetchall()
    return float(last - first)


def one_worker(tree: Path, tasks: int) -> Run:
    """A real agent whose renderer takes no time."""
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home = Path(folder)
        blender = home / "blender"
        blender.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{HERE / "loading" / "idle_blender.py"}" "$@"\n')
        blender.chmod(0o755)
        with dispatcher(tree, home) as (url, pid, database):
            words = ("worker", "--dispatcher", url, "--name", "bench", "--data", home / "worker", "--blender", blender)
            with process(
                tree, home / "worker.log", *words, RENDERBROS_SANDBOX="false", RENDERBROS_INVITE=invite(url) or ""
            ) as agent:
                # The first job pays for starting the renderer and both image checkers.
                wait_for(database, submit(url, home, 20), pid)
                used, ours = Processors(pid), Processors(agent.pid)
                job = submit(url, home, tasks)
                wait_for(database, job, pid)
                (own, checkers), (worker, below) = used.used(), ours.used()
        return Run(tasks, span(database, job), own / tasks, checkers / tasks, (worker + below) / tasks)


def takes_together(url: str) -> bool:
    """Does the dispatcher take several results in one request?"""
    with urlopen(f"{url}/openapi.json", timeout=30) as answer:  # noqa: S310 - our own dispatcher
        return f"{API_PREFIX}/leases/results" in json.load(answer)["paths"]


class Crowd:
    """Orders for ``crowd.py``, and pictures for it, made once."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._pictures = folder / "pictures.json"
        made = {}
        for frame in range(1, most + 1):
            path = folder / "picture.png"
            path.write_bytes(tiny_png(frame, WIDTH, HEIGHT))
            output = inspect_image(path)
            result = result_of(output.model_copy(update={"grid": None})).model_dump_json()
            made[frame] = {"sha256": output.sha256, "png": path.read_bytes().hex(), "result": result}
        self._pictures.write_text(json.dumps(made))

    def run(self, url: str, tokens: list[str], **more: Any) -> dict[str, Any]:
        parts = urlsplit(url)
        orders = {"host": parts.hostname, "port": parts.port, "tokens": tokens, "pictures": str(self._pictures), **more}
        orders["together"] = takes_together(url)
        path = self._folder / "orders.json"
        path.write_text(json.dumps(orders))
        command = [sys.executable, str(HERE / "loading" / "crowd.py"), str(path)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=230)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def enrol(url: str, number: int) -> list[str]:
    """Tokens of workers of one owner, who has nothing to check: nobody else could."""
    with DispatcherClient(url) as client:
        known = (enrolment(f"w{i}", "all of one owner's farm") for i in range(number))
        return [client.enrol(one.model_copy(update={"invite": invite(url)})).token for one in known]


def many_workers(tree: Path, crowd: Crowd, workers: int, tasks: int, batch: int, seconds: float) -> Run:
    """Workers that only lease and hand in; ``seconds`` is what each pretends to render for."""
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home = Path(folder)
        with dispatcher(tree, home) as (url, pid, database):
            tokens = enrol(url, workers)
            # As in the morning of any farm's day: everything is up, and has been used once.
            warm = submit(url, home, min(20, 2 * workers))
            crowd.run(url, tokens[:2], tasks=min(20, 2 * workers), batch=1, seconds=0)
            wait_for(database, warm, pid)
            used = Processors(pid)
            job = submit(url, home, tasks)
            seen = crowd.run(url, tokens, tasks=tasks, batch=batch, seconds=seconds)
            wait_for(database, job, pid)
            own, checkers = used.used()
        leased = seen["leased"]
        return Run(
            tasks,
            span(database, job),
            own / tasks,
            checkers / tasks,
            seen["processor"] / tasks,
            handed_in=tasks / seen["seconds"],
            lease_p50=leased[len(leased) // 2],
            lease_p99=leased[min(len(leased) - 1, int(len(leased) * 0.99))],
            upload_p50=seen["uploaded"][len(seen["uploaded"]) // 2] if seen["uploaded"] else 0.0,
            result_p50=seen["handed_in"][len(seen["handed_in"]) // 2],
        )


def floor(tree: Path, crowd: Crowd, tasks: int) -> Run:
    """Three requests a task to a route that does nothing, by ten workers."""
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder, dispatcher(tree, Path(folder)) as up:
        url, pid, _ = up
        used = Processors(pid)
        seen = crowd.run(url, ["none"] * 10, tasks=tasks, batch=1, seconds=0, floor=True)
        own, checkers = used.used()
        return Run(tasks, seen["seconds"], own / tasks, checkers / tasks, seen["processor"] / tasks)


def sync_ms(folder: Path, times: int = 50) -> float:
    """Milliseconds of one small append that is synced, as each commit does: the median."""
    took = []
    with (folder / "sync").open("wb") as file:
        for _ in range(times):
            start = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            took.append(1000 * (time.perf_counter() - start))
    return sorted(took)[times // 2]


def told(name: str, run: Run) -> str:
    text = (
        f"  {name}: {1000 * run.seconds / run.tasks:.2f} ms a task ({run.rate:.0f}/s); processor ms a task: "
        f"dispatcher {1000 * run.dispatcher_cpu:.2f}, its image checkers {1000 * run.checkers_cpu:.2f}, "
        f"workers {1000 * run.client_cpu:.2f}"
    )
    if run.handed_in:
        text += (
            f"; handed in {run.handed_in:.0f}/s; ms of a lease p50 {1000 * run.lease_p50:.1f} p99 "
            f"{1000 * run.lease_p99:.1f}, upload p50 {1000 * run.upload_p50:.1f}, "
            f"result p50 {1000 * run.result_p50:.1f}"
        )
    return text


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--baseline", type=Path, help="another checkout to measure in turn")
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 10, 100])
    parser.add_argument("--batch", type=int, default=16, help="tasks that a worker asks for at once")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds that a simulated worker takes for a task")
    parser.add_argument("--only", choices=("agent", "crowd", "floor"), nargs="*", default=["agent", "crowd", "floor"])
    parser.add_argument("--plans", action="store_true", help="print the plans of the statements instead")
    chosen = parser.parse_args()
    if chosen.plans:
        print_plans()
        return
    measure(chosen)


def print_plans() -> None:
    from dispatcher.hot_path import record

    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        for name, statements in record(Path(folder)).items():
            print(f"{name}: {len(statements)} statements")
            for statement in statements:
                print(f"  {' '.join(statement.text.split())[:200]}  ({100 * statement.steps} steps)")
                for step in statement.plan:
                    print(f"      {step}")


def measure(chosen: argparse.Namespace) -> None:
    trees = {"": ROOT} | ({"baseline ": chosen.baseline.resolve()} if chosen.baseline else {})
    runs: dict[str, list[Run]] = {}

    def way(name: str, run: Callable[[], Run]) -> Callable[[int], float]:
        def once(_: int) -> float:
            found = run()
            runs.setdefault(name, []).append(found)
            print(told(name, found), flush=True)
            return 1000 * found.seconds / found.tasks

        return once

    folder = Path(tempfile.mkdtemp(prefix="renderbros-bench-"))
    try:
        crowd = Crowd(folder, chosen.tasks)
        print(f"one synced write: {sync_ms(folder):.2f} ms")
        ways: dict[str, Callable[[int], float]] = {}
        for label, tree in trees.items():
            if "agent" in chosen.only:
                ways[f"{label}agent"] = way(f"{label}agent", lambda tree=tree: one_worker(tree, chosen.tasks))
            for number in chosen.workers if "crowd" in chosen.only else ():
                name = f"{label}{number} workers"
                run = lambda tree=tree, number=number: many_workers(  # noqa: E731
                    tree, crowd, number, chosen.tasks, chosen.batch, chosen.pace
                )
                ways[name] = way(name, run)
        if "floor" in chosen.only:
            ways["floor"] = way("floor", lambda: floor(ROOT, crowd, chosen.tasks))
        found = in_turn(ways, chosen.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report(figures(found, runs), {name: [asdict(run) for run in all_] for name, all_ in runs.items()}, chosen.json)


def figures(found: dict[str, list[float]], runs: dict[str, list[Run]]) -> list[Figure]:
    shown = []
    for name, values in found.items():
        mine = runs[name]
        if name.endswith("agent"):
            shown.append(Figure(f"{name}: wall per task", tuple(values), "ms", at_most=MOST_MS))
        elif name.endswith("workers"):
            shown.append(Figure(f"{name}: accepted", tuple(run.rate for run in mine), "tasks/s", at_least=LEAST_RATE))
            shown.append(Figure(f"{name}: handed in", tuple(run.handed_in for run in mine), "tasks/s"))
            shown.append(Figure(f"{name}: lease p50", tuple(1000 * run.lease_p50 for run in mine), "ms"))
            p99 = tuple(1000 * run.lease_p99 for run in mine)
            shown.append(Figure(f"{name}: lease p99", p99, "ms", at_most=MOST_LEASE_MS))
        else:
            shown.append(Figure(f"{name}: wall per task", tuple(values), "ms"))
        cpu = tuple(1000 * run.dispatcher_cpu for run in mine)
        shown.append(Figure(f"{name}: dispatcher's processor time per task", cpu, "ms"))
    for name in found:
        if f"baseline {name}" in found:
            shown.append(ratio(found, name, f"baseline {name}"))
        if "floor" in found and name != "floor":
            shown.append(ratio(found, name, "floor"))
    return shown


if __name__ == "__main__":
    main()
