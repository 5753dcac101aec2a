"""What happens by the clock: leases expire, silent workers count as offline, old answers are forgotten."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from . import failures, idempotency, jobs, leases, sent_blobs, standings, tasks, unclaimed, waiting, workers
from .store import Store, Tx

log = logging.getLogger("renderbros.dispatcher")


MISSED_SECONDS = 10.0
"""A round that comes so much late means that the machine slept or the process was stopped."""


class Sweeper:
    """Sweeps every ``interval`` seconds, in a thread of its own. ``recover`` is the intake's, called now and then."""

    def __init__(
        self,
        store: Store,
        recover: Callable[[], None],
        *,
        offline_seconds: float,
        lease_seconds: float,
        interval: float = 1.0,
    ) -> None:
        self._store = store
        self._recover = recover
        self._offline = timedelta(seconds=offline_seconds)
        self._lease_seconds = lease_seconds
        self._interval = interval
        self._started: datetime | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sweeper", daemon=True)

    def start(self) -> None:
        self._started = self._store.clock()
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(5)

    def _work(self) -> None:
        duties: list[tuple[float, Callable[[], None]]] = [
            (self._interval, self.expire_leases),
            (self._interval, self.note_silence),
            (5 * self._interval, self.judge_stuck_jobs),
            (5 * self._interval, self.look_after_unclaimed),
            (5 * self._interval, self.end_quarantines),
            (15.0, self._recover),
            (3600.0, self.forget_answers),
        ]
        due = [0.0] * len(duties)
        wall, steady = self._store.clock(), time.monotonic()
        while not self._stop.wait(self._interval):
            slept = (time.monotonic() - steady, (self._store.clock() - wall).total_seconds())
            wall, steady = self._store.clock(), time.monotonic()
            if max(slept) > self._interval + MISSED_SECONDS or min(slept) < -MISSED_SECONDS:
                self.forgive(max(slept))
            for i, (every, duty) in enumerate(duties):
                if time.monotonic() < due[i]:
                    continue
                due[i] = time.monotonic() + every
                try:
                    duty()
                except Exception:
                    # The database may be away for a while; the next round will do.
                    log.exception("a sweep failed and will be tried again")

    def forgive(self, seconds: float) -> None:
        """Start all waits anew: for ``seconds`` by the clock nobody could be heard, or the clock was set."""
        log.warning("this dispatcher was stopped, or the clock was set: %.0f s are missing", seconds)
        self._started = self._store.clock()
        try:
            self._store.change(self.start_waits_anew)
        except Exception:
            log.exception("leases could not be prolonged")

    def start_waits_anew(self, tx: Tx) -> None:
        """Whatever waits for a moment waits from now on: what the clock said before need not be true."""
        leases.grace(tx, self._lease_seconds)
        tasks.shorten_pauses(tx, failures.BACKOFF_MAX)
        workers.seen_by_now(tx)
        jobs.blocked_by_now(tx)
        sent_blobs.by_now(tx)

    def expire_leases(self) -> None:
        """Take tasks back from leases past their expiry."""
        with self._store.read() as conn:
            overdue = leases.overdue(conn, self._store.clock())
        for lease in overdue:
            self._store.change(partial(failures.expire, lease_id=lease.id))
            log.warning("lease expired", extra={"job": lease.job_id, "task": lease.task_id, "worker": lease.worker_id})

    def note_silence(self) -> None:
        """Count workers as offline that have not been heard of for a while.

        While this dispatcher was down nobody could be heard, so the while starts with its start.
        """
        now = self._store.clock()
        if self._started is None or now - self._started < self._offline:
            return
        moment = now - self._offline
        with self._store.read() as conn:
            silent = workers.silent_since(conn, moment)
        for worker_id in silent:
            self._store.change(partial(workers.fell_silent, worker_id=worker_id, moment=moment))
            log.warning("worker fell silent", extra={"worker": worker_id})

    def judge_stuck_jobs(self) -> None:
        """See :func:`.waiting.judge_stuck`."""
        with self._store.read() as conn:
            stuck = waiting.stuck_jobs(conn)
        for job_id in stuck:
            self._store.change(partial(waiting.judge_stuck, job_id=job_id))

    def look_after_unclaimed(self) -> None:
        """See :func:`.unclaimed.look_after`."""
        with self._store.read() as conn:
            waiting = unclaimed.waiting(conn)
        for task_id in waiting:
            self._store.change(partial(unclaimed.look_after, task_id=task_id))

    def end_quarantines(self) -> None:
        """Let workers in again whose quarantine is over."""
        with self._store.read() as conn:
            served = standings.served(conn, self._store.clock())
        for worker_id in served:
            self._store.change(partial(standings.release, worker_id=worker_id))

    def forget_answers(self) -> None:
        """Drop kept answers that nobody will ask for again."""
        self._store.change(idempotency.sweep)
