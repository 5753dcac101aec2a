"""The kinds of faults, and how each is injected into a running farm.

Each function injects one and returns when the fault itself is over; what follows is the farm's affair. A fault's
``ended`` is where its recovery is counted from:

- bytes on a link: when they were delayed, lost, changed or repeated; of a delay, its end;
- ``kill -9`` and SIGTERM of an agent: when it was sent. The service manager starts it again at once, and that counts;
- a hang, a full disk, a locked database: when it is over;
- a clock that jumps, a renderer that is killed: the moment;
- work taken by somebody who walks away: when the lease has run out; garbage: when the last of it was sent.

It has recovered once every lease that the struck worker held then is over, by a result or otherwise, and the next
result has come in from that worker, or from anyone if it struck the dispatcher. Of a stranger's lease, once it is over.
"""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil
import requests
from hostile import Stranger
from machines import SMALL_DISK, WORKERS, Ballast, Machines
from proxy import Trouble, What
from watching import Fault, Watch

from renderbros_addon.client.errors import ClientError

DISPATCHER = "dispatcher"
STRANGER = "stranger"
_LONGEST_WAIT = 30.0


@dataclass
class Scene:
    """What an injection works on."""

    machines: Machines
    watch: Watch
    chance: random.Random
    too_long: float
    """Seconds for which a database may be locked until that is an error."""


def on_link(what: What) -> Callable[[Scene, str], None]:
    """Something wrong with the next bytes to or from a worker."""

    def inject(scene: Scene, name: str) -> None:
        way = scene.chance.choice(("up", "down"))
        trouble = Trouble(what, way, random.Random(scene.chance.random()), scene.chance.uniform(0.3, 2.5))
        link = scene.machines.links[name]
        fault = scene.watch.add(Fault(f"bytes {_PAST[what]}", name, time.monotonic(), of_worker=name, note=way))
        link.trouble(trouble)
        if not trouble.struck.wait(_LONGEST_WAIT):
            link.forget(trouble)
            fault.note += ", nothing passed"
        fault.leases = scene.watch.held_by(name)
        scene.watch.end(fault, (trouble.at or time.monotonic()) + (trouble.seconds if what == "delay" else 0.0))

    return inject


_PAST = {"delay": "delayed", "cut": "cut", "truncate": "truncated", "repeat": "repeated", "corrupt": "corrupted"}


def kill_renderer(scene: Scene, name: str) -> None:
    fault = _begin(scene, "renderer killed", name)
    for _ in range(100):
        # A task that three workers have failed is given up, by the farm's rule: not two of these for one task.
        doomed = scene.machines.workers[name].renderers()
        held = scene.watch.held_by(name)
        if scene.watch.look.job_over:
            break
        if doomed and held and all(scene.watch.failures_of(task) < 1 for task in scene.watch.tasks_of(held)):
            break
        time.sleep(0.1)
    fault.leases = held
    for process in doomed:
        with suppress(psutil.Error):
            process.kill()
    scene.watch.end(fault)


def kill_agent(scene: Scene, name: str) -> None:
    fault = _begin(scene, "agent killed", name)
    scene.machines.workers[name].kill()
    scene.watch.end(fault)


def stop_in_upload(scene: Scene, name: str) -> None:
    fault = _begin(scene, "SIGTERM in an upload", name)
    trouble = Trouble("hold", "up", random.Random(scene.chance.random()))
    link = scene.machines.links[name]
    link.trouble(trouble)
    if not trouble.struck.wait(_LONGEST_WAIT):
        link.forget(trouble)
        fault.note = "no upload came"
    fault.leases = scene.watch.held_by(name)
    scene.machines.workers[name].process.send_signal(signal.SIGTERM)
    scene.watch.end(fault)
    time.sleep(scene.chance.uniform(0.1, 1.5))
    trouble.go.set()


def hang(scene: Scene, name: str) -> None:
    fault = _begin(scene, "worker hung", name)
    stopped = scene.machines.workers[name].family()
    for process in stopped:
        with suppress(psutil.Error):
            process.suspend()
    time.sleep(scene.machines.lease * 1.2)
    for process in stopped:
        with suppress(psutil.Error):
            process.resume()
    scene.watch.end(fault)


def walk_away(scene: Scene, name: str) -> None:
    _with_a_lease(scene, "lease abandoned", lambda *_: scene.machines.lease)


def send_garbage(scene: Scene, name: str) -> None:
    def send(stranger: Stranger, lease: dict[str, Any]) -> float:
        said = stranger.send_garbage(lease)
        # A full disk (507) or a locked database may be what it met, and no fault of its own.
        if 500 in said and not scene.watch.open(DISPATCHER):
            raise RuntimeError(f"garbage was answered with a fault of the dispatcher: {said}")
        return 0.0

    _with_a_lease(scene, "garbage sent", send)


def _with_a_lease(scene: Scene, kind: str, act: Callable[[Stranger, dict[str, Any]], float]) -> None:
    """``act`` returns in how many seconds from now the fault is over."""
    fault = scene.watch.add(Fault(kind, STRANGER, time.monotonic(), needs_result=False))
    deadline = time.monotonic() + _LONGEST_WAIT
    while time.monotonic() < deadline and not scene.watch.look.job_over:
        try:
            stranger = Stranger(scene.machines.url, _capabilities(scene), scene.chance)
            lease = stranger.lease()
            if lease and scene.watch.failures_of(lease["task"]["id"]) > 0:
                stranger.release(lease)
                lease = None
            if lease:
                fault.leases = frozenset({lease["id"]})
                ends = time.monotonic() + act(stranger, lease)
                scene.watch.end(fault, ends)
                return
        except (requests.RequestException, ClientError):
            pass  # the dispatcher may be down for a moment
        time.sleep(0.3)
    fault.note = "no work to be had"
    scene.watch.end(fault)


def _capabilities(scene: Scene) -> dict[str, Any]:
    with sqlite3.connect(scene.machines.database, timeout=5) as connection:
        [[text]] = connection.execute("SELECT capabilities FROM workers WHERE name = ?", (WORKERS[0],))
    return dict(json.loads(text))


def kill_dispatcher(scene: Scene, name: str) -> None:
    fault = _begin(scene, "dispatcher killed", DISPATCHER)
    scene.machines.dispatcher.kill()
    scene.watch.end(fault)


def kill_in_finishing(scene: Scene, name: str) -> None:
    note = _await_finishing(scene)
    fault = _begin(scene, "killed in finishing", DISPATCHER)
    fault.note = note
    scene.machines.dispatcher.kill()
    scene.watch.end(fault)


def fill_in_finishing(scene: Scene, name: str) -> None:
    note = _await_finishing(scene)
    _fill(scene, "disk full in finishing", DISPATCHER, note)


def _await_finishing(scene: Scene) -> str:
    """Wait until the tiles of some frame are all there, and it is being put together or finished; what it is then."""
    deadline = time.monotonic() + _LONGEST_WAIT
    query = "SELECT state FROM frames WHERE state IN ('ready', 'assembled', 'done') ORDER BY state DESC"
    connection = sqlite3.connect(scene.machines.database, timeout=0.05, isolation_level=None)
    try:
        while time.monotonic() < deadline and not scene.watch.look.job_over:
            with suppress(sqlite3.Error):
                if row := connection.execute(query).fetchone():
                    return f"a frame was {row[0]}"
            time.sleep(0.005)
    finally:
        connection.close()
    return "no frame was being finished"


def lock_database(scene: Scene, name: str) -> None:
    fault = _begin(scene, "database locked", DISPATCHER)
    seconds = scene.too_long if scene.chance.random() < 0.5 else scene.chance.uniform(1.0, 3.0)
    fault.note = f"{seconds:.1f} s"
    connection = sqlite3.connect(scene.machines.database, timeout=10, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")
    finally:
        connection.close()
    scene.watch.end(fault)


def fill_dispatchers_disk(scene: Scene, name: str) -> None:
    _fill(scene, "dispatcher's disk full", DISPATCHER)


def fill_workers_disk(scene: Scene, name: str) -> None:
    _fill(scene, "worker's disk full", SMALL_DISK)


def _fill(scene: Scene, kind: str, name: str, note: str = "") -> None:
    fault = _begin(scene, kind, name)
    fault.note = note
    ballast = Ballast(scene.machines.folder / name)
    try:
        ballast.fill()
        time.sleep(scene.chance.uniform(1.0, 4.0))
    finally:
        ballast.remove()
    scene.watch.end(fault)


_JUMPS = (-86400.0, -3600.0, -60.0, 60.0, 3600.0, 86400.0)


def set_dispatchers_clock(scene: Scene, name: str) -> None:
    _jump(scene, DISPATCHER)


def set_workers_clock(scene: Scene, name: str) -> None:
    _jump(scene, name)


def _jump(scene: Scene, name: str) -> None:
    fault = _begin(scene, "clock set", name)
    jump = scene.chance.choice(_JUMPS)
    fault.note = f"{name} by {jump:+.0f} s"
    scene.machines.set_clock(name, jump)
    scene.watch.end(fault)


def _begin(scene: Scene, kind: str, where: str) -> Fault:
    worker = where if where in WORKERS else None
    held = scene.watch.held_by(where) if worker else frozenset()
    return scene.watch.add(Fault(kind, where, time.monotonic(), leases=held, of_worker=worker))


Inject = Callable[[Scene, str], None]

MIX: tuple[tuple[Inject, int, str], ...] = (
    (on_link("delay"), 24, "worker"),
    (on_link("cut"), 28, "worker"),
    (on_link("truncate"), 26, "worker"),
    (on_link("repeat"), 24, "worker"),
    (on_link("corrupt"), 34, "worker"),
    (kill_renderer, 16, "worker"),
    (kill_agent, 8, "worker"),
    (stop_in_upload, 8, "worker"),
    (hang, 3, "worker"),
    (walk_away, 8, STRANGER),
    (send_garbage, 6, STRANGER),
    (kill_dispatcher, 3, DISPATCHER),
    (kill_in_finishing, 2, DISPATCHER),
    (lock_database, 4, DISPATCHER),
    (fill_dispatchers_disk, 1, DISPATCHER),
    (fill_in_finishing, 1, DISPATCHER),
    (fill_workers_disk, 1, SMALL_DISK),
    (set_dispatchers_clock, 2, DISPATCHER),
    (set_workers_clock, 1, "worker"),
)
"""Of 200: how many of each, and whom they strike."""


@dataclass(frozen=True)
class Planned:
    inject: Inject
    where: str

    @property
    def light(self) -> bool:
        """It may strike a worker that is still recovering from another."""
        return self.inject.__name__ == "inject"


def plan(count: int, chance: random.Random, disks: bool) -> list[Planned]:
    """``count`` faults in the order in which they are to be injected."""
    whole = sum(share for _, share, _ in MIX)
    planned = []
    for inject, share, where in MIX:
        if not disks and inject in (fill_dispatchers_disk, fill_in_finishing, fill_workers_disk):
            continue
        for i in range(max(1, round(count * share / whole))):
            place = WORKERS[(i + len(planned)) % len(WORKERS)] if where == "worker" else where
            planned.append(Planned(inject, place))
    while len(planned) < count:
        planned.append(Planned(MIX[len(planned) % 5][0], chance.choice(WORKERS)))
    chance.shuffle(planned)
    return planned


class Injector:
    """Keeps to the plan: as far along in it as the job is, and where it can one fault at a time for each part."""

    MOST_BEHIND = 8

    def __init__(self, scene: Scene, planned: list[Planned], frames: int) -> None:
        self._scene = scene
        self._planned = list(planned)
        self._all, self._frames = len(planned), frames
        self._running: list[threading.Thread] = []
        self.errors: list[str] = []

    @property
    def done(self) -> int:
        return self._all - len(self._planned)

    def step(self) -> None:
        """Inject what is due."""
        accepted = self._scene.watch.look.accepted
        due = min(self._all, 1 + int(self._all * accepted / (self._frames * 0.85)))
        if not self._planned or self.done >= due:
            return
        behind = due - self.done > self.MOST_BEHIND
        for planned in self._planned[:40]:
            if self._is_free(planned, behind):
                self._planned.remove(planned)
                self._begin(planned)
                return

    def _is_free(self, planned: Planned, behind: bool) -> bool:
        busy = len(self._scene.watch.open(planned.where))
        if planned.light:
            return busy < (3 if behind else 1)
        if self._scene.watch.open(DISPATCHER):
            return False
        return busy < (3 if planned.where == STRANGER else 1)

    def _begin(self, planned: Planned) -> None:
        def inject() -> None:
            try:
                planned.inject(self._scene, planned.where)
            except Exception as error:
                self.errors.append(f"{planned.inject.__name__}: {type(error).__name__}: {error}")

        thread = threading.Thread(target=inject, daemon=True)
        thread.start()
        self._running.append(thread)

    def join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for thread in self._running:
            thread.join(max(0.0, deadline - time.monotonic()))
