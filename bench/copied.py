"""A database that `fill` has made on SQLite, copied to PostgreSQL: the same threats on both.

COPY brings the rows, the indexes of lists and words are made behind them. Counters are laid over
all their shards, as they are after many transactions. All but the newest are vacuumed, as
autovacuum leaves a table that grows: what came since its last turn is not marked as visible to all.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Composable, Identifier
from sqlalchemy import Table

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database import upgrade
from eme_connector.adapters.database.rows import SHARDS
from eme_connector.demo.processes import free_port
from tests.servers.postgres import Postgres

VACUUMED = 0.985
"""It comes again when 1 % and 1,000 are new (migration 0012), once a minute at most."""
_ALIKE = (t.organisation, t.keyword_counted, t.keyword_total)
_GROWING = (t.threat, t.listing)
_WORDS = "keyword_index"


class AsDeployed(Postgres):
    """A server with a quarter of the memory for its buffers, as operators are told."""

    def _durability(self) -> tuple[str, ...]:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return ("-c", f"shared_buffers={memory // 4 // 2**20}MB")


@contextmanager
def copied(path: Path) -> Iterator[str]:
    """Yield the URL of a copy of the SQLite database at *path*, on a server that ends after.

    Its files are on a disk, its settings those that come with it but for what docs/deployment.md
    asks for.

    Raises:
        PostgresMissing: no server programs are installed.
    """
    server = AsDeployed(free_port(), tempfile.gettempdir())
    server.start()
    try:
        url = server.create_database()
        copy(path, url)
        yield url
    finally:
        server.stop()


def copy(path: Path, url: str) -> None:
    """Put what the SQLite database at *path* holds into the empty PostgreSQL database at *url*."""
    upgrade(url)
    address = url.replace("+psycopg", "")
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source,
        closing(psycopg.connect(address, autocommit=True)) as target,
    ):
        target.execute("SET synchronous_commit = off")
        target.execute("SET maintenance_work_mem = '256MB'")
        _copy(source, target)


def _copy(source: sqlite3.Connection, target: psycopg.Connection[Any]) -> None:
    indexes = target.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('listing', 'keyword_index')"
        " AND indexname NOT LIKE '%_pkey'"
    ).fetchall()
    for name, _ in indexes:
        target.execute(SQL("DROP INDEX {}").format(Identifier(name)))
    for table in _ALIKE:
        _put(target, table, _rows(source, table))
    for table in (t.tally, t.origin_tally):
        _put(target, table, _sharded(source, table))
    (last,) = source.execute("SELECT max(seq) FROM threat").fetchone()
    vacuumed = round(last * VACUUMED)
    _grow(source, target, 0, vacuumed)
    for _, made in indexes:
        target.execute(made)
    for name in (*t.metadata.tables, _WORDS):
        target.execute(SQL("VACUUM (ANALYZE) {}").format(Identifier(name)))
    _grow(source, target, vacuumed, last)
    _set_numbers(source, target)


def _grow(
    source: sqlite3.Connection, target: psycopg.Connection[Any], first: int, last: int
) -> None:
    """Copy the threats behind *first* up to *last*, their entries and their words."""
    for table, key in zip(_GROWING, ("seq", "threat"), strict=True):
        _put(target, table, _rows(source, table, f"{key} > {first} AND {key} <= {last}"))
    target.execute("CREATE TEMPORARY TABLE words (rowid bigint, document text)")
    documents = source.execute(
        "SELECT id, c0 FROM keyword_index_content WHERE id > ? AND id <= ?", [first, last]
    )
    _write(target, SQL("COPY words FROM STDIN"), documents)
    target.execute(
        "INSERT INTO keyword_index (rowid, document)"
        " SELECT rowid, to_tsvector('simple', document) FROM words"
    )
    target.execute("DROP TABLE words")


def _rows(source: sqlite3.Connection, table: Table, where: str = "1") -> Iterator[Any]:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return source.execute(f"SELECT {names} FROM {table.name} WHERE {where}")  # noqa: S608


def _sharded(source: sqlite3.Connection, table: Table) -> Iterator[list[Any]]:
    """Yield each row of counters as many, one for each shard, that add up to it."""
    place = [column.name for column in table.columns].index("shard")
    for row in _rows(source, table):
        key, counters = row[:place], row[place + 1 :]
        for shard in range(SHARDS):
            yield [*key, shard, *((one + shard) // SHARDS for one in counters)]


def _put(target: psycopg.Connection[Any], table: Table, rows: Iterator[Any]) -> None:
    names = SQL(", ").join(Identifier(column.name) for column in table.columns)
    text = SQL("COPY {} ({}) FROM STDIN").format(Identifier(table.name), names)
    _write(target, text, rows)


def _write(target: psycopg.Connection[Any], text: Composable, rows: Iterator[Any]) -> None:
    with target.cursor().copy(text) as into:
        for row in rows:
            into.write_row(row)


def _set_numbers(source: sqlite3.Connection, target: psycopg.Connection[Any]) -> None:
    """Let numbers go on from those that were copied; all words are indexed."""
    (change,) = source.execute("SELECT value FROM sequence WHERE name='change'").fetchone()
    target.execute("SELECT setval('change_number', %s)", [change])
    target.execute("INSERT INTO sequence (name, value) VALUES ('keywords', %s)", [change])
    for table, column in (("threat", "seq"), ("organisation", "number")):
        name = SQL("SELECT setval(pg_get_serial_sequence({}, {}), max({})) FROM {}").format(
            table, column, Identifier(column), Identifier(table)
        )
        target.execute(name)
