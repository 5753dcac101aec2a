"""Whose blobs are whose: who may read one, who has sent one, and who may send one at all.

A digest is no proof of having a file. So a submitter, or a worker, is not told that a blob is there which it has not
sent itself, and sends all of it even if it is; it reads what it has sent, and what came of its jobs, or what the tasks
in its hands are made of. Operators see everything. Rights are asked for before it is looked whether a blob is there, so
that the answer takes as long either way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Protocol

from sqlalchemy import Connection, bindparam, literal_column, or_, select, union_all

from ..protocol.access import Role
from ..protocol.jobs import LogEntry
from ..protocol.states import LeaseStatus, TaskKind
from . import accounts, jobs, sent_blobs
from .callers import Caller
from .errors import Forbidden, TooLarge
from .prepared import Prepared
from .rates import UPLOADS_AT_ONCE, Limited, Rates, TooMany
from .store import Store
from .tables import frames, job_blobs, leases, result_files, results, tasks
from .tables import jobs as jobs_table

LATE_FOR = 24 * 3600.0
"""Seconds after a lease was there for which its worker may still send what it came to: late results are welcome."""

ASK_EVERY = 10.0
"""Seconds between two looks into the database for a lease of a worker that had none."""

MAX_RESULT_BYTES = 4 << 30
"""Of one file that a worker sends: 8K with some fifty channels of floats."""

MOST_UNCLAIMED = 4096
"""Files of one worker, or unfinished uploads of one account, that nothing has named yet."""

WAIT_FOR_ROOM = 30
"""Seconds that whoever has sent too much is told to wait: until some of it is named, or swept away."""

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


def holds_lease(conn: Connection, worker_id: str) -> bool:
    """Has the worker a lease?"""
    return _HOLDS_ONE.first(conn, who=worker_id) is not None


class BlobHolder(Protocol):
    """What one caller may do."""

    @property
    def owner(self) -> str:
        """Whose partial uploads are its own."""

    def may_read(self, sha256: str) -> bool: ...

    def has_sent(self, sha256: str) -> bool:
        """Need it not send the blob once more, as it has shown that it has it?"""

    def sending(self) -> AbstractContextManager[None]:
        """To be held while it sends; TooMany if it sends too many at once."""

    def check_send(self, sha256: str, size: int, left: int) -> None:
        """Forbidden, TooLarge or TooMany if it may not send the ``left`` bytes of a blob of ``size``."""

    def announce(self, sha256: str, size: int) -> None:
        """All bytes of the blob have come in, they are right, and they are about to be stored."""

    def sent(self, sha256: str) -> None:
        """The blob that it has sent is stored; may be said more than once."""


class BlobRights:
    """What one dispatcher knows of them. Any thread may call.

    ``arrived`` is told of whole blobs of accounts. ``unfinished`` tells how many unfinished uploads somebody has here,
    and their bytes. ``quota`` is how many bytes that nothing has named one worker or submitter may have here.
    """

    def __init__(
        self,
        store: Store,
        rates: Rates,
        arrived: Callable[[str, Caller], None],
        unfinished: Callable[[str], tuple[int, int]],
        quota: int,
    ) -> None:
        self.store = store
        self.rates = rates
        self.arrived = arrived
        self._unfinished = unfinished
        self._quota = quota
        self._lent: dict[str, float] = {}
        self._refused: dict[str, float] = {}
        self._lock = threading.Lock()

    def hear(self, entries: Sequence[LogEntry]) -> None:
        """Note who has, or had, a lease."""
        for entry in entries:
            if entry.worker_id and entry.event in ("task.leased", "lease.expired", "lease.revoked"):
                with self._lock:
                    if len(self._lent) >= MOST:
                        self._lent.clear()
                    self._lent[entry.worker_id] = time.monotonic()
                    self._refused.pop(entry.worker_id, None)

    def of(self, caller: Caller) -> BlobHolder:
        return _HOLDERS[caller.role](self, caller)

    def check_quota(self, owner: str, number: int, size: int, left: int) -> None:
        """TooMany if ``left`` bytes more are too many beside unfinished uploads, and ``number`` files of ``size`` bytes
        in all that nothing has named."""
        parts, bytes_in_parts = self._unfinished(owner)
        if number + parts >= MOST_UNCLAIMED or size + bytes_in_parts + left > self._quota:
            raise TooMany(
                f"{number + parts} files of {size + bytes_in_parts} bytes that you have sent were named by nothing: "
                f"there is no room for {left} bytes more until some of them are named, or are swept away",
                word="over_quota",
                headers={"Retry-After": str(WAIT_FOR_ROOM)},
            )

    def had_lease(self, worker_id: str) -> bool:
        """Has the worker, or had it, a lease that could have come to something?"""
        # Of this the database is the judge, too; but the look for a lease that is over goes through many rows.
        if time.monotonic() - self._lent.get(worker_id, float("-inf")) < LATE_FOR:
            return True
        if time.monotonic() - self._refused.get(worker_id, float("-inf")) < ASK_EVERY:
            return False
        since = self.store.clock() - timedelta(seconds=LATE_FOR)
        with self.store.read() as conn:
            held = holds_lease(conn, worker_id) or _HELD_ONE.first(conn, who=worker_id, since=since) is not None
        with self._lock:
            if len(self._refused) >= MOST:
                self._refused.clear()
            (self._lent if held else self._refused)[worker_id] = time.monotonic()
        return held


class _Holder:
    """What is alike for all who call."""

    def __init__(self, rights: BlobRights, caller: Caller) -> None:
        self._rights = rights
        self._caller = caller
        self._store = rights.store
        self._id = caller.id

    @property
    def owner(self) -> str:
        return self._id

    def sending(self) -> AbstractContextManager[None]:
        return self._rights.rates.holding("uploads", self._id, UPLOADS_AT_ONCE)

    def check_send(self, sha256: str, size: int, left: int) -> None:  # noqa: ARG002
        self._rights.rates.take(Limited.BYTES, self._id, max(0, left))


class _Worker(_Holder):
    """It sends what its leases come to, and reads what they are made of."""

    _looked: tuple[str, sent_blobs.Total] | None = None
    """What this request has found of what the worker had sent before: each look costs as much as the rest."""

    def _total(self, sha256: str) -> sent_blobs.Total:
        if self._looked is None or self._looked[0] != sha256:
            with self._store.read() as conn:
                self._looked = sha256, sent_blobs.total(conn, self._id, sha256)
        return self._looked[1]

    def may_read(self, sha256: str) -> bool:
        if self.has_sent(sha256):
            return True
        with self._store.read() as conn:
            return _READABLE_BY_WORKER.first(conn, who=self._id, what=sha256, same=sha256) is not None

    def has_sent(self, sha256: str) -> bool:
        return self._total(sha256).has_this

    def check_send(self, sha256: str, size: int, left: int) -> None:
        super().check_send(sha256, size, left)
        if not self._rights.had_lease(self._id):
            raise Forbidden("a worker sends what its leases come to, and it has none", word="no_lease")
        if size > MAX_RESULT_BYTES:
            raise TooLarge(f"a result's file has at most {MAX_RESULT_BYTES} bytes here, not {size}")
        unclaimed = self._total(sha256)
        self._rights.check_quota(self._id, unclaimed.number, unclaimed.size, left)

    def announce(self, sha256: str, size: int) -> None:
        self._store.change(lambda tx: sent_blobs.note(tx, self._id, sha256, size))

    def sent(self, sha256: str) -> None:
        """The row that tells of it is there already."""


class _Account(_Holder):
    def announce(self, sha256: str, size: int) -> None:
        """What a job waits for is needed before it is there."""

    def sent(self, sha256: str) -> None:
        self._rights.arrived(sha256, self._caller)


class _Submitter(_Account):
    """It sends what its jobs wait for, and reads that, and what came of them."""

    def may_read(self, sha256: str) -> bool:
        with self._store.read() as conn:
            if accounts.owns_blob(conn, self._id, sha256):
                return True
            me, what = self._id, sha256
            found = _CAME_OF_JOBS.first(conn, who=me, what=what, same=what, also=me, tile=what, tiles_of=me)
            return found is not None

    def has_sent(self, sha256: str) -> bool:
        with self._store.read() as conn:
            return accounts.owns_blob(conn, self._id, sha256)

    def check_send(self, sha256: str, size: int, left: int) -> None:
        super().check_send(sha256, size, left)
        with self._store.read() as conn:
            awaited = jobs.awaited_size(conn, sha256, self._id)
            if awaited is None and not accounts.owns_blob(conn, self._id, sha256):
                raise Forbidden("no job of yours waits for this blob: create the job first", word="not_awaited")
        if awaited is not None and size > awaited:
            raise TooLarge(f"the job says that this blob has {awaited} bytes, not {size}")
        # What is whole is a job's by then.
        self._rights.check_quota(self._id, 0, 0, left)


class _Operator(_Account):
    """It may do everything, and sees everything."""

    def may_read(self, sha256: str) -> bool:  # noqa: ARG002
        return True

    has_sent = may_read


_HOLDERS: dict[Role, Callable[[BlobRights, Caller], BlobHolder]] = {
    Role.WORKER: _Worker,
    Role.SUBMITTER: _Submitter,
    Role.OPERATOR: _Operator,
}


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

    def announce(self, sha256: str, size: int) -> None:
        """Nobody is to know."""
