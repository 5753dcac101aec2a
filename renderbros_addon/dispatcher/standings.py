"""Each worker's trust as kept in the database, and what follows for the worker when it changes.

What a happening does to trust is for ``trust.py`` to say, which is pure; here it is read, written, and acted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from ..protocol.states import WorkerStatus
from ..protocol.workers import Standing
from . import checks, workers
from .prepared import Prepared, param
from .store import Tx
from .tables import AnyRow, events
from .tables import trust as trust_table
from .tables import workers as workers_table
from .trust import NEW, Happening, Trust, after, check_rate, credibility, is_all_doubtful, is_banned

_LOAD = Prepared(select(trust_table).where(trust_table.c.worker_id == bindparam("of")))
_LOCK = Prepared(select(trust_table).where(trust_table.c.worker_id == bindparam("of")).with_for_update())
_COUNTS = {*asdict(NEW), "last_passed"}
_COUNT = Prepared(
    update(trust_table)
    .where(trust_table.c.worker_id == bindparam("of"))
    .values({name: param(trust_table.c[name]) for name in sorted(_COUNTS)})
)


def load(conn: Connection, worker_id: str) -> Trust:
    row = _LOAD.first(conn, of=worker_id)
    return NEW if row is None else _trust(row)


def _trust(row: AnyRow) -> Trust:
    return Trust(row.frames, row.passed, row.inconclusive, row.faults, row.strikes, row.until)


def _locked(tx: Tx, worker_id: str) -> AnyRow:
    """The worker's row, made if it is new, held until the commit: two jobs may tell of one worker at once."""
    row = _LOCK.first(tx.conn, of=worker_id)
    if row is None:
        tx.conn.execute(insert(trust_table).values(worker_id=worker_id, last_passed=0, **asdict(NEW)))
        row = _LOCK.one(tx.conn, of=worker_id)
    return row


def _write(tx: Tx, worker_id: str, known: Trust, **more: object) -> None:
    columns = {**asdict(known), **more}
    if set(columns) == _COUNTS:
        _COUNT.run(tx.conn, of=worker_id, **columns)
    else:
        tx.conn.execute(update(trust_table).where(trust_table.c.worker_id == worker_id).values(columns))


def note(tx: Tx, worker_id: str, happening: Happening, result_id: int) -> Trust:
    """One of the worker's results was accepted, passed its check, or could not be judged. Returns its trust then."""
    if happening in (Happening.FAULT, Happening.PARDON):
        raise ValueError(f"{happening} has a function of its own")
    row = _locked(tx, worker_id)
    known = after(_trust(row), happening, tx.now)
    last = max(row.last_passed, result_id) if happening is Happening.PASSED else row.last_passed
    _write(tx, worker_id, known, last_passed=last)
    return known


def punish(tx: Tx, worker_id: str) -> Trust:
    """A fault is confirmed: quarantine, or ban; what it sent is due for recall as far as that makes it doubtful."""
    row = _locked(tx, worker_id)
    before = _trust(row)
    known = after(before, Happening.FAULT, tx.now)
    proven = row.last_passed
    if is_all_doubtful(before):
        proven = checks.last_passed(tx.conn, worker_id, before.passed + 1)
    due = proven if row.recall_after is None else min(row.recall_after, proven)
    _write(tx, worker_id, known, recall_after=due)
    tx.emit("worker.fault", worker_id=worker_id, faults=known.faults, strikes=known.strikes, until=str(known.until))
    if is_banned(known):
        workers.ban(tx, worker_id)
    else:
        workers.quarantine(tx, worker_id)
    return known


def pardon(tx: Tx, worker_id: str) -> None:
    """Let a banned worker, or one in quarantine, in again; it begins with a probation. Its faults stay on record."""
    workers.readmit(tx, worker_id, "worker.pardoned")
    row = _locked(tx, worker_id)
    _write(tx, worker_id, after(_trust(row), Happening.PARDON, tx.now))


def caught_in(conn: Connection, job_id: str) -> list[str]:
    """Ids of the workers that were found at fault by results for a job, and not cleared since."""
    rows = conn.execute(
        select(events.c.event, events.c.worker_id)
        .where(events.c.job_id == job_id, events.c.event.in_(("worker.caught", "worker.cleared")))
        .order_by(events.c.id)
    )
    found: dict[str, bool] = {worker_id: event == "worker.caught" for event, worker_id in rows}
    return [worker_id for worker_id, caught in found.items() if caught]


def clear(tx: Tx, worker_id: str, job_id: str) -> None:
    """The job, not the worker, was at fault. The fault is undone; what trust it had before is not known any more."""
    row = _locked(tx, worker_id)
    _write(tx, worker_id, after(_trust(row), Happening.CLEARED, tx.now), recall_after=None)
    if workers.load(tx.conn, worker_id).status in workers.DISTRUSTED:
        workers.readmit(tx, worker_id, "worker.readmitted")
    tx.emit("worker.cleared", job_id=job_id, worker_id=worker_id)


def due_for_recall(conn: Connection) -> list[tuple[str, int]]:
    """Workers some of whose results are to be rendered again, each with the id of the last one that is not."""
    rows = conn.execute(
        select(trust_table.c.worker_id, trust_table.c.recall_after).where(trust_table.c.recall_after.is_not(None))
    )
    return [(worker_id, recall_after) for worker_id, recall_after in rows]


def recalled(tx: Tx, worker_id: str, recall_after: int) -> None:
    """All that was due is done, unless another fault made more due meanwhile."""
    tx.conn.execute(
        update(trust_table)
        .where(trust_table.c.worker_id == worker_id, trust_table.c.recall_after == recall_after)
        .values(recall_after=None)
    )


def served(conn: Connection, now: datetime) -> Sequence[str]:
    """Ids of workers whose quarantine is over."""
    rows = conn.execute(
        select(workers_table.c.id)
        .join(trust_table, trust_table.c.worker_id == workers_table.c.id)
        .where(workers_table.c.status == WorkerStatus.QUARANTINED, trust_table.c.until <= now)
    )
    return list(rows.scalars())


def release(tx: Tx, worker_id: str) -> None:
    """End a quarantine that is over; the worker begins with a probation."""
    known = load(tx.conn, worker_id)
    if workers.load(tx.conn, worker_id).status == WorkerStatus.QUARANTINED and (known.until or tx.now) <= tx.now:
        workers.readmit(tx, worker_id, "worker.readmitted")


def standings(conn: Connection) -> dict[str, Standing]:
    """Of all workers that anything is known of, by id."""
    return {row.worker_id: standing(_trust(row)) for row in conn.execute(select(trust_table))}


def standing(known: Trust) -> Standing:
    """As it is shown."""
    return Standing(
        credibility=credibility(known.passed, caught_pay=True),
        check_rate=check_rate(known),
        frames=known.frames,
        passed=known.passed,
        inconclusive=known.inconclusive,
        faults=known.faults,
        probation=known.probation,
        until=known.until,
    )
