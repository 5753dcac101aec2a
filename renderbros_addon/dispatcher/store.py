"""The database: connections, transactions that leave event rows, migrations."""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, func, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, OperationalError

from ..protocol.jobs import LogEntry
from .errors import ConfigurationError, Conflict, LostRace
from .prepared import Prepared, param
from .tables import AnyRow, events

log = logging.getLogger("renderbros.dispatcher")

Clock = Callable[[], datetime]
T = TypeVar("T")

BUSY_SECONDS = 30
"""How long a SQLite connection waits for another process's write (ours take turns by a lock)."""

ATTEMPTS = 8
"""How often a change that lost a race is tried."""

MOST_TOGETHER = 64
"""Changes that share a commit at most: those behind them wait for all of it."""

CHANNEL = "renderbros_events"
"""Where dispatchers on one PostgreSQL database tell each other of their changes."""

# Keys of PostgreSQL advisory locks: any numbers, as long as nothing else in the database uses them.
_MIGRATION_LOCK = 0x52425F01
_COLLISIONS = frozenset({"40001", "40P01"})
"""PostgreSQL's serialization failure and deadlock. By number, since not every dispatcher has need of its driver."""

_EVENT_LOCK = 0x52425F02


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    """An identifier that nobody can guess."""
    return secrets.token_hex(12)


_LEAVE = Prepared(
    insert(events)
    .values({column.name: param(column) for column in events.c if column is not events.c.id})
    .returning(events.c.id)
)
_LEAVE_ALL = Prepared(insert(events).values({column.name: param(column) for column in events.c}))
_LAST = Prepared(select(func.max(events.c.id)))


class Tx:
    """One change in the making: its connection, its moment, and the events it will leave."""

    def __init__(self, conn: Connection, now: datetime, origin: str = "") -> None:
        self._origin = origin
        self.conn = conn
        self.now = now
        self.postgres = conn.dialect.name == "postgresql"
        self.pending: list[dict[str, Any]] = []
        """The rows of its events."""

    def emit(
        self,
        event: str,
        *,
        job_id: str | None = None,
        task_id: str | None = None,
        worker_id: str | None = None,
        **detail: object,
    ) -> None:
        """Leave an event row with this change, and tell the listeners once it is committed."""
        self.pending.append(
            {"at": self.now, "event": event, "job_id": job_id, "task_id": task_id, "worker_id": worker_id}
            | {"detail": json.dumps(detail)}
        )

    def write_events(self) -> tuple[LogEntry, ...]:
        """On PostgreSQL, where each change is a transaction of its own."""
        if not self.pending:
            return ()
        # Ids come from a sequence, outside transactions. Without this lock a lower id could be committed after a
        # higher one, and whoever reads a log "after id N" would never see it. Held from here to the commit only.
        self.conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _EVENT_LOCK})
        entries = tuple(_entry(_LEAVE.scalar(self.conn, **row), row) for row in self.pending)
        # The lock above makes the ids a range of our own.
        payload = f"{self._origin} {entries[0].id} {entries[-1].id}"
        self.conn.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": CHANNEL, "payload": payload})
        return entries


def write_all_events(conn: Connection, rows: Sequence[dict[str, Any]]) -> tuple[LogEntry, ...]:
    """The same on SQLite, for several changes that share a transaction: nobody else writes meanwhile."""
    if not rows:
        return ()
    last = _LAST.scalar(conn) or 0
    _LEAVE_ALL.run_all(conn, [{"id": last + i, **row} for i, row in enumerate(rows, 1)])
    return tuple(_entry(last + i, row) for i, row in enumerate(rows, 1))


def _entry(number: int, row: dict[str, Any]) -> LogEntry:
    # It is ours, so nothing needs to be looked at again.
    return LogEntry.model_construct(id=number, **{**row, "detail": json.loads(row["detail"])})


def entry_of(row: AnyRow) -> LogEntry:
    """An event row as those who listen get it."""
    return LogEntry(
        id=row.id,
        at=row.at,
        event=row.event,
        job_id=row.job_id,
        task_id=row.task_id,
        worker_id=row.worker_id,
        detail=json.loads(row.detail),
    )


@dataclass(eq=False)
class _Waiting:
    """A change that waits for its turn, and what became of it."""

    work: Callable[[Tx], Any]
    served: bool = False
    result: Any = None
    error: Exception | None = None
    events: list[dict[str, Any]] = field(default_factory=list)


class Store:
    """The database at ``url``. Every method may be called from any thread."""

    def __init__(self, url: str, clock: Clock = utc_now) -> None:
        self.clock = clock
        self.origin = new_id()
        """Whose changes are ours, told to other dispatchers on the same PostgreSQL database."""
        self._listeners: list[Callable[[Sequence[LogEntry]], None]] = []
        self._turn = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self.engine = _engine(url)
        self.sqlite = self.engine.dialect.name == "sqlite"

    def listen(self, listener: Callable[[Sequence[LogEntry]], None]) -> None:
        """Have ``listener`` called with the events of each change, in the thread that committed it."""
        self._listeners.append(listener)

    def change(self, work: Callable[[Tx], T]) -> T:
        """Run ``work`` in one transaction, again if it lost a race; Conflict if it keeps losing.

        ``work`` may therefore be called several times and must do nothing outside the transaction. It is on disk when
        this returns. On SQLite, changes that wait for their turn at the same moment share a commit, and so its sync;
        each is still made as a whole or not at all.
        """
        if self.sqlite:
            return self._change_in_turn(work)
        for attempt in range(ATTEMPTS):
            try:
                return self._change_once(work)
            except (LostRace, IntegrityError) as error:
                log.debug("a change lost a race (attempt %d): %s", attempt + 1, error)
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) not in _COLLISIONS:
                    raise
                log.debug("a change collided with another (attempt %d): %s", attempt + 1, error.orig)
        raise Conflict("it is being changed by others right now: try again")

    def _change_once(self, work: Callable[[Tx], T]) -> T:
        with self.engine.connect() as conn, conn.begin():
            tx = Tx(conn, self.clock(), self.origin)
            result = work(tx)
            entries = tx.write_events()
        self._publish(entries)
        return result

    def change_all(self, works: Sequence[Callable[[Tx], T]]) -> list[T | Exception]:
        """Like :meth:`change` for each of ``works``, in their order; on SQLite they share a commit.

        Each is made as a whole or not at all, whatever becomes of the others: what one raises stands in its place.
        """
        if self.sqlite:
            return [one.error or cast(T, one.result) for one in self._take_turns(works)]
        found: list[T | Exception] = []
        for work in works:
            try:
                found.append(self.change(work))
            except Exception as error:
                found.append(error)
        return found

    def _change_in_turn(self, work: Callable[[Tx], T]) -> T:
        [mine] = self._take_turns([work])
        if mine.error is not None:
            raise mine.error
        return cast(T, mine.result)

    def _take_turns(self, works: Sequence[Callable[[Tx], Any]]) -> list[_Waiting]:
        mine = [_Waiting(work) for work in works]
        self._waiting.extend(mine)
        with self._turn:
            # Whoever has the turn serves all who wait by then, and most find themselves served.
            while not all(one.served for one in mine):
                self._serve([self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_TOGETHER))])
        return mine

    def _serve(self, together: Sequence[_Waiting]) -> None:
        entries: tuple[LogEntry, ...] = ()
        try:
            with self.engine.connect().execution_options(immediate=True) as conn, conn.begin():
                for one in together:
                    self._attempt(conn, one)
                entries = write_all_events(conn, [row for one in together for row in one.events])
        except BaseException as error:
            # Nothing of this is on disk: whoever has no error of its own shares this one.
            shared = error if isinstance(error, Exception) else Conflict("interrupted: try again")
            for one in together:
                one.error = one.error or shared
            if shared is not error:
                raise
        finally:
            for one in together:
                one.served = True
        self._publish(entries)

    def _attempt(self, conn: Connection, one: _Waiting) -> None:
        # Straight to the driver, since SQLAlchemy's own savepoints take longer than most changes.
        cursor = conn.connection.cursor()
        for attempt in range(ATTEMPTS):
            cursor.execute("SAVEPOINT one")
            try:
                tx = Tx(conn, self.clock())
                one.result = one.work(tx)
                one.events = tx.pending
                cursor.execute("RELEASE one")
                return
            except (LostRace, IntegrityError) as error:
                cursor.execute("ROLLBACK TO one")
                log.debug("a change lost a race (attempt %d): %s", attempt + 1, error)
            except Exception as error:
                one.error = error
                # SQLite gives the whole transaction up where the disk is full; then this raises too, and all fail.
                cursor.execute("ROLLBACK TO one")
                return
        one.error = Conflict("it is being changed by others right now: try again")

    def _publish(self, entries: Sequence[LogEntry]) -> None:
        if entries:
            for listener in self._listeners:
                listener(entries)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection with one consistent view, for reading only."""
        with self.engine.connect() as conn:
            if not self.sqlite:
                conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with conn.begin():
                yield conn

    def migrate(self) -> None:
        """Bring the schema up to date; ConfigurationError if the database can't be reached."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
        try:
            with self.engine.connect().execution_options(immediate=True) as conn, conn.begin():
                if not self.sqlite:
                    conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
                config.attributes["connection"] = conn
                command.upgrade(config, "head")
        except DBAPIError as error:
            url = self.engine.url.render_as_string(hide_password=True)
            raise ConfigurationError(f"The database {url} can't be used: {str(error.orig).strip()}") from error

    def close(self) -> None:
        self.engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgres", "postgresql"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.drivername == "postgresql+psycopg":
            # Read committed: every statement sees what is committed, so that a statement that waited for a row lock
            # sees what the other one did.
            return create_engine(parsed, pool_size=20, pool_pre_ping=True, isolation_level="READ COMMITTED")
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigurationError(f"Not the URL of a database: {error}") from error
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise ConfigurationError(
            "The database is a SQLite file or PostgreSQL: sqlite:///FOLDER/FILE or postgresql://USER:PASSWORD@HOST/NAME."
        )
    engine = create_engine(parsed, pool_size=20, max_overflow=20, pool_use_lifo=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not by the driver's guesses
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL syncs the log at each commit. NORMAL would survive a killed process as well, but a power cut could undo the
    # last commits: a job that its submitter was told is taken would be gone. A sync costs milliseconds, a render
    # seconds.
    connection.execute("PRAGMA synchronous = FULL")
    # Each of the pool's connections keeps pages of its own, 2 MB by default, of which the system has a copy anyway.
    connection.execute("PRAGMA cache_size = -512")


def _begin_sqlite(conn: Connection) -> None:
    # A transaction that begins by reading and then writes fails at once if another wrote in between, whatever the
    # timeout; one that takes the write lock first waits its turn.
    conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get("immediate") else "BEGIN")
