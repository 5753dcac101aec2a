"""All parts of one dispatcher, put together: started in order, stopped in order."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import replace

from ..imaging.checker import DEFAULT_MEMORY, ImageChecker
from ..protocol.events import TaskProgress
from ..protocol.jobs import LogEntry
from ..protocol.leases import Progress
from ..protocol.states import LeaseStatus
from . import accounts, first_operator, jobs, leases, workers
from .blob_rights import BlobRights
from .blobs import BlobStore
from .callers import Caller, Callers
from .config import DispatcherConfig
from .data_lock import DataLock
from .errors import ConfigurationError
from .hub import Hub
from .intake import Intake
from .litter import Litter
from .metrics import Metrics
from .neighbours import Neighbours
from .progress import Known, ProgressBoard
from .rates import Rates
from .sessions import SignedIn
from .store import Clock, Store, Tx, utc_now
from .sweeper import Sweeper
from .tables import AnyRow

log = logging.getLogger("renderbros.dispatcher")

SEEN_EVERY = 5.0
"""Seconds between two notes in the database that a worker is there; each would cost a write."""


class Dispatcher:
    """One dispatcher. Routes reach its parts through the app's state. Locks its data folder until :meth:`close`."""

    def __init__(self, config: DispatcherConfig, clock: Clock = utc_now) -> None:
        config.check()
        self.config = config
        self.hub = Hub()
        self.board = ProgressBoard()
        self.callers = Callers()
        self.rates = Rates(config.limits)
        self.new_operator_token: str | None = None
        """That of the operator whom the first start made; nobody learns it later."""
        self.ready = False
        config.data.mkdir(parents=True, exist_ok=True)
        self._lock = DataLock(config.data)
        self._lock.acquire()
        try:
            self.store = Store(config.database_url, clock)
            self.signed_in = SignedIn(self.store)
            self.metrics = Metrics(self.store)
            self._scratch = config.data / "scratch"
            # What a killed run left there belongs to nobody: we hold the folder's lock.
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch.mkdir()
            try:
                self.blobs = BlobStore(config.storage_url, config.data / "spool", config.max_blob_bytes)
            except Exception as error:
                raise ConfigurationError(f"The blob store {config.storage_url} can't be used: {error}") from error
        except BaseException:
            self._lock.release()
            raise
        self.blob_rights = BlobRights(
            self.store, self.rates, self._sent, self.blobs.unfinished, config.max_unclaimed_bytes
        )
        self.intake = Intake(self.store, self.blobs, self._scratch, self._checker, config.intake_threads)
        self.sweeper = Sweeper(
            self.store, self.intake.recover, offline_seconds=config.offline_seconds, lease_seconds=config.lease_seconds
        )
        self.litter = Litter(self.store, self.blobs)
        self.neighbours = Neighbours(self.store, self._hear_neighbour, self.hub.wake_all)
        self._seen: dict[str, float] = {}
        self._seen_lock = threading.Lock()
        self._started = False

    def _checker(self) -> ImageChecker:
        config = self.config
        memory = config.checker_memory or DEFAULT_MEMORY
        return ImageChecker(
            config.checker_command, timeout=config.checker_timeout, max_memory=memory, writable=[self._scratch]
        )

    def start(self) -> None:
        """Migrate, take up what an earlier run left, and begin to sweep. Once started, does nothing."""
        if self._started:
            return
        self._started = True
        self.store.migrate()
        self.store.change(self.sweeper.start_waits_anew)
        self.new_operator_token = first_operator.let_in(self.store, self.config)
        self.store.listen(self.callers.forget)
        self.store.listen(self.signed_in.hear)
        self.store.listen(self.blob_rights.hear)
        self.store.listen(self.hub.publish)
        self.store.listen(self.board.forget)
        self.store.listen(self.metrics.count)
        self.intake.start()
        self.sweeper.start()
        self.litter.start()
        self.neighbours.start()
        self.ready = True

    def close(self) -> None:
        """Stop everything and let go of the data folder."""
        self.ready = False
        self.hub.stop()
        self.neighbours.close()
        self.sweeper.close()
        self.litter.close()
        self.intake.close()
        self.store.close()
        self._lock.release()

    def used(self, account: AnyRow) -> None:
        """An account's token came along."""
        now = self.store.clock()
        if account.last_used_at is None or now - account.last_used_at > accounts.NOTED_EVERY:
            self.store.change(lambda tx: accounts.used(tx, account.id))

    def _sent(self, sha256: str, caller: Caller) -> None:
        """An account has sent a whole blob."""
        if caller.account is None:
            self.blob_arrived(sha256, caller)
            return
        size = self.blobs.size(sha256)

        def change(tx: Tx) -> None:
            accounts.own_blob(tx, caller.id, sha256)
            if size is not None:
                jobs.blob_arrived(tx, sha256, size, caller.id)

        self.store.change(change)

    def blob_arrived(self, sha256: str, caller: Caller | None = None) -> None:
        """A blob is there and is ``caller``'s: its jobs may have waited for it. Of None, and of an operator, all."""
        account = caller.account if caller else None
        with self.store.read() as conn:
            if not jobs.is_awaited(conn, sha256):
                return
            if account is not None and not accounts.owns_blob(conn, account, sha256):
                return
        size = self.blobs.size(sha256)
        if size is not None:
            mine = None if caller is None else caller.id
            self.store.change(lambda tx: jobs.blob_arrived(tx, sha256, size, mine))

    def blobs_arrived(self, digests: Collection[str], caller: Caller) -> None:
        """The same for what a job waits for that was just made: blobs that were there before it was."""
        if caller.account is not None:
            with self.store.read() as conn:
                digests = accounts.owned(conn, caller.account, list(digests))
        sizes = {sha256: size for sha256 in digests if (size := self.blobs.size(sha256)) is not None}
        if sizes:
            self.store.change(lambda tx: jobs.blobs_arrived(tx, sizes, caller.id))

    def _hear_neighbour(self, entries: Sequence[LogEntry]) -> None:
        """Another dispatcher changed something: what it leads to is its own affair, who is connected here is ours."""
        self.callers.forget(entries)
        self.signed_in.hear(entries)
        self.blob_rights.hear(entries)
        self.board.forget(entries)
        self.hub.publish(entries)

    def is_due(self, worker_id: str) -> bool:
        """Is it time to note in the database that a worker is there?"""
        last = self._seen.get(worker_id, float("-inf"))
        return time.monotonic() - last >= min(SEEN_EVERY, self.config.offline_seconds / 4)

    def saw(self, worker_id: str) -> None:
        """A worker asked for something."""
        with self._seen_lock:
            if not self.is_due(worker_id):
                return
            self._seen[worker_id] = time.monotonic()
        self.store.change(lambda tx: workers.seen(tx, worker_id))

    def note_progress(self, lease_id: str, worker_id: str, progress: Progress) -> None:
        """How far a task under lease is, for viewers. Of leases that are over, or another's, nothing is noted."""
        known = self.board.find(lease_id)
        if known is None:
            with self.store.read() as conn:
                lease = leases.load(conn, lease_id)
            if lease is None or lease.status != LeaseStatus.HELD:
                return
            known = Known(lease.worker_id, lease.task_id, lease.job_id, progress)
        if known.worker_id != worker_id:
            return
        self.board.put(lease_id, replace(known, progress=progress))
        self.hub.progress(
            TaskProgress(lease_id=lease_id, task_id=known.task_id, job_id=known.job_id, progress=progress)
        )
