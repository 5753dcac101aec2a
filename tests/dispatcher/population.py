"""A farm of simulated workers on a real database: the dispatcher's own code, with pictures that are only known by name.

Time is simulated: a worker is busy for as long as a task takes, leases expire, quarantines end. All that the dispatcher
does by itself is done at once, as its intake and its sweeper would.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from dispatcher.behaviours import FULL, HEIGHT, WIDTH, Behaviour, Honest
from dispatcher.clock import Clock
from dispatcher.pictures import BLEND, BLEND_SHA, capabilities, claimed, job_spec
from dispatcher.simulated_pixels import Eye, Gallery, Pixels, Scene
from sqlalchemy import event, func, select

from renderbros_addon.dispatcher import (
    checks,
    failures,
    frames,
    jobs,
    leases,
    results,
    scheduler,
    standings,
    tasks,
    workers,
)
from renderbros_addon.dispatcher.assessor import Assessor
from renderbros_addon.dispatcher.escrow import Escrow
from renderbros_addon.dispatcher.scratch import Scratch
from renderbros_addon.dispatcher.store import Store, Tx
from renderbros_addon.dispatcher.sweeper import Sweeper
from renderbros_addon.dispatcher.tables import jobs as jobs_table
from renderbros_addon.dispatcher.tables import tasks as tasks_table
from renderbros_addon.dispatcher.trust import PROBATION, check_rate
from renderbros_addon.dispatcher.verification import Desk
from renderbros_addon.protocol.leases import Lease, LeaseRequest
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.results import Failure
from renderbros_addon.protocol.states import FailureCode, FailureKind, JobStatus, TaskKind, TaskStatus, WorkerStatus
from renderbros_addon.protocol.workers import Enrolment

T = TypeVar("T")

FRAME_SECONDS = 40.0
"""A whole frame at speed 1."""

LEASE_SECONDS, SILENCE, SWEEP, POLL = 60.0, 60.0, 10.0, 15.0

PART_OVERHEAD = 0.03
"""Of a whole frame's time, what a part takes beyond its share of the pixels: 4 % of them took 7 % of the time."""

FINISH_COST = 0.1

PATIENCE = 6 * 3600.0
"""Simulated seconds without a new accepted result after which a job counts as stuck."""


def cost(kind: str, region: Region) -> float:
    """In whole frames."""
    if kind == TaskKind.FINISH:
        return FINISH_COST
    share = region.width * region.height / (WIDTH * HEIGHT)
    return 1.0 if region == FULL else share + PART_OVERHEAD


@dataclass
class Actor:
    """A machine, or who sits behind it: whoever was banned may come back with another name."""

    name: str
    group: str
    """What it is counted as."""
    behaviour: Behaviour = field(default_factory=Honest)
    owner: str | None = None
    build: str = "0123456789ab"
    instruction_set: str = "AVX2"
    speed: float = 1.0
    crashes: float = 0.0
    """Of its tasks, those that end in a crash."""
    delay: float = 0.0
    """Mean seconds that its network takes to hand in a result."""
    returns_after: float | None = None
    """Seconds after which it enrols anew once it is punished."""
    ids: list[str] = field(default_factory=list)
    hand: deque[Lease] = field(default_factory=deque)
    last_seen: float = -1e9

    @property
    def honest(self) -> bool:
        return isinstance(self.behaviour, Honest)

    @property
    def id(self) -> str:
        return self.ids[-1]


class MemoryEscrow:
    """Credit in memory: the last results of a worker are held back, and void when it is caught."""

    def __init__(self) -> None:
        self.held: dict[str, deque[tuple[int, float]]] = {}
        self.paid: dict[str, dict[int, float]] = {}
        self._earned: set[int] = set()

    def earn(self, tx: Tx, worker_id: str, result_id: int) -> None:
        if result_id in self._earned:
            return
        self._earned.add(result_id)
        task = tasks.load(tx.conn, results.load(tx.conn, result_id).task_id)
        held = self.held.setdefault(worker_id, deque())
        held.append((result_id, cost(task.kind, tasks.region_of(task))))
        while len(held) > PROBATION:
            key, amount = held.popleft()
            self.paid.setdefault(worker_id, {})[key] = amount

    def void(self, tx: Tx, worker_id: str) -> None:
        del tx
        self.held.pop(worker_id, None)

    def revoke(self, tx: Tx, worker_id: str, result_id: int) -> None:
        del tx
        held = self.held.get(worker_id, deque())
        self.held[worker_id] = deque(one for one in held if one[0] != result_id)


class Farm:
    """``make_desk`` sets the policy. The database lies in ``folder``."""

    def __init__(
        self,
        folder: Path,
        actors: Sequence[Actor],
        seed: int = 1,
        make_desk: Callable[[Escrow, Random], Desk] = Desk,
    ) -> None:
        self.clock = Clock()
        self.random = Random(seed)
        self.store = Store(f"sqlite:///{(folder / 'farm.sqlite3').as_posix()}", self.clock)
        event.listen(self.store.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
        self.store.migrate()
        self.store.listen(self._hear)
        self.escrow = MemoryEscrow()
        self.gallery = Gallery()
        self.assessor = Assessor(self.store, self.gallery.as_blobs(), make_desk(self.escrow, Random(seed + 1)))
        self.sweeper = Sweeper(self.store, self._recover, offline_seconds=SILENCE, lease_seconds=LEASE_SECONDS)
        self.scenes: dict[str, Scene] = {}
        self.eye = Eye(self.gallery, self.scenes, Random(seed + 2))
        self.actors = list(actors)
        self.actor_of: dict[str, Actor] = {}
        self.rates: dict[int, float] = {}
        """Check rate of the worker when its result came in, by result."""
        self.wasted = 0.0
        """Frames' worth of work that was stopped because a lease was revoked."""
        self.after_round: Callable[[], None] = lambda: None
        self._steps: deque[tuple[str, Any]] = deque()
        self._agenda: list[tuple[float, int, Actor]] = []
        self._numbers = itertools.count(1)
        self._began = self.clock.now
        self._progress = 0.0
        for actor in self.actors:
            self._enrol(actor)
            self._later(actor, self.random.random() * POLL)

    # What happens

    def change(self, work: Callable[[Tx], T]) -> T:
        self.clock.forward(0.0001)
        return self.store.change(work)

    @property
    def seconds(self) -> float:
        return (self.clock.now - self._began).total_seconds()

    def submit(self, number: int, scene: Scene | None = None, **changes: Any) -> str:
        """A new job of so many frames; returns its id."""
        changes["scene"] = {"width": WIDTH, "height": HEIGHT} | changes.get("scene", {})
        spec = job_spec(tuple(range(1, number + 1)), **changes)
        job_id = self.change(lambda tx: jobs.create(tx, spec, {BLEND_SHA: len(BLEND)}))
        self.scenes[job_id] = scene or Scene()
        return job_id

    def run(self) -> None:
        """Until all jobs are over. AssertionError if nothing is accepted for hours."""
        self._progress = self.seconds
        while self.open_jobs():
            self._next()
            assert self.seconds - self._progress < PATIENCE, f"a job never ends: {self._where_it_stands()}"

    def rest(self, seconds: float) -> None:
        """Let time pass in which nobody has anything to do."""
        for _ in range(int(seconds / 600) + 1):
            self.clock.forward(min(600.0, seconds))
            for actor in self.actors:
                self._seen(actor)
            self._sweep()

    def close(self) -> None:
        self.store.close()

    def open_jobs(self) -> list[str]:
        with self.store.read() as conn:
            return list(conn.execute(select(jobs_table.c.id).where(jobs_table.c.status.in_(jobs.OPEN))).scalars())

    def _where_it_stands(self) -> str:
        with self.store.read() as conn:
            left = conn.execute(
                select(tasks_table.c.job_id, tasks_table.c.kind, tasks_table.c.status, func.count())
                .where(tasks_table.c.status.in_(tasks.OPEN))
                .group_by(tasks_table.c.job_id, tasks_table.c.kind, tasks_table.c.status)
            ).all()
        return ", ".join(map(str, left))

    def _next(self) -> None:
        """Everybody whose time comes before the next sweep; then the sweep."""
        until = self.seconds + SWEEP
        while self._agenda and self._agenda[0][0] < until:
            at, _, actor = heapq.heappop(self._agenda)
            self.clock.forward(max(0.0, at - self.seconds))
            self._act(actor)
            self._drain()
        self.clock.forward(max(0.0, until - self.seconds))
        self._sweep()
        self.after_round()

    def _sweep(self) -> None:
        with self.store.read() as conn:
            silent = workers.silent_since(conn, self.clock.now - self.sweeper._offline)
        for worker_id in silent:
            self.change(lambda tx, worker_id=worker_id: workers.fell_silent(tx, worker_id, tx.now))
        self.sweeper.expire_leases()
        self.sweeper.judge_stuck_jobs()
        self.sweeper.look_after_unclaimed()
        self.sweeper.end_quarantines()
        self._recover()
        self._drain()

    # Workers

    def _later(self, actor: Actor, seconds: float) -> None:
        heapq.heappush(self._agenda, (self.seconds + seconds, next(self._numbers), actor))

    def _enrol(self, actor: Actor) -> None:
        number = len(actor.ids)
        able = capabilities().model_copy(update={"build": actor.build, "instruction_set": actor.instruction_set})
        name = f"{actor.name} {number}"
        secret = hashlib.sha256(name.encode()).hexdigest()
        owner = None if actor.owner is None else f"{actor.owner:-<20}"
        told = Enrolment(name=name, secret=secret, owner=owner, capabilities=able)
        actor.ids.append(self.change(lambda tx: workers.enrol(tx, told)).id)
        self.actor_of[actor.id] = actor
        actor.last_seen = -1e9
        self._seen(actor)

    def _seen(self, actor: Actor) -> None:
        if self.seconds - actor.last_seen > SILENCE / 3:
            actor.last_seen = self.seconds
            self.change(lambda tx: workers.seen(tx, actor.id))

    def _act(self, actor: Actor) -> None:
        self._seen(actor)
        if actor.hand:
            self._hand_in(actor, actor.hand.popleft())
        if not actor.hand:
            self._ask(actor)
        if actor.hand:
            lease = actor.hand[0]
            self.change(lambda tx: leases.renew(tx, lease.id, actor.id, LEASE_SECONDS))
            busy = cost(lease.task.kind, lease.task.region) * FRAME_SECONDS / actor.speed
            delay = self.random.expovariate(1 / actor.delay) if actor.delay else 0.0
            self._later(actor, busy * self.random.uniform(0.8, 1.2) + delay)

    def _ask(self, actor: Actor) -> None:
        with self.store.read() as conn:
            status = workers.load(conn, actor.id).status
            queued = select(tasks_table.c.id).where(
                tasks_table.c.job_id.in_(select(jobs_table.c.id).where(jobs_table.c.status.in_(jobs.WORKABLE))),
                tasks_table.c.status == TaskStatus.QUEUED,
            )
            any_queued = conn.execute(queued.limit(1)).first() is not None
        if status in (WorkerStatus.QUARANTINED, WorkerStatus.BANNED):
            if actor.returns_after is None:
                self._later(actor, 60.0)
            else:
                self._enrol(actor)
                self._later(actor, actor.returns_after)
            return
        if any_queued:
            request = LeaseRequest(count=2)
            actor.hand.extend(self.change(lambda tx: scheduler.grant(tx, actor.id, request, LEASE_SECONDS)))
        if not actor.hand:
            self._later(actor, POLL)

    def _hand_in(self, actor: Actor, lease: Lease) -> None:
        task = lease.task
        if self.random.random() < actor.crashes:
            failure = Failure(kind=FailureKind.WORKER, code=FailureCode.CRASHED, message="it crashed")
            self.change(lambda tx: failures.report(tx, lease.id, actor.id, failure))
            return
        with self.store.read() as conn:
            row = leases.load(conn, lease.id)
        if row is None or row.status == "revoked":
            self.wasted += cost(task.kind, task.region) / 2
            return
        scene = self.scenes[task.job_id]
        pixels = Pixels(
            job_id=task.job_id,
            frame=task.frame,
            region=task.region,
            render_class=f"{actor.build} {actor.instruction_set}",
            cheat=actor.behaviour.cheat(task, self.random),
            nonce=next(self._numbers) if scene.drifts else 0,
        )
        sha256 = self.gallery.add(pixels)
        facts = {"sha256": sha256, "pixel_digest": self.gallery[sha256].digest}
        result = claimed(**facts, width=task.region.width, height=task.region.height)
        self.change(lambda tx: results.receive(tx, lease.id, actor.id, result))

    # The dispatcher by itself, as the intake goes about it

    def _hear(self, entries: Sequence[Any]) -> None:
        for entry in entries:
            if entry.event in ("task.submitted", "result.late") and "result_id" in entry.detail:
                self._steps.append(("result", entry.detail["result_id"]))
            elif entry.event == "frame.ready":
                self._steps.append(("frame", (entry.job_id, entry.detail["frame"])))
            elif entry.event in ("check.decided", "check.dropped"):
                self._steps.append(("verdict", entry.detail["subject"]))
            elif entry.event == "worker.fault":
                self._steps.append(("recall", entry.worker_id))
            elif entry.event == "task.accepted":
                self._progress = self.seconds

    def _recover(self) -> None:
        """What events don't tell of: a check may have become idle by what another one showed."""
        with self.store.read() as conn:
            self._steps.extend(("verdict", subject_id) for subject_id in checks.unfinished(conn))

    def _drain(self) -> None:
        take = {"result": self._judge, "frame": self._assemble, "verdict": self._conclude, "recall": self._recall}
        while self._steps:
            kind, about = self._steps.popleft()
            take[kind](about)

    def _judge(self, result_id: int) -> None:
        with self.store.read() as conn:
            result = results.load(conn, result_id)
            if result.status != results.ResultStatus.PENDING:
                return
            task = tasks.load(conn, result.task_id)
            self.rates[result_id] = check_rate(standings.load(conn, result.worker_id))
        output = claimed(sha256=result.sha256, pixel_digest=result.pixel_digest).output
        self.clock.forward(0.0001)
        with Scratch(Path(tempfile.gettempdir())) as scratch:
            self.assessor.take_in(self.eye.as_checker(), result, task, Path(result.sha256), output, {}, scratch)

    def _conclude(self, subject_id: int) -> None:
        self.clock.forward(0.0001)
        self.assessor.conclude(subject_id, lambda *_: None)

    def _recall(self, worker_id: str) -> None:
        self.clock.forward(0.0001)
        self.assessor.recall(worker_id, lambda _: None)

    def _assemble(self, about: tuple[str, int]) -> None:
        job_id, frame = about
        with self.store.read() as conn:
            state = frames.load(conn, job_id, frame).state
            ended = JobStatus(jobs.load(conn, job_id).status).ended
        if state != frames.FrameState.READY or ended:
            return
        output = claimed(sha256=f"{next(self._numbers):064x}").output

        def store(tx: Tx) -> None:
            frames.announce_assembled(tx, job_id, frame, output.sha256)
            job = jobs.lock(tx, job_id)
            assert frames.assembled(tx, job, jobs.parse_spec(job.spec), frame, output)
            jobs.settle(tx, job_id)

        self.change(store)
