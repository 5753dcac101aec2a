"""Statements that are compiled once, for what is sent for each task.

Building an expression and going through SQLAlchemy's execution takes ten times as long as SQLite takes to answer. The
hot path therefore writes its statements down once, with ``bindparam`` for what changes, and hands the compiled text to
the driver. Types are converted as SQLAlchemy would, and the driver's errors come as SQLAlchemy's.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import BindParameter, Column, Connection, Delete, Insert, Select, Update, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from .tables import AnyRow

AnyStatement = Select[Any] | Insert | Update | Delete

_Convert = Callable[[Any], Any]


def param(column: Column[Any], name: str | None = None) -> BindParameter[Any]:
    """A parameter for a value of ``column``, named like it unless told otherwise.

    In a comparison SQLAlchemy sees the type by itself; among new values it does not.
    """
    return bindparam(name or column.name, type_=column.type)


class Prepared:
    """One statement. Its ``bindparam`` names are the keywords of every call; any thread may call."""

    def __init__(self, statement: AnyStatement) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def first(self, conn: Connection, /, **values: Any) -> AnyRow | None:
        """The first row, None if there is none."""
        rows = self._for(conn, values).rows(conn, values, 1)
        return rows[0] if rows else None

    def one(self, conn: Connection, /, **values: Any) -> AnyRow:
        """The row that is there; ValueError if there is none."""
        rows = self._for(conn, values).rows(conn, values, 1)
        if not rows:
            raise ValueError(f"no row for {values}: {self._statement}")
        return rows[0]

    def all(self, conn: Connection, /, **values: Any) -> Sequence[AnyRow]:
        return self._for(conn, values).rows(conn, values, None)

    def scalar(self, conn: Connection, /, **values: Any) -> Any:
        """The first column of the first row; None if there is none."""
        rows = self._for(conn, values).rows(conn, values, 1)
        return rows[0][0] if rows else None

    def scalars(self, conn: Connection, /, **values: Any) -> list[Any]:
        """The first column of each row."""
        return [row[0] for row in self._for(conn, values).rows(conn, values, None)]

    def run(self, conn: Connection, /, **values: Any) -> int:
        """Send a statement that changes something; returns the number of rows."""
        return self._for(conn, values).run(conn, values)

    def run_all(self, conn: Connection, /, rows: Sequence[dict[str, Any]]) -> None:
        """Send it once for each of ``rows``, at least one."""
        self._for(conn, rows[0]).run_all(conn, rows)

    def _for(self, conn: Connection, values: Mapping[str, Any]) -> _Compiled:
        name = conn.dialect.name
        found = self._compiled.get(name)
        if found is None:
            found = self._compiled[name] = _Compiled(self._statement, conn.dialect, values)
        return found


class _Compiled:
    """A statement in the words of one kind of database."""

    def __init__(self, statement: AnyStatement, dialect: Dialect, values: Mapping[str, Any]) -> None:
        compiled = statement.compile(dialect=dialect)
        # Each element of a list of constants, as in IN, becomes a parameter of its own.
        state = compiled.construct_expanded_state(dict(values))
        self._text = state.statement
        self._dialect = dialect
        self._errors: type[Exception] = cast(Any, dialect.dbapi).Error
        self._order = state.positiontup
        converters: dict[str, _Convert] = {}
        for bind, name in compiled.bind_names.items():
            convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if convert is not None:
                converters[name] = convert
        converters |= cast(Mapping[str, _Convert], state.processors)
        self._converters = {name: converters[name] for name in values if name in converters}
        self._constants = {
            name: value if value is None or name not in converters else converters[name](value)
            for name, value in state.parameters.items()
            if name not in values
        }
        columns = list(statement.exported_columns)
        self._row: Any = namedtuple("Row", [str(column.key) for column in columns], rename=True)  # type: ignore[misc]
        self._types = [column.type for column in columns]
        self._results: list[tuple[int, _Convert]] | None = None

    def _parameters(self, values: dict[str, Any]) -> Any:
        given = self._constants | values
        for name, convert in self._converters.items():
            value = values[name]
            if value is not None:
                given[name] = convert(value)
        return given if self._order is None else tuple([given[name] for name in self._order])

    def _send(self, conn: Connection, values: dict[str, Any]) -> Any:
        parameters = self._parameters(values)
        cursor = conn.connection.cursor()
        try:
            cursor.execute(self._text, parameters)
        except self._errors as error:
            raise DBAPIError.instance(self._text, parameters, error, self._errors, dialect=self._dialect) from error
        return cursor

    def run_all(self, conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
        many = [self._parameters(row) for row in rows]
        cursor = conn.connection.cursor()
        try:
            cursor.executemany(self._text, many)
        except self._errors as error:
            raise DBAPIError.instance(self._text, many, error, self._errors, dialect=self._dialect) from error
        cursor.close()

    def rows(self, conn: Connection, values: dict[str, Any], most: int | None) -> list[AnyRow]:
        cursor = self._send(conn, values)
        if self._results is None:
            self._results = self._result_converters(cursor.description)
        found = cursor.fetchall() if most is None else cursor.fetchmany(most)
        cursor.close()
        if not self._results:
            return [self._row._make(row) for row in found]
        made = []
        for row in found:
            changed = list(row)
            for i, convert in self._results:
                changed[i] = convert(changed[i])
            made.append(self._row._make(changed))
        return made

    def _result_converters(self, description: Sequence[Any]) -> list[tuple[int, _Convert]]:
        # What a driver gives depends on the type that the database says a column has.
        found: list[tuple[int, _Convert]] = []
        for i, kind in enumerate(self._types):
            convert = kind.dialect_impl(self._dialect).result_processor(self._dialect, description[i][1])
            if convert is not None:
                found.append((i, convert))
        return found

    def run(self, conn: Connection, values: dict[str, Any]) -> int:
        cursor = self._send(conn, values)
        count = int(cursor.rowcount)
        cursor.close()
        return count
