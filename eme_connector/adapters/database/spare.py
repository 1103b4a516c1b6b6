"""Driver connections for the statements of every request, which cost less than a pool does."""

from __future__ import annotations

from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any

from sqlalchemy import Engine

from eme_connector.adapters.database.statements import Connection, Statement

MOST = 16


class SpareConnections:
    """Up to MOST connections that only read; whoever finds none waits for one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._slots: SimpleQueue[Any] = SimpleQueue()
        for _ in range(MOST):
            self._slots.put(None)

    def rows(self, statement: Statement, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return every row; a connection that was lost while it lay there is made anew.

        Raises:
            SQLAlchemyError, or the driver's own Error.
        """
        driver = self._slots.get()
        try:
            if driver is not None:
                try:
                    return Connection(driver, self._engine.dialect).all(statement, values)
                except self.error:
                    driver.close()
            driver = self._open()
            return Connection(driver, self._engine.dialect).all(statement, values)
        except BaseException:
            driver = None  # whatever it is in, it is closed with its last user
            raise
        finally:
            self._slots.put(driver)

    def close(self) -> None:
        """Close those that nobody uses."""
        for _ in range(MOST):
            if driver := self._slots.get():
                driver.close()
            self._slots.put(None)

    def _open(self) -> Any:
        made = self._engine.raw_connection()
        driver = made.driver_connection
        made.detach()
        if self._engine.dialect.name == "postgresql":
            driver.autocommit = True  # type: ignore[union-attr]
        return driver
