"""Run works in transactions: one writer thread on SQLite, a transaction each on PostgreSQL.

With 1 ms per fsync a transaction per request falls to some hundreds a second; one COMMIT for
all works that wait keeps thousands (ARCHITECTURE section 4, writes). Works seldom fail, so
savepoints are set only once one of a batch has.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from eme_connector.adapters.database.checkpoints import Checkpoints
from eme_connector.adapters.database.rows import Rows
from eme_connector.errors import EmeError, StoreUnavailable
from eme_connector.precedence import readers, writing

log = structlog.get_logger("eme.database")
BATCH = 256
HELD_MS = 5_000
"""How long we wait for what another program holds: a file of SQLite, a table of PostgreSQL."""
Work = Callable[[Any], Any]
Committed = Callable[[frozenset[str]], None]
_inside = threading.local()


def refuse_nesting() -> None:
    """Raise RuntimeError when this thread is running a work: a work must not nest."""
    if getattr(_inside, "work", False):
        raise RuntimeError("transact() inside a work")


class running:
    """Mark this thread as running a work."""

    def __enter__(self) -> None:
        _inside.work = True

    def __exit__(self, *_: object) -> None:
        _inside.work = False


class Waiting:
    """One work and whoever waits for it: a lock is a fraction of what a Future costs."""

    __slots__ = ("_told", "error", "result", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self._told = threading.Lock()
        self._told.acquire()

    def tell(self, error: BaseException | None = None) -> None:
        """Let whoever waits go on, with the result or this error; the first time counts."""
        if self._told.locked():
            self.error = error
            self._told.release()

    def wait(self) -> Any:
        """Return the result once it is kept, or raise why it is not."""
        with self._told:
            pass
        if self.error is not None:
            raise self.error
        return self.result


class SqliteWriter:
    """The one writer of an SQLite file in this process."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        transaction: Callable[[sqlite3.Connection], Rows],
        committed: Committed,
    ) -> None:
        self._connect, self._transaction, self._committed = connect, transaction, committed
        self._checkpoints = Checkpoints(connect)
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="eme-writer", daemon=True)
        self._thread.start()

    def transact(self, work: Work) -> Any:
        """Run *work* in the next batch and wait for its COMMIT."""
        refuse_nesting()
        one = Waiting(work)
        with self._lock:
            if self._closed or not self.is_alive:
                raise StoreUnavailable("the store is closed")
            self._queue.put(one)
        return one.wait()

    @property
    def is_alive(self) -> bool:
        """Say whether anything can still be written."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Finish what waits, then end the thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            connection = self._connect()
            while batch := self._next_batch():
                try:
                    self._commit(connection, batch)
                finally:
                    _fail(batch)
            self._checkpoints.close()
            connection.close()
        finally:
            self._fail_waiting()

    def _next_batch(self) -> list[Waiting]:
        batch = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == BATCH or self._queue.empty():
                return batch
            item = self._queue.get()
        if batch:
            self._queue.put(None)
        return batch

    def _those_who_wait(self) -> list[Waiting]:
        waiting = []
        while not self._queue.empty():
            if (item := self._queue.get()) is not None:
                waiting.append(item)
        if self._closed:
            self._queue.put(None)  # taken with them: the end is still to come
        return waiting

    def _fail_waiting(self) -> None:
        with self._lock:
            self._closed = True
        _fail(self._those_who_wait())

    def _commit(self, connection: sqlite3.Connection, batch: list[Waiting]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as exc:
            # who came meanwhile waited for the same lock: alone, it would wait as long again
            _refuse(batch + self._those_who_wait(), exc)
            return
        try:
            rows, done = self._run_all(connection, batch)
            connection.execute("COMMIT")
        except sqlite3.Error as exc:
            _roll_back(connection)
            _refuse(batch, exc)
            return
        for one in done:
            one.tell()
        try:
            if rows.touched:
                self._committed(frozenset(rows.touched))
            self._checkpoints.committed(connection)
        except Exception as exc:  # it is kept; who was not woken looks by itself
            log.error("commit_not_told", error=type(exc).__name__)

    def _run_all(
        self, connection: sqlite3.Connection, batch: list[Waiting]
    ) -> tuple[Rows, list[Waiting]]:
        """Run every work in the transaction that has begun; return those that did not fail."""
        try:
            return self._together(connection, batch), batch
        except _WorkFailed:
            _roll_back(connection)
            connection.execute("BEGIN IMMEDIATE")
            return self._apart(connection, batch)

    def _together(self, connection: sqlite3.Connection, batch: list[Waiting]) -> Rows:
        """Run every work of the batch; raise _WorkFailed when one of them fails."""
        rows = self._transaction(connection)
        try:
            with writing, running():
                for one in batch:
                    readers.give_way()
                    one.result = one.work(rows)
                readers.give_way()
                rows.pending.write()
        except sqlite3.OperationalError:
            raise  # disk full, read-only, locked: nothing of this batch can be kept
        except BaseException as exc:
            raise _WorkFailed from exc
        return rows

    def _apart(
        self, connection: sqlite3.Connection, batch: list[Waiting]
    ) -> tuple[Rows, list[Waiting]]:
        """Run them once more, each under a savepoint; return those that did not fail."""
        rows = self._transaction(connection)
        return rows, [one for one in batch if _run_one(one, rows, connection)]


class _WorkFailed(Exception):
    """One work of a batch failed: the others have to run again without it."""


def _run_one(one: Waiting, rows: Rows, connection: sqlite3.Connection) -> bool:
    """Run one work under a savepoint; False when it failed and has been told."""
    connection.execute("SAVEPOINT work")
    try:
        with running():
            one.result = one.work(rows)
        rows.pending.write()
    except sqlite3.OperationalError:
        raise
    except BaseException as exc:
        connection.execute("ROLLBACK TO work")
        connection.execute("RELEASE work")
        rows.pending.forget()
        one.tell(_translated(exc))
        return False
    connection.execute("RELEASE work")
    return True


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            return


def _refuse(waiting: Iterable[Waiting], cause: sqlite3.Error) -> None:
    """Tell them that the database kept nothing of theirs."""
    failure = StoreUnavailable("the database could not keep this")
    failure.__cause__ = cause
    for one in waiting:
        one.tell(failure)


def _fail(waiting: Iterable[Waiting]) -> None:
    """Tell whoever still waits that nothing of theirs was kept: nobody may wait for ever."""
    for one in waiting:
        one.tell(StoreUnavailable("the store has stopped"))


def _translated(exc: BaseException) -> BaseException:
    if isinstance(exc, EmeError) or not isinstance(exc, sqlite3.Error):
        return exc
    failure = StoreUnavailable("the database refused this")
    failure.__cause__ = exc
    return failure
