"""Statements compiled once from Core, run on the driver's own cursor.

Compiling a Core statement at every execution costs more than SQLite itself; the text is the
same one, made by the same tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from itertools import chain
from operator import itemgetter
from types import ModuleType
from typing import Any, Protocol

from pydantic_core import from_json
from sqlalchemy import Dialect, Table, bindparam, insert
from sqlalchemy.sql import Executable

_WORD = re.compile(r"\w+")
_PARAMETER = re.compile(r":(\w+)")
_MOST_ROWS = 64


class Cursor(Protocol):
    """What we use of a DBAPI cursor."""

    rowcount: int

    def execute(self, sql: str, parameters: Any = ...) -> Any: ...
    def executemany(self, sql: str, parameters: Sequence[Any]) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Sequence[Any]: ...


class Statement:
    """One statement with named parameters, its text per dialect.

    Written out as text, with parameters as `:name`, it needs no compiling. SQLite gives rows one
    by one, and each makes its thread give the interpreter away: of a text whose columns are
    `at_once`, numbers and text themselves, they come as one JSON array.
    """

    def __init__(
        self,
        core: str | Executable | Callable[[ModuleType], str | Executable],
        *,
        at_once: tuple[str, ...] = (),
    ) -> None:
        self._core, self.at_once = core, at_once
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, dialect: Dialect) -> Compiled:
        """Return it as *dialect* words it."""
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = self._compile(dialect)
        return found

    def _compile(self, dialect: Dialect) -> Compiled:
        core: Any = self._core
        if callable(core):  # which each dialect words by its own insert
            core = core(import_module(f"sqlalchemy.dialects.{dialect.name}"))
        if not isinstance(core, str):
            return _compiled(core.compile(dialect=dialect))
        if dialect.name == "postgresql":
            return Compiled(_PARAMETER.sub(r"%(\1)s", core))
        if self.at_once:
            row = f"json_array({', '.join(self.at_once)})"
            core = f"SELECT json_group_array({row}) FROM ({core})"  # noqa: S608 - our words
        return Compiled(core)


@dataclass(frozen=True, slots=True)
class Part:
    """The text of a query, and the names of its columns: numbers and text."""

    text: str
    columns: tuple[str, ...]


def side_by_side(*parts: Part) -> Statement:
    """Return one statement for all *parts*: a row with a JSON array for each, of arrays of values.

    They are of one moment, and cost one way to PostgreSQL and back.
    """

    def build(module: ModuleType) -> str:
        rows, row = ("json_group_array", "json_array")
        if module.__name__.endswith("postgresql"):
            rows, row = ("json_agg", "json_build_array")
        arrays = (
            f"coalesce(CAST({rows}({row}({', '.join(one.columns)})) AS TEXT), '[]')"
            for one in parts
        )
        queries = (
            f"(SELECT {array} FROM ({one.text}) AS part)"  # noqa: S608 - our words
            for array, one in zip(arrays, parts, strict=True)
        )
        return f"SELECT {', '.join(queries)}"

    return Statement(build)


class Compiled:
    """The text of a statement, and how its parameters are given to the driver.

    By their names, or where there are `places` by those.
    """

    def __init__(
        self,
        text: str,
        fixed: Mapping[str, Any] | None = None,
        places: tuple[str, ...] | None = None,
    ) -> None:
        self.text, self._fixed, self._places = text, fixed, places
        self.words = frozenset(_WORD.findall(text))
        self._pick = itemgetter(*places) if places else None

    def arguments(self, parameters: Mapping[str, Any]) -> Any:
        """Return *parameters* and what the statement holds itself, as the driver wants them."""
        if self._fixed:
            parameters = {**self._fixed, **parameters}
        if self._pick is None:
            return () if self._places == () else parameters
        picked = self._pick(parameters)
        return (picked,) if len(self._places or ()) == 1 else picked


def _compiled(made: Any) -> Compiled:
    fixed = {name: value for name, value in made.params.items() if value is not None}
    return Compiled(str(made), fixed, tuple(made.positiontup) if made.positional else None)


class Connection:
    """A driver connection inside a transaction; rows come back as tuples.

    Each statement costs as much for itself as for its row, and gives the interpreter away: rows
    that can wait (`later`) go many at a time.
    """

    def __init__(self, driver: Any, dialect: Dialect) -> None:
        self.dialect = dialect
        self._cursor: Cursor = driver.cursor()
        self._later: dict[Table, list[tuple[Any, ...]]] = {}

    def later(self, table: Table, row: Mapping[str, Any]) -> None:
        """Insert *row*, which has every column, before any statement that names *table*."""
        self._later.setdefault(table, []).append(_pick_columns(table)(row))

    def flush(self) -> None:
        """Insert what waits; the last thing before COMMIT."""
        while self._later:
            self._insert(next(iter(self._later)))

    def forget(self) -> None:
        """Forget what waits: its work has failed."""
        self._later.clear()

    def run(self, statement: Statement, parameters: Mapping[str, Any]) -> int:
        """Execute and return the number of rows touched."""
        return int(self._execute(statement, parameters).rowcount)

    def run_many(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute once for each of *rows*."""
        found = statement.compiled(self.dialect)
        self._flush_for(found.words)
        self._cursor.executemany(found.text, [found.arguments(row) for row in rows])

    def update_many(
        self,
        table: Table,
        match: tuple[str, ...],
        changing: tuple[str, ...],
        rows: Sequence[tuple[Any, ...]],
    ) -> set[Any]:
        """Update the rows of *table* that match; return the first *match* column of each.

        Each of *rows* holds the values of *match*, then those of *changing*.
        """
        self._flush_for({table.name})
        found: set[Any] = set()
        for some in _chunks(rows):
            text = _update_text(table, match, changing, len(some), self.dialect)
            self._cursor.execute(text, tuple(chain.from_iterable(some)))
            found.update(row[0] for row in self._cursor.fetchall())
        return found

    def add_many(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add to the counters of the rows of *table*, which are all columns but the key."""
        self._flush_for({table.name})
        pick = _pick_columns(table)
        for some in _chunks([pick(row) for row in rows]):
            text = _add_text(table, len(some), self.dialect)
            self._cursor.execute(text, tuple(chain.from_iterable(some)))

    def one(self, statement: Statement, parameters: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Execute and return the first row or None."""
        row: tuple[Any, ...] | None = self._execute(statement, parameters).fetchone()
        return row

    def all(self, statement: Statement, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Execute and return every row."""
        cursor = self._execute(statement, parameters)
        if statement.at_once and self.dialect.name == "sqlite":
            return [tuple(row) for row in from_json(cursor.fetchone()[0])]
        return list(cursor.fetchall())

    def _execute(self, statement: Statement, parameters: Mapping[str, Any]) -> Cursor:
        found = statement.compiled(self.dialect)
        if self._later:
            self._flush_for(found.words)
        self._cursor.execute(found.text, found.arguments(parameters))
        return self._cursor

    def _flush_for(self, words: Collection[str]) -> None:
        for table in [one for one in self._later if one.name in words]:
            self._insert(table)

    def _insert(self, table: Table) -> None:
        for some in _chunks(self._later.pop(table)):
            text = _insert_text(table, len(some), self.dialect)
            self._cursor.execute(text, tuple(chain.from_iterable(some)))


@lru_cache
def _pick_columns(table: Table) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    pick: Callable[[Mapping[str, Any]], tuple[Any, ...]] = itemgetter(*table.columns.keys())
    return pick


def _chunks(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    return (rows[start : start + _MOST_ROWS] for start in range(0, len(rows), _MOST_ROWS))


@lru_cache(maxsize=1024)
def _update_text(
    table: Table, match: tuple[str, ...], changing: tuple[str, ...], rows: int, dialect: Dialect
) -> str:
    quote = dialect.identifier_preparer.quote
    names = [*match, *changing]
    columns = [f"v.column{place}" for place in range(1, len(names) + 1)]
    places = ["?"] * len(names)
    if dialect.name == "postgresql":  # it cannot tell the type of what stands in VALUES
        kinds = (table.c[name].type.compile(dialect=dialect) for name in names)
        places = [f"CAST(%s AS {kind})" for kind in kinds]
    row = f"({', '.join(places)})"
    given = ", ".join(
        f"{quote(name)} = {column}"
        for name, column in zip(changing, columns[len(match) :], strict=True)
    )
    where = " AND ".join(
        f"{table.name}.{quote(name)} = {column}"
        for name, column in zip(match, columns, strict=False)
    )
    return (
        f"UPDATE {table.name} SET {given} FROM (VALUES {', '.join([row] * rows)}) AS v"  # noqa: S608 - our tables
        f" WHERE {where} RETURNING {table.name}.{quote(match[0])}"
    )


@lru_cache(maxsize=1024)
def _insert_text(table: Table, rows: int, dialect: Dialect) -> str:
    quote = dialect.identifier_preparer.format_column
    names = ", ".join(quote(column) for column in table.columns)
    place = "?" if dialect.paramstyle == "qmark" else "%s"
    row = f"({', '.join([place] * len(table.columns))})"
    return f"INSERT INTO {table.name} ({names}) VALUES {', '.join([row] * rows)}"  # noqa: S608 - our tables


@lru_cache(maxsize=1024)
def _add_text(table: Table, rows: int, dialect: Dialect) -> str:
    quote = dialect.identifier_preparer.format_column
    keys = ", ".join(quote(column) for column in table.primary_key.columns)
    counters = [quote(column) for column in table.columns if not column.primary_key]
    added = ", ".join(f"{one} = {table.name}.{one} + excluded.{one}" for one in counters)
    return f"{_insert_text(table, rows, dialect)} ON CONFLICT ({keys}) DO UPDATE SET {added}"


@lru_cache
def insert_into(table: Table) -> Statement:
    """Return the plain insert of *table* with every column but a generated id."""
    columns = [c for c in table.columns if not (c.primary_key and c.autoincrement is True)]
    return Statement(insert(table).values({c.name: bindparam(c.name) for c in columns}))


@lru_cache
def put_into(table: Table) -> Statement:
    """Return the insert of *table* that replaces the row with the same primary key."""
    values: dict[str, Any] = {c.name: bindparam(c.name) for c in table.columns}
    keys = [c.name for c in table.primary_key.columns]

    def build(module: ModuleType) -> Executable:
        made = module.insert(table).values(values)
        rest = {c.name: made.excluded[c.name] for c in table.columns if c.name not in keys}
        upsert: Executable = made.on_conflict_do_update(index_elements=keys, set_=rest)
        return upsert

    return Statement(build)
