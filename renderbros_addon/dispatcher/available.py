"""Which of a job's tasks are for a worker, and the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, exists, func, not_, or_, select

from ..protocol.states import TaskStatus
from .prepared import Prepared
from .tables import AnyRow, task_bars, tasks
from .tasks import RENDER_RANK

_FREE = and_(
    tasks.c.job_id == bindparam("job"),
    tasks.c.status == TaskStatus.QUEUED,
    or_(tasks.c.not_before.is_(None), tasks.c.not_before <= bindparam("now", type_=tasks.c.not_before.type)),
    or_(tasks.c.wanted_class.is_(None), tasks.c.wanted_class == bindparam("render_class")),
    or_(tasks.c.wanted_worker.is_(None), tasks.c.wanted_worker == bindparam("worker")),
    not_(
        exists().where(
            task_bars.c.task_id == tasks.c.id,
            or_(task_bars.c.owner == bindparam("owner"), task_bars.c.owner == bindparam("worker")),
        )
    ),
)
# The rank is named because the index has it before the ordinal.
_BETWEEN = and_(
    _FREE, tasks.c.rank == RENDER_RANK, tasks.c.ordinal >= bindparam("start"), tasks.c.ordinal < bindparam("stop")
)
_LIMIT = bindparam("most", type_=tasks.c.ordinal.type)


def _in_order(query: Select[Any]) -> Select[Any]:
    return query.order_by(tasks.c.rank, tasks.c.ordinal).limit(_LIMIT)


class _Statements:
    """What is asked of the tasks that a condition picks."""

    def __init__(self, *but: Any) -> None:
        free, between = and_(_FREE, *but), and_(_BETWEEN, *but)
        self.first = Prepared(_in_order(select(tasks.c.kind, tasks.c.linear).where(free)))
        self.take = Prepared(_in_order(select(tasks).where(free)).with_for_update(skip_locked=True))
        self.take_between = Prepared(_in_order(select(tasks).where(between)).with_for_update(skip_locked=True))
        self.ordinals = Prepared(select(tasks.c.ordinal).where(between).order_by(tasks.c.ordinal).limit(_LIMIT))
        self.last = Prepared(select(tasks.c.ordinal).where(between).order_by(tasks.c.ordinal.desc()).limit(1))


_ALL = _Statements()

# Of the index alone: to look whom each is for takes ten times as long.
_QUEUED = select(tasks.c.ordinal).where(tasks.c.job_id == bindparam("job"), tasks.c.status == TaskStatus.QUEUED)
_NUMBER_QUEUED = Prepared(select(func.count()).select_from(_QUEUED.limit(_LIMIT).subquery()))


@dataclass(frozen=True)
class Available:
    """The tasks of ``job_id`` that ``worker_id``, which is ``owner``'s and makes pixels of ``render_class``, may get.

    ``shunned`` are tasks that it is not to get.
    """

    conn: Connection
    job_id: str
    now: datetime
    render_class: str | None
    worker_id: str
    owner: str
    shunned: frozenset[str]

    @property
    def _statements(self) -> _Statements:
        # It failed some of them before, which is rare: then this is worth new statements.
        return _Statements(tasks.c.id.not_in(sorted(self.shunned))) if self.shunned else _ALL

    @property
    def _values(self) -> dict[str, Any]:
        return {
            "job": self.job_id,
            "now": self.now,
            "render_class": self.render_class,
            "worker": self.worker_id,
            "owner": self.owner,
        }

    def first(self) -> AnyRow | None:
        """Kind and linearity of the first one."""
        return self._statements.first.first(self.conn, **self._values, most=1)

    def any(self) -> bool:
        return self.first() is not None

    def queued(self, most: int) -> int:
        """How many tasks of the job are queued, for it or for others, counted up to ``most``."""
        return int(_NUMBER_QUEUED.scalar(self.conn, job=self.job_id, most=most))

    def ordinals(self, start: int, stop: int, most: int) -> list[int]:
        """Of those to be rendered from one ordinal up to another, rising, ``most`` at most."""
        return self._statements.ordinals.scalars(self.conn, **self._values, start=start, stop=stop, most=most)

    def last(self, start: int, stop: int) -> int:
        """The last of those, if there is one."""
        return int(self._statements.last.scalar(self.conn, **self._values, start=start, stop=stop))

    def any_between(self, start: int, stop: int) -> bool:
        return bool(self.ordinals(start, stop, 1))

    def take(self, number: int, between: tuple[int, int] | None = None) -> Sequence[AnyRow]:
        """The first ones, but for those that another dispatcher has just taken."""
        found = self._statements
        if between is None:
            return found.take.all(self.conn, **self._values, most=number)
        start, stop = between
        return found.take_between.all(self.conn, **self._values, start=start, stop=stop, most=number)
