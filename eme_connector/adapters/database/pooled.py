"""Run works on PostgreSQL, each in a transaction of its own; what collides runs again."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import SQLAlchemyError

from eme_connector.adapters.database.rows import Rows
from eme_connector.adapters.database.statements import Connection
from eme_connector.adapters.database.writer import (
    HELD_MS,
    Committed,
    Work,
    refuse_nesting,
    running,
)
from eme_connector.errors import StoreUnavailable

ATTEMPTS = 4
AT_ONCE = 6
"""More works at once get less done: their threads take turns for one interpreter."""
STANDSTILL_MS = 30_000
"""A work never waits for anything but the database: a transaction that idles longer is lost."""
UNSORTED_KB = 256
_AGAIN = {"40001", "40P01", "23505"}  # serialization failure, deadlock, a race for one identity


class PooledWriter:
    """The transactions of this process, on connections of a pool."""

    def __init__(
        self, url: str, clock: Callable[[], float], committed: Committed, numbers: dict[str, int]
    ) -> None:
        self._clock, self._committed, self._numbers = clock, committed, numbers
        self._pool = create_engine(url, pool_size=20, pool_pre_ping=True, hide_parameters=True)
        event.listen(self._pool, "connect", _set_limits)
        self._dialect = PGDialect_psycopg()
        self._turns: SimpleQueue[None] = SimpleQueue()
        for _ in range(AT_ONCE):
            self._turns.put(None)

    def transact(self, work: Work) -> Any:
        """Run *work* and return its result after COMMIT."""
        refuse_nesting()
        for attempt in range(ATTEMPTS):
            self._take_turn()
            try:
                return self._once(work)
            except _Again:
                pass
            finally:
                self._turns.put(None)
            time.sleep(0.01 * 2**attempt)
        raise StoreUnavailable("the database is too busy with this row")

    def close(self) -> None:
        """Close the connections."""
        self._pool.dispose()

    def _take_turn(self) -> None:
        try:
            self._turns.get(timeout=HELD_MS / 1000)
        except Empty as exc:  # all of them wait for what another session holds
            raise StoreUnavailable("the database is too busy") from exc

    def _once(self, work: Work) -> Any:
        import psycopg

        touched = set[str]()
        try:
            raw = self._pool.raw_connection()
        except (SQLAlchemyError, psycopg.Error) as exc:  # the pool gives the driver's own
            raise StoreUnavailable("the database cannot be reached") from exc
        try:
            driver: Any = raw.driver_connection
            rows = Rows(Connection(driver, self._dialect), self._clock, self._numbers)
            touched = rows.touched
            with running():
                result = work(rows)
            with driver.pipeline():  # all at once: nobody waits for each answer
                rows.pending.write()
                raw.commit()
        except psycopg.Error as exc:
            _roll_back(raw)
            if exc.sqlstate in _AGAIN:
                raise _Again from exc
            raise StoreUnavailable("the database could not keep this") from exc
        except BaseException:
            _roll_back(raw)
            raise
        finally:
            raw.close()
            if touched:  # after a failure too: whoever follows changes has waited for its end
                self._committed(frozenset(touched))
        return result


def _set_limits(driver: Any, _: object) -> None:
    """Let the server end a transaction of ours whose process or host is gone or hangs.

    Wait a while only for what another session holds. And keep short what is not sorted into the
    index of words yet: each search reads all of it.
    """
    driver.execute(f"SET idle_in_transaction_session_timeout = {STANDSTILL_MS}")
    driver.execute(f"SET lock_timeout = {HELD_MS}")
    driver.execute(f"SET gin_pending_list_limit = {UNSORTED_KB}")
    driver.commit()


def _roll_back(raw: Any) -> None:
    import psycopg

    try:
        raw.rollback()
    except psycopg.Error:  # it is lost, and the server has taken all back
        raw.invalidate()


class _Again(Exception):
    """The whole work has to run once more."""
