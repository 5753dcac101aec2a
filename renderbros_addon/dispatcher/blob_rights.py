"""Whose blobs are whose: who may read one, who has sent one, and who may send one at all.

A digest is no proof of having a file. So a submitter, or a worker, is not told that a blob is there which it has not
sent itself, and sends all of it even if it is; it reads what it has sent, and what came of its jobs, or what the tasks
in its hands are made of. Operators see everything.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta

from sqlalchemy import Connection, bindparam, literal_column, or_, select, union_all

from ..protocol.access import Role
from ..protocol.jobs import LogEntry
from ..protocol.states import LeaseStatus, TaskKind
from . import accounts, jobs
from .callers import Caller
from .errors import Forbidden, TooLarge
from .prepared import Prepared
from .rates import UPLOADS_AT_ONCE, Limited, Rates
from .store import Store
from .tables import frames, job_blobs, leases, result_files, results, tasks
from .tables import jobs as jobs_table

LATE_FOR = 24 * 3600.0
"""Seconds after a lease was there for which its worker may still send what it came to: late results are welcome."""

ASK_EVERY = 10.0
"""Seconds between two looks into the database for a lease of a worker that had none."""

MAX_RESULT_BYTES = 4 << 30
"""Of one file that a worker sends: 8K with some fifty channels of floats."""

MOST = 10_000

_HELD = leases.c.status == literal_column(f"'{LeaseStatus.HELD}'")
_READABLE_BY_WORKER = Prepared(
    select(leases.c.id)
    .join(tasks, tasks.c.id == leases.c.task_id)
    .outerjoin(job_blobs, (job_blobs.c.job_id == leases.c.job_id) & (job_blobs.c.sha256 == bindparam("what")))
    .where(
        leases.c.worker_id == bindparam("who"),
        _HELD,
        or_(job_blobs.c.sha256.is_not(None), tasks.c.assembled == bindparam("same")),
    )
    .limit(1)
)
_HOLDS_ONE = Prepared(select(leases.c.id).where(leases.c.worker_id == bindparam("who"), _HELD).limit(1))
_HELD_ONE = Prepared(
    select(leases.c.id).where(leases.c.worker_id == bindparam("who"), leases.c.created_at > bindparam("since")).limit(1)
)
_CAME_OF_JOBS = Prepared(
    union_all(
        select(jobs_table.c.id)
        .join(frames, frames.c.job_id == jobs_table.c.id)
        .where(frames.c.output_sha256 == bindparam("what"), jobs_table.c.account == bindparam("who")),
        select(jobs_table.c.id)
        .join(frames, frames.c.job_id == jobs_table.c.id)
        .join(results, results.c.id == frames.c.result_id)
        .join(result_files, result_files.c.result_id == results.c.id)
        .where(result_files.c.sha256 == bindparam("same"), jobs_table.c.account == bindparam("also")),
        # A tile that its frame will be made of. What a check rendered is nobody's business.
        select(jobs_table.c.id)
        .join(results, results.c.job_id == jobs_table.c.id)
        .join(tasks, tasks.c.id == results.c.task_id)
        .where(
            results.c.sha256 == bindparam("tile"),
            tasks.c.result_id == results.c.id,
            results.c.status == literal_column("'accepted'"),
            tasks.c.kind == literal_column(f"'{TaskKind.RENDER}'"),
            jobs_table.c.account == bindparam("tiles_of"),
        ),
    )  # type: ignore[arg-type]
)


class BlobRights:
    """What one dispatcher knows of them. Any thread may call. ``arrived`` is told of whole blobs."""

    def __init__(self, store: Store, rates: Rates, arrived: Callable[[str, Caller], None]) -> None:
        self._store = store
        self._rates = rates
        self._arrived = arrived
        self._lock = threading.Lock()
        self._lent: dict[str, float] = {}
        self._refused: dict[str, float] = {}
        self._sent: OrderedDict[tuple[str, str], None] = OrderedDict()

    def hear(self, entries: Sequence[LogEntry]) -> None:
        """Note who has, or had, a lease."""
        for entry in entries:
            if entry.worker_id and entry.event in ("task.leased", "lease.expired", "lease.revoked"):
                if len(self._lent) >= MOST:
                    self._lent.clear()
                self._lent[entry.worker_id] = time.monotonic()
                self._refused.pop(entry.worker_id, None)

    def of(self, caller: Caller) -> BlobHolder:
        return BlobHolder(self, caller)

    def _worker_sent(self, caller: Caller, sha256: str) -> None:
        with self._lock:
            self._sent[caller.id, sha256] = None
            while len(self._sent) > MOST:
                self._sent.popitem(last=False)

    def _may_read(self, conn: Connection, caller: Caller, sha256: str) -> bool:
        if caller.role is Role.WORKER:
            return _READABLE_BY_WORKER.first(conn, who=caller.id, what=sha256, same=sha256) is not None
        if accounts.owns_blob(conn, caller.id, sha256):
            return True
        whose, what = caller.id, sha256
        found = _CAME_OF_JOBS.first(conn, who=whose, what=what, same=what, also=whose, tile=what, tiles_of=whose)
        return found is not None

    def _may_send(self, caller: Caller) -> bool:
        """Has it, or had it, a lease that could have come to something?"""
        if time.monotonic() - self._lent.get(caller.id, float("-inf")) < LATE_FOR:
            return True
        if time.monotonic() - self._refused.get(caller.id, float("-inf")) < ASK_EVERY:
            return False
        since = self._store.clock() - timedelta(seconds=LATE_FOR)
        with self._store.read() as conn:
            held = _HOLDS_ONE.first(conn, who=caller.id) is not None
            # A dispatcher that was started since remembers nothing. This looks through many rows, and so now and then.
            held = held or _HELD_ONE.first(conn, who=caller.id, since=since) is not None
        if len(self._refused) >= MOST:
            self._refused.clear()
        (self._lent if held else self._refused)[caller.id] = time.monotonic()
        return held


class BlobHolder:
    """The rights of one caller."""

    def __init__(self, rights: BlobRights, caller: Caller) -> None:
        self._rights = rights
        self._caller = caller

    @property
    def owner(self) -> str:
        """Whose partial uploads are its own."""
        return self._caller.id

    def may_read(self, sha256: str) -> bool:
        if self._caller.role is Role.OPERATOR:
            return True
        if self._caller.role is Role.WORKER and self.has_sent(sha256):
            return True
        with self._rights._store.read() as conn:
            return self._rights._may_read(conn, self._caller, sha256)

    def has_sent(self, sha256: str) -> bool:
        """Need it not send the blob once more, as it has shown that it has it?"""
        if self._caller.role is Role.OPERATOR:
            return True
        if self._caller.role is Role.WORKER:
            return (self._caller.id, sha256) in self._rights._sent
        with self._rights._store.read() as conn:
            return accounts.owns_blob(conn, self._caller.id, sha256)

    def sending(self) -> AbstractContextManager[None]:
        """To be held while it sends; TooMany if it sends too many at once."""
        return self._rights._rates.holding("uploads", self._caller.id, UPLOADS_AT_ONCE)

    def check_send(self, sha256: str, size: int, left: int) -> None:
        """Forbidden, TooLarge or TooMany if it may not send the ``left`` bytes of a blob of ``size``."""
        self._rights._rates.take(Limited.BYTES, self._caller.id, max(0, left))
        if self._caller.role is Role.WORKER:
            if not self._rights._may_send(self._caller):
                raise Forbidden("a worker sends what its leases come to, and it has none", word="no_lease")
            if size > MAX_RESULT_BYTES:
                raise TooLarge(f"a result's file has at most {MAX_RESULT_BYTES} bytes here, not {size}")
        elif self._caller.role is Role.SUBMITTER:
            with self._rights._store.read() as conn:
                awaited = jobs.awaited_size(conn, sha256, self._caller.id)
                if awaited is None and not accounts.owns_blob(conn, self._caller.id, sha256):
                    raise Forbidden("no job of yours waits for this blob: create the job first", word="not_awaited")
            if awaited is not None and size > awaited:
                raise TooLarge(f"the job says that this blob has {awaited} bytes, not {size}")

    def sent(self, sha256: str) -> None:
        """It has sent the blob, which is whole and right; may be said more than once."""
        if self._caller.role is Role.WORKER:
            self._rights._worker_sent(self._caller, sha256)
        else:
            self._rights._arrived(sha256, self._caller)


class AnyHolder:
    """Somebody who may do everything, for a server of blobs alone. ``arrived`` is told of whole blobs."""

    owner = ""

    def __init__(self, arrived: Callable[[str], None]) -> None:
        self.sent = arrived

    def may_read(self, sha256: str) -> bool:  # noqa: ARG002
        return True

    has_sent = may_read

    def sending(self) -> AbstractContextManager[None]:
        return nullcontext()

    def check_send(self, sha256: str, size: int, left: int) -> None:
        """It always may."""


Holder = BlobHolder | AnyHolder
