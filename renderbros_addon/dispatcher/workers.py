"""The worker's state machine, its enrolment and its token.

    enrolled -> online <-> offline       online <-> paused -> offline
    any -> quarantined -> offline         any -> banned -> offline (pardon)

Trust (``standings.py``) says when one is quarantined or banned. Draining has its name in the protocol only.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, and_, bindparam, insert, or_, select, update

from ..protocol.access import Role
from ..protocol.states import LeaseStatus, TaskStatus, WorkerStatus
from ..protocol.workers import Capabilities, Enrolled, Enrolment
from . import fairness, invites, jobs, leases, matching, tasks, tokens
from .errors import Conflict, Forbidden, LostRace, NotFound, Unauthorized
from .prepared import Prepared, param
from .store import Tx, new_id
from .tables import AnyRow, workers

_S = WorkerStatus

ALLOWED: Mapping[WorkerStatus, frozenset[WorkerStatus]] = {
    _S.ENROLLED: frozenset({_S.ONLINE, _S.PAUSED, _S.OFFLINE, _S.QUARANTINED, _S.BANNED}),
    _S.ONLINE: frozenset({_S.OFFLINE, _S.PAUSED, _S.QUARANTINED, _S.BANNED}),
    _S.OFFLINE: frozenset({_S.ONLINE, _S.PAUSED, _S.QUARANTINED, _S.BANNED}),
    _S.PAUSED: frozenset({_S.ONLINE, _S.OFFLINE, _S.QUARANTINED, _S.BANNED}),
    _S.DRAINING: frozenset({_S.QUARANTINED, _S.BANNED}),
    _S.QUARANTINED: frozenset({_S.OFFLINE, _S.BANNED}),
    _S.BANNED: frozenset({_S.OFFLINE}),
}

DISTRUSTED = (_S.QUARANTINED, _S.BANNED)
"""They get no tasks, and what they send is not wanted."""

PRESENT = (_S.ENROLLED, _S.ONLINE, _S.PAUSED)
"""Those that can fall silent."""


def _token(secret: str, worker_id: str, salt: str) -> str:
    # Made from the worker's own secret: enrolling again gives the same token, and yet only its hash is kept.
    return tokens.derived(tokens.WORKER, secret, f"renderbros worker {worker_id}{salt}")


def admit(tx: Tx, enrolment: Enrolment) -> Enrolled:
    """Enrol a worker from outside: a new one by an invite for workers, a known one by its name and secret.

    Forbidden without an open invite; otherwise as :func:`enrol`.
    """
    if _known(tx.conn, enrolment) is not None:
        return enrol(tx, enrolment)
    if enrolment.invite is None:
        raise Forbidden(
            "this worker is new here: it needs an invite for workers, which the operator makes (worker --invite CODE)",
            word="invite_needed",
        )
    invite = invites.find(tx, enrolment.invite, (Role.WORKER,))
    enrolled = enrol(tx, enrolment, invite.id)
    invites.use(tx, invite, enrolled.id)
    return enrolled


def _known(conn: Connection, enrolment: Enrolment) -> AnyRow | None:
    return conn.execute(
        select(workers).where(
            workers.c.name == enrolment.name, workers.c.secret_hash == tokens.digest(enrolment.secret)
        )
    ).first()


def enrol(tx: Tx, enrolment: Enrolment, invite: str | None = None) -> Enrolled:
    """Make a worker known, which comes by the ``invite`` of that id, or know it again by its name and secret.

    Conflict if it comes with another owner than before: as another's worker it would get the checks of its own results.
    Forbidden for a new one whose owner has a worker that is banned.
    """
    secret_hash = tokens.digest(enrolment.secret)
    known = _known(tx.conn, enrolment)
    capabilities = enrolment.capabilities.model_dump_json()
    owner = None if enrolment.owner is None else tokens.digest(enrolment.owner)
    if known is not None:
        if known.owner not in (owner, None):
            raise Conflict(
                f"worker {enrolment.name!r} was enrolled for another owner, and that never changes: "
                "give it its owner's secret again, or another name to begin anew",
                word="other_owner",
            )
        # One that was its own owner may join one, once: it stays barred by its id from checks of its own results.
        tx.conn.execute(
            update(workers)
            .where(workers.c.id == known.id)
            .values(capabilities=capabilities, owner=owner, last_seen=tx.now)
        )
        token = _token(enrolment.secret, known.id, known.token_salt)
        if known.token_hash != tokens.digest(token):
            # It was made void; whoever has the secret gets the one that came after it.
            tx.conn.execute(update(workers).where(workers.c.id == known.id).values(token_hash=tokens.digest(token)))
        tx.emit("worker.enrolled", worker_id=known.id, name=enrolment.name, again=True)
        return Enrolled(id=known.id, token=token)
    if owner is not None and _has_banned(tx.conn, owner):
        raise Forbidden("a worker of this owner is banned here: the operator can pardon it", word="banned_owner")
    worker_id = new_id()
    token = _token(enrolment.secret, worker_id, "")
    tx.conn.execute(
        insert(workers).values(
            id=worker_id,
            name=enrolment.name,
            secret_hash=secret_hash,
            token_hash=tokens.digest(token),
            status=_S.ENROLLED,
            pause_requested=False,
            capabilities=capabilities,
            owner=owner,
            invite=invite,
            enrolled_at=tx.now,
            last_seen=tx.now,
            tasks_accepted=0,
            tasks_failed=0,
        )
    )
    tx.emit("worker.enrolled", worker_id=worker_id, name=enrolment.name, again=False)
    return Enrolled(id=worker_id, token=token)


def _has_banned(conn: Connection, owner: str) -> bool:
    query = select(workers.c.id).where(workers.c.owner == owner, workers.c.status == _S.BANNED).limit(1)
    return conn.execute(query).first() is not None


def renew_token(tx: Tx, worker_id: str) -> None:
    """Make a worker's token void: whoever has it has nothing; the worker gets another one by its secret."""
    load(tx.conn, worker_id)
    # Of this one nobody knows what it is the digest of.
    void = tokens.digest(secrets.token_hex(32))
    salt = secrets.token_hex(16)
    tx.conn.execute(update(workers).where(workers.c.id == worker_id).values(token_hash=void, token_salt=salt))
    tx.emit("worker.token_revoked", worker_id=worker_id)


_LOAD = Prepared(select(workers).where(workers.c.id == bindparam("of")))
_BY_TOKEN = Prepared(select(workers).where(workers.c.token_hash == bindparam("token")))
_ONLINE = Prepared(
    select(workers.c.id, workers.c.capabilities, workers.c.owner)
    .where(workers.c.status == _S.ONLINE, workers.c.pause_requested.is_(False))
    .order_by(workers.c.enrolled_at, workers.c.id)
)
_ONLINE_OF_OTHERS = Prepared(
    select(workers.c.id, workers.c.capabilities, workers.c.owner)
    .where(
        workers.c.status == _S.ONLINE,
        workers.c.pause_requested.is_(False),
        workers.c.id != bindparam("but"),
        or_(workers.c.owner.is_(None), workers.c.owner != bindparam("owner")),
    )
    .order_by(workers.c.enrolled_at, workers.c.id)
)
_SEEN = Prepared(
    update(workers).where(workers.c.id == bindparam("of")).values(last_seen=param(workers.c.last_seen, "now"))
)


def by_token(conn: Connection, token: str) -> AnyRow:
    """The worker that a bearer token belongs to; Unauthorized if none."""
    row = _BY_TOKEN.first(conn, token=tokens.digest(token))
    if row is None:
        raise Unauthorized(
            "this token belongs to no worker of this dispatcher: enrol again",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return row


def check_let_in(conn: Connection, known: AnyRow) -> None:
    """Is the worker still let in with the token that ``known``, its row as it was then, came with? Unauthorized if that
    is void, Forbidden if the worker is banned."""
    now = load(conn, known.id)
    if now.token_hash != known.token_hash:
        raise Unauthorized("this worker's token was made void: enrol again", headers={"WWW-Authenticate": "Bearer"})
    if now.status == _S.BANNED:
        raise Forbidden("this worker is banned", word="banned")


def load(conn: Connection, worker_id: str) -> AnyRow:
    row = _LOAD.first(conn, of=worker_id)
    if row is None:
        raise NotFound(f"there is no worker {worker_id}", word="unknown_worker")
    return row


def owner_of(worker: AnyRow) -> str:
    """Whom a worker belongs to: equal for all workers of one owner."""
    return str(worker.owner or worker.id)


def party(worker: AnyRow) -> list[str]:
    """Who must not check what a worker sent: its owner's workers, and itself, should it join another owner."""
    return sorted({owner_of(worker), str(worker.id)})


@lru_cache(maxsize=4096)
def capabilities(text: str) -> Capabilities:
    """Capabilities as kept in a worker's row; the scheduler looks at every worker's for every lease."""
    return Capabilities.model_validate_json(text)


@lru_cache(maxsize=65536)
def _fits(series: str, engine: str, device: str, text: str) -> bool:
    return matching.fits(matching.Needs(series, engine, device), capabilities(text))


def fits(job: AnyRow, text: str) -> bool:
    """Can a worker with these capabilities, as kept in its row, render ``job``?"""
    return _fits(job.series, job.engine, job.device, text)


@lru_cache(maxsize=65536)
def _render_class(engine: str, device: str, text: str) -> str | None:
    return matching.render_class(matching.Needs("", engine, device), capabilities(text))


def render_class(job: AnyRow, text: str) -> str | None:
    """The class of the pixels that a worker with these capabilities, as kept in its row, makes of ``job``."""
    return _render_class(job.engine, job.device, text)


_ABLE = Prepared(
    select(workers.c.id, workers.c.capabilities).where(
        workers.c.status == _S.ONLINE, workers.c.pause_requested.is_(False)
    )
)


def able(conn: Connection) -> Sequence[AnyRow]:
    """Those that may get tasks: id and capabilities, as kept, of each."""
    return _ABLE.all(conn)


def online(conn: Connection) -> Sequence[AnyRow]:
    """Those that may get tasks: ``id``, ``capabilities`` and ``owner`` of each, in the order of enrolment."""
    return _ONLINE.all(conn)


def there_since(conn: Connection, moment: datetime) -> Sequence[AnyRow]:
    """Like :func:`online`, with those that have gone or been paused since ``moment``."""
    there = or_(
        workers.c.status == _S.ONLINE,
        and_(workers.c.status.in_((_S.PAUSED, _S.OFFLINE)), workers.c.last_seen >= moment),
    )
    query = select(workers.c.id, workers.c.capabilities, workers.c.owner).where(there)
    return conn.execute(query.order_by(workers.c.enrolled_at, workers.c.id)).all()


def online_of_others(conn: Connection, worker: AnyRow) -> Sequence[AnyRow]:
    """Like :func:`online`, without ``worker`` and those of its owner."""
    return _ONLINE_OF_OTHERS.all(conn, but=worker.id, owner=owner_of(worker))


def _move(tx: Tx, worker: AnyRow, new: WorkerStatus, event: str, **values: Any) -> None:
    old = WorkerStatus(worker.status)
    if new not in ALLOWED[old]:
        raise Conflict(f"worker {worker.id} is {old}, so it can't become {new}")
    moved = tx.conn.execute(
        update(workers).where(workers.c.id == worker.id, workers.c.status == old).values(status=new, **values)
    )
    if moved.rowcount != 1:
        raise LostRace(f"worker {worker.id} is no longer {old}")
    if old is _S.ONLINE:
        fairness.leave(tx, worker.id)
    tx.emit(event, worker_id=worker.id, old=old, status=new, name=worker.name)


def seen(tx: Tx, worker_id: str) -> None:
    """It asked for something, so it is there."""
    worker = load(tx.conn, worker_id)
    if worker.status in (_S.ENROLLED, _S.OFFLINE):
        if worker.pause_requested:
            _move(tx, worker, _S.PAUSED, "worker.paused", last_seen=tx.now)
        else:
            _move(tx, worker, _S.ONLINE, "worker.online", last_seen=tx.now)
    else:
        _SEEN.run(tx.conn, of=worker_id, now=tx.now)


def seen_by_now(tx: Tx) -> None:
    """Nobody was seen later than now: after a clock was set back, who is gone would count as there for as long."""
    tx.conn.execute(update(workers).where(workers.c.last_seen > tx.now).values(last_seen=tx.now))


def silent_since(conn: Connection, moment: datetime) -> Sequence[str]:
    """Ids of workers that were last seen before ``moment`` and don't count as offline yet."""
    rows = conn.execute(select(workers.c.id).where(workers.c.status.in_(PRESENT), workers.c.last_seen < moment))
    return list(rows.scalars())


def fell_silent(tx: Tx, worker_id: str, moment: datetime) -> None:
    """Count a worker as offline if it has not been seen since ``moment``. Its leases expire by themselves."""
    worker = load(tx.conn, worker_id)
    if worker.status in PRESENT and worker.last_seen < moment:
        _move(tx, worker, _S.OFFLINE, "worker.offline")


def pause(tx: Tx, worker_id: str) -> None:
    """Give it no more tasks; what it has it may finish."""
    worker = load(tx.conn, worker_id)
    if worker.status == _S.BANNED:
        raise Conflict(f"worker {worker_id} is banned")
    if worker.status == _S.ONLINE:
        _move(tx, worker, _S.PAUSED, "worker.paused", pause_requested=True)
    elif not worker.pause_requested:
        tx.conn.execute(update(workers).where(workers.c.id == worker_id).values(pause_requested=True))
        tx.emit("worker.paused", worker_id=worker_id, status=worker.status, name=worker.name)


def resume(tx: Tx, worker_id: str) -> None:
    """Give it tasks again."""
    worker = load(tx.conn, worker_id)
    if worker.status == _S.BANNED:
        raise Conflict(f"worker {worker_id} is banned")
    if worker.status == _S.PAUSED:
        _move(tx, worker, _S.ONLINE, "worker.resumed", pause_requested=False)
    elif worker.pause_requested:
        tx.conn.execute(update(workers).where(workers.c.id == worker_id).values(pause_requested=False))
        tx.emit("worker.resumed", worker_id=worker_id, status=worker.status, name=worker.name)


def ban(tx: Tx, worker_id: str) -> None:
    """Take everything out of its hands, for others to do, and deal with it no more."""
    _take_out(tx, worker_id, _S.BANNED, "worker.banned")


def quarantine(tx: Tx, worker_id: str) -> None:
    """Take everything out of its hands, and give it nothing until its quarantine ends. A banned one stays banned."""
    if load(tx.conn, worker_id).status != _S.BANNED:
        _take_out(tx, worker_id, _S.QUARANTINED, "worker.quarantined")


def _take_out(tx: Tx, worker_id: str, status: WorkerStatus, event: str) -> None:
    for job_id in sorted({lease.job_id for lease in leases.held_of_worker(tx.conn, worker_id)}):
        jobs.lock(tx, job_id)
    worker = load(tx.conn, worker_id)
    if worker.status == status:
        return
    _move(tx, worker, status, event)
    for lease in leases.held_of_worker(tx.conn, worker_id):
        leases.end_all(tx, [lease], LeaseStatus.REVOKED, event)
        task = tasks.load(tx.conn, lease.task_id)
        tasks.move(tx, task, TaskStatus.LEASED, TaskStatus.QUEUED, "task.queued", because=event)


def readmit(tx: Tx, worker_id: str, event: str) -> None:
    """End a quarantine or a ban; it counts as offline until it is seen again."""
    worker = load(tx.conn, worker_id)
    if worker.status not in DISTRUSTED:
        raise Conflict(f"worker {worker_id} is {worker.status}, neither banned nor in quarantine")
    _move(tx, worker, _S.OFFLINE, event)
