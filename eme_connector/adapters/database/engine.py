"""Open a database: engines, the writer of our dialect, listeners."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from eme_connector.adapters.database import keywords
from eme_connector.adapters.database.accounts import AccountRows
from eme_connector.adapters.database.deliveries import DeliveryRows
from eme_connector.adapters.database.directory import DirectoryRows
from eme_connector.adapters.database.keywords import KeywordFollower
from eme_connector.adapters.database.misp import MispRows
from eme_connector.adapters.database.reads import DatabaseReads
from eme_connector.adapters.database.relay import RelayQueries, RelayRows
from eme_connector.adapters.database.schedule import ScheduleRows
from eme_connector.adapters.database.statements import Connection
from eme_connector.adapters.database.threats import ThreatRows
from eme_connector.adapters.database.writer import SqliteWriter, refuse_nesting, running
from eme_connector.errors import StoreUnavailable
from eme_connector.ports import Transaction

T = TypeVar("T")
Listener = Callable[[frozenset[str]], None]
VERSION = "0006"
ATTEMPTS = 4
_RETRY = {"40001", "40P01", "23505"}  # serialization failure, deadlock, a race for one identity


class Rows(ThreatRows, DeliveryRows, AccountRows, DirectoryRows, ScheduleRows, RelayRows, MispRows):
    """`ports.Transaction` on one connection."""

    def __init__(
        self, connection: Connection, touched: set[str], clock: Callable[[], float]
    ) -> None:
        ThreatRows.__init__(self, connection, touched)
        self._clock = clock

    def index_keywords(self, entries: Sequence[Any]) -> None:
        """Put *entries* into the keyword index."""
        keywords.index(self._db, entries)


class DatabaseStore(DatabaseReads, RelayQueries):
    """`ports.Store` on SQLite or PostgreSQL."""

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self._url, self._clock = make_url(url), clock
        super().__init__(_reader(url))
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()
        self._writer: SqliteWriter | None = None
        self._pool: Engine | None = None
        if self._url.get_backend_name() == "sqlite":
            path = self._url.database or ""
            dialect = SQLiteDialect_pysqlite()
            self._writer = SqliteWriter(
                lambda: connect_sqlite(path),
                lambda driver, touched: Rows(Connection(driver, dialect), touched, clock),
                self._committed,
            )
        else:
            self._pool = create_engine(url, pool_size=20, pool_pre_ping=True, hide_parameters=True)
        self._follower = KeywordFollower(self.follow_keywords)
        self._follower.start()

    def transact(self, work: Callable[[Transaction], T]) -> T:
        if self._writer is not None:
            result: T = self._writer.transact(work)
            return result
        return self._transact_pooled(work)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        with self._lock:
            self._listeners = [*self._listeners, listener]

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = [one for one in self._listeners if one is not listener]

        return unsubscribe

    def ping(self) -> None:
        version = read_version(self._engine)
        if version != VERSION:
            raise StoreUnavailable(
                f"the database has schema {version or 'none'}, this is made for {VERSION}:"
                " run `eme upgrade`"
            )

    def follow_keywords(self) -> int:
        """Index the next batch of changed threats; return how many entries it had."""
        entries = self._all(keywords.waiting())
        if entries:
            self.transact(lambda tx: tx.index_keywords(entries))  # type: ignore[attr-defined]
        return len(entries)

    def void_leases(self) -> None:
        """Make every delivery found in `sending` and every job due at once: who held them died.

        On SQLite only: on PostgreSQL another worker may be sending it now.
        """
        if self._writer is None:
            return
        self.transact(lambda tx: (tx.void_leases(), tx.void_turns()))  # type: ignore[attr-defined]

    def close(self) -> None:
        self._follower.stop()
        if self._writer is not None:
            self._writer.close()
        if self._pool is not None:
            self._pool.dispose()
        self._engine.dispose()

    def _committed(self, topics: frozenset[str]) -> None:
        for listener in self._listeners:
            listener(topics)

    def _transact_pooled(self, work: Callable[[Transaction], T]) -> T:
        refuse_nesting()
        for attempt in range(ATTEMPTS):
            touched: set[str] = set()
            try:
                result = self._once(work, touched)
            except _Again:
                time.sleep(0.01 * 2**attempt)
                continue
            if touched:
                self._committed(frozenset(touched))
            return result
        raise StoreUnavailable("the database is too busy with this row")

    def _once(self, work: Callable[[Transaction], T], touched: set[str]) -> T:
        import psycopg

        assert self._pool is not None
        try:
            raw = self._pool.raw_connection()
        except SQLAlchemyError as exc:
            raise StoreUnavailable("the database cannot be reached") from exc
        try:
            with running():
                driver = Connection(raw.driver_connection, PGDialect_psycopg())
                result = work(Rows(driver, touched, self._clock))
            raw.commit()
        except psycopg.Error as exc:
            _roll_back(raw)
            if exc.sqlstate in _RETRY:
                raise _Again from exc
            raise StoreUnavailable("the database could not keep this") from exc
        except BaseException:
            raw.rollback()
            raise
        finally:
            raw.close()
        return result


def _roll_back(raw: Any) -> None:
    if raw.driver_connection.closed:
        raw.invalidate()
    else:
        raw.rollback()


class _Again(Exception):
    """The whole work has to run once more."""


def connect_sqlite(path: str) -> sqlite3.Connection:
    """Return a connection that writes durably; the file is for its owner alone."""
    if not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def read_version(engine: Engine) -> str | None:
    """Return the schema's version, or None for an empty database."""
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except DBAPIError:
        return None


def _reader(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_size=20, pool_pre_ping=True, hide_parameters=True)
    engine = create_engine(url, pool_size=20, max_overflow=300, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _read_only(connection: Any, _: object) -> None:
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA busy_timeout=5000")

    return engine
