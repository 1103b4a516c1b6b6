"""Driver connections for the statements of every request, which cost less than a pool does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from sqlalchemy import Engine

from eme_connector.adapters.database.statements import Connection, Statement

MOST = 16
PREPARED = 300
Rows = Callable[[Statement, Mapping[str, Any]], list[tuple[Any, ...]]]
"""What asks for the rows of a statement with these values."""


class SpareConnections:
    """Up to MOST connections that only read; whoever finds none waits for one.

    The one that was given back last is taken first: what it has read and prepared is still warm,
    and no more are opened than are used at once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._turns: SimpleQueue[None] = SimpleQueue()
        self._spare: list[Any] = []
        for _ in range(MOST):
            self._turns.put(None)

    def rows(self, statement: Statement, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return every row; a connection that was lost while it lay there is made anew.

        Raises:
            SQLAlchemyError, or the driver's own Error.
        """
        self._turns.get()
        try:
            driver = self._taken()
            if driver is not None:
                try:
                    return self._ask(driver, statement, values)
                except self.error:
                    driver.close()
            return self._ask(self._open(), statement, values)
        finally:
            self._turns.put(None)

    @contextmanager
    def together(self) -> Iterator[Rows]:
        """Give what asks for the rows of several statements, on SQLite all of one moment.

        There a connection forgets what it has read as soon as somebody has written, but not
        inside a transaction. On PostgreSQL that would be two more ways to the server and back.

        Raises:
            SQLAlchemyError, or the driver's own Error.
        """
        if self._engine.dialect.name != "sqlite":
            yield self.rows
            return
        self._turns.get()
        try:
            driver = self._taken() or self._open()
            connection = Connection(driver, self._engine.dialect)
            try:
                driver.execute("BEGIN")
                yield connection.all
                driver.execute("COMMIT")
            except BaseException:
                driver.close()
                raise
            self._spare.append(driver)
        finally:
            self._turns.put(None)

    def close(self) -> None:
        """Close them once nobody uses one."""
        for _ in range(MOST):
            self._turns.get()
        while driver := self._taken():
            driver.close()
        for _ in range(MOST):
            self._turns.put(None)

    def _ask(
        self, driver: Any, statement: Statement, values: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        found = Connection(driver, self._engine.dialect).all(statement, values)
        self._spare.append(driver)  # one that failed is left to be closed
        return found

    def _taken(self) -> Any:
        try:
            return self._spare.pop()
        except IndexError:
            return None

    def _open(self) -> Any:
        made = self._engine.raw_connection()
        driver = made.driver_connection
        made.detach()
        if self._engine.dialect.name == "postgresql":
            _prepare_postgresql(driver)
        return driver


def _prepare_postgresql(driver: Any) -> None:
    """Let each statement be planned once: what it reads by follows from its words alone.

    Psycopg takes a number for the smallest type that holds it, and a statement for another when
    the types are others: so all are large.
    """
    from psycopg.types.numeric import Int8Dumper

    driver.autocommit = True
    driver.execute("SET plan_cache_mode = force_generic_plan")
    driver.adapters.register_dumper(int, Int8Dumper)
    driver.prepare_threshold, driver.prepared_max = 0, PREPARED
