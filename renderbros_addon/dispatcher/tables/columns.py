"""Types of columns, and the collection that all tables belong to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Double, Integer, MetaData, Row, String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    AnyRow = Row[*tuple[Any, ...]]
else:
    # SQLAlchemy 2.0 takes one parameter here, 2.1 as many as there are columns.
    AnyRow = Row


class UtcTime(TypeDecorator[datetime]):
    """A moment, kept as seconds since 1970 UTC: SQLite has no time zones, and numbers compare alike everywhere."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _: Dialect) -> float | None:
        return None if value is None else value.timestamp()

    def process_result_value(self, value: float | None, _: Dialect) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value, UTC)


metadata = MetaData()

Id = String(64)
Digest = String(64)
RowId = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER PRIMARY KEY counts up by itself in SQLite
