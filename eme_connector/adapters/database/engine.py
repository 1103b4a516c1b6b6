"""Open a database: engines, the writer of our dialect, listeners."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from eme_connector import ports
from eme_connector.adapters.bell import Bell
from eme_connector.adapters.database import keywords, totals
from eme_connector.adapters.database.bodies import bodies_of
from eme_connector.adapters.database.checkpoints import LONGEST_PAGES
from eme_connector.adapters.database.folding import Looked
from eme_connector.adapters.database.keywords import KeywordFollower
from eme_connector.adapters.database.notify import PostgresLine
from eme_connector.adapters.database.reads import DatabaseReads
from eme_connector.adapters.database.relay import RelayQueries
from eme_connector.adapters.database.rows import Rows
from eme_connector.adapters.database.statements import Connection
from eme_connector.adapters.database.writer import HELD_MS, SqliteWriter
from eme_connector.domain.listing import Aggregate
from eme_connector.errors import StoreUnavailable
from eme_connector.ports import Transaction
from eme_connector.precedence import readers

if TYPE_CHECKING:
    from eme_connector.adapters.database.pooled import PooledWriter

T = TypeVar("T")
Listener = Callable[[frozenset[str]], None]
VERSION = "0012"


class DatabaseStore(DatabaseReads, RelayQueries):
    """`ports.Store` on SQLite or PostgreSQL."""

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self._url, self._clock = make_url(url), clock
        super().__init__(_reader(url))
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()
        self._bells: list[ports.Bell] = []
        self._looked = Looked()
        self._follower = KeywordFollower(self._follow)
        self._writer: SqliteWriter | PooledWriter
        if self._url.get_backend_name() == "sqlite":
            path = self._url.database or ""
            dialect = SQLiteDialect_pysqlite()
            self._writer = SqliteWriter(
                lambda: connect_sqlite(path),
                lambda driver: Rows(Connection(driver, dialect), clock, self._numbers),
                self._committed,
            )
        else:
            from eme_connector.adapters.database.pooled import PooledWriter

            self._writer = PooledWriter(url, clock, self._committed, self._numbers)
            self.connect_bell(Bell(PostgresLine(url), self.hear))
        self._follower.start()

    def transact(self, work: Callable[[Transaction], T]) -> T:
        readers.give_way()
        result: T = self._writer.transact(work)
        readers.give_way()
        return result

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        with self._lock:
            self._listeners = [*self._listeners, listener]
        for bell in self._bells:
            bell.listen()

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = [one for one in self._listeners if one is not listener]

        return unsubscribe

    def connect_bell(self, bell: ports.Bell) -> None:
        """Let other processes hear what is committed here, by one more way."""
        self._bells.append(bell)

    def hear(self, topics: frozenset[str]) -> None:
        """Tell our listeners what another process has committed."""
        if "token" in topics:
            self._tokens.clear()
        for listener in self._listeners:
            listener(topics)

    def ping(self) -> None:
        version = read_version(self._engine)
        if version != VERSION:
            raise StoreUnavailable(
                f"the database has schema {version or 'none'}, this is made for {VERSION}:"
                " `eme serve` brings an older one there"
            )
        if isinstance(self._writer, SqliteWriter) and not self._writer.is_alive:
            raise StoreUnavailable("nothing is written any more: start the sidecar anew")

    def follow_keywords(self) -> bool:
        """Index and count the next batch of changed threats; say whether there may be more."""
        after = self.keywords_at()
        settled = self.last_change()
        with self._together() as rows:
            entries = rows(keywords.WAITING, {"after": after, "settled": settled})
            bodies = bodies_of(sorted({seq for seq, *_ in entries}), rows)
        old = self._first(totals.IS_OLD, since=totals.since(self._clock()))
        if entries or old:
            words = keywords.words_of(entries, bodies, after)
            self.transact(lambda tx: tx.index_keywords(words))  # type: ignore[attr-defined]
        return len(entries) == keywords.BATCH or old is not None

    def aggregate(self, viewer: str, at: int) -> Aggregate:
        if self._has_many_writers:
            self._looked.add(viewer)
        return super().aggregate(viewer, at)

    def fold_counters(self) -> None:
        """Fold the counters of those whose charts were looked at."""
        for viewer in self._looked.due():
            self.transact(lambda tx, one=viewer: tx.fold_counters(one))  # type: ignore[misc]

    def void_leases(self) -> None:
        """Make every delivery found in `sending` and every job due at once: who held them died.

        On SQLite only: on PostgreSQL another worker may be sending it now.
        """
        if isinstance(self._writer, SqliteWriter):
            self.transact(lambda tx: (tx.void_leases(), tx.void_turns()))  # type: ignore[attr-defined]

    def close(self) -> None:
        self._follower.stop()
        for bell in self._bells:
            bell.close()
        self._writer.close()
        self._spare.close()
        self._engine.dispose()

    def _follow(self) -> bool:
        self.fold_counters()
        return self.follow_keywords()

    def _committed(self, topics: frozenset[str]) -> None:
        if "change" in topics and isinstance(self._writer, SqliteWriter):
            self._follower.wake()  # else each of many processes would, at every change
        self.hear(topics)
        for bell in self._bells:
            bell.ring(topics)


def connect_sqlite(path: str) -> sqlite3.Connection:
    """Return a connection that writes durably; the file is for its owner alone."""
    if not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(
        path, isolation_level=None, timeout=HELD_MS / 1000, cached_statements=512
    )
    for pragma in (
        "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY",
        f"wal_autocheckpoint={LONGEST_PAGES}",
    ):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")
    return connection


def read_version(engine: Engine) -> str | None:
    """Return the schema's version, or None for an empty database.

    Raises:
        StoreUnavailable: it cannot be read, which does not say that it is empty.
    """
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except DBAPIError as exc:
        if getattr(exc.orig, "sqlstate", "") == "42P01" or "no such table" in str(exc.orig):
            return None
        raise StoreUnavailable("the database cannot be opened") from exc


def _for_short_statements(driver: Any, _: object) -> None:
    """Let PostgreSQL answer lists by their index, without what pays for long statements alone.

    A table that another session holds is refused after a while, as for whoever writes.
    """
    for setting in (
        "jit = off", "max_parallel_workers_per_gather = 0", "random_page_cost = 1.1",
        f"lock_timeout = {HELD_MS}",
    ):  # fmt: skip
        driver.execute(f"SET {setting}")
    driver.commit()


def _reader(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        engine = create_engine(url, pool_size=20, pool_pre_ping=True, hide_parameters=True)
        event.listen(engine, "connect", _for_short_statements)
        return engine
    engine = create_engine(url, pool_size=20, max_overflow=300, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _read_only(connection: Any, _: object) -> None:
        connection.execute("PRAGMA query_only=ON")
        connection.execute(f"PRAGMA busy_timeout={HELD_MS}")

    return engine
