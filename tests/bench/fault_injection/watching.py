"""What the database says meanwhile: who holds what, and whose results come in."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(eq=False)
class Fault:
    """One that was injected, and what became of it."""

    kind: str
    where: str
    """The worker or the part that it struck."""
    began: float
    """Monotonic times."""
    ended: float | None = None
    recovered: float | None = None
    leases: frozenset[str] = frozenset()
    """Those that are to be over for it to be recovered from."""
    note: str = ""
    results_then: int | None = None
    """How many results had come in, of the worker or of all, when it ended."""
    of_worker: str | None = None
    """Only results of this worker count; None for any worker's."""
    needs_result: bool = True
    more: Callable[[], bool] | None = None

    @property
    def seconds(self) -> float | None:
        return None if self.recovered is None or self.ended is None else max(0.0, self.recovered - self.ended)


@dataclass
class Look:
    """The database at a moment."""

    held: dict[str, str] = field(default_factory=dict)
    """By lease, the name of the worker that holds it."""
    results: Counter[str] = field(default_factory=Counter)
    """Taken in so far, by the worker's name."""
    accepted: int = 0
    queued: int = 0
    job_over: bool = False


class Watch:
    """Looks five times a second, and settles the faults that are over."""

    def __init__(self, database: Path, jobs: list[str]) -> None:
        self._jobs = jobs
        self._path = database
        self.look = Look()
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)
        self._connection: sqlite3.Connection | None = None
        self.refresh()
        self._thread.start()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self.faults.append(fault)
        return fault

    def end(self, fault: Fault, at: float | None = None) -> None:
        """The fault itself is over; from now on the farm recovers."""
        self.refresh()
        with self._lock:
            fault.results_then = self._count(fault)
            fault.ended = at or time.monotonic()

    def open(self, where: str) -> list[Fault]:
        with self._lock:
            return [fault for fault in self.faults if fault.where == where and fault.recovered is None]

    def held_by(self, name: str) -> frozenset[str]:
        return frozenset(lease for lease, holder in self.look.held.items() if holder == name)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        if self._connection:
            self._connection.close()

    def _work(self) -> None:
        while not self._stop.wait(0.2):
            self.refresh()
            self._settle()

    def _count(self, fault: Fault) -> int:
        counted = self.look.results
        return counted[fault.of_worker] if fault.of_worker else sum(counted.values())

    def _settle(self) -> None:
        look, now = self.look, time.monotonic()
        with self._lock:
            for fault in self.faults:
                if fault.recovered is not None or fault.ended is None or fault.ended > now:
                    continue
                if fault.leases & look.held.keys():
                    continue
                if fault.more is not None and not fault.more():
                    continue
                new = self._count(fault) > (fault.results_then or 0)
                nothing_to_do = look.job_over or (look.queued == 0 and fault.of_worker is not None)
                if new or nothing_to_do or not fault.needs_result:
                    fault.recovered = now

    def refresh(self) -> None:
        with self._lock:
            try:
                self.look = self._read()
            except sqlite3.Error:
                return  # it is being made, or locked; the next look will do

    def _read(self) -> Look:
        if self._connection is None:
            # Not read-only: the first to open a database in WAL mode after its owner was killed has to recover it.
            self._connection = sqlite3.connect(self._path, timeout=0.1, check_same_thread=False, isolation_level=None)
        ask = self._connection.execute
        names = dict(ask("SELECT id, name FROM workers"))
        of_jobs = f"job_id IN ({','.join('?' * len(self._jobs))})"
        counts = f"SELECT status, count(*) FROM tasks WHERE {of_jobs} GROUP BY 1"  # noqa: S608
        done = f"SELECT count(*) FROM frames WHERE output IS NOT NULL AND {of_jobs}"  # noqa: S608
        every = dict(ask("SELECT id, status FROM jobs"))
        held = ask("SELECT id, worker_id FROM leases WHERE status = 'held'")
        results = ask("SELECT worker_id, count(*) FROM results GROUP BY 1")
        return Look(
            held={lease: names[worker] for lease, worker in held},
            results=Counter({names[worker]: number for worker, number in results}),
            accepted=next(ask(done, self._jobs))[0],
            queued=dict(ask(counts, self._jobs)).get("queued", 0),
            job_over=all(every[job] in ("completed", "failed", "cancelled") for job in self._jobs),
        )

    def failures_of(self, task: str) -> int:
        """How many workers have failed a task."""
        if self._connection is None:
            return 0
        with self._lock:
            query = "SELECT count(DISTINCT worker_id) FROM failures WHERE task_id = ? AND kind = 'worker'"
            return int(next(self._connection.execute(query, (task,)))[0])

    def tasks_of(self, leases: frozenset[str]) -> list[str]:
        if self._connection is None or not leases:
            return []
        with self._lock:
            every = dict(self._connection.execute("SELECT id, task_id FROM leases WHERE status = 'held'"))
        return [every[lease] for lease in leases if lease in every]
