"""Run works in transactions: one writer thread on SQLite, a transaction each on PostgreSQL.

With 1 ms per fsync a transaction per request falls to some hundreds a second; one COMMIT for
all works that wait keeps thousands (ARCHITECTURE section 4, writes).
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from eme_connector.errors import EmeError, StoreUnavailable
from eme_connector.ports import Transaction

BATCH = 256
Work = Callable[[Any], Any]
MakeTransaction = Callable[[Any, set[str]], Transaction]
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


class SqliteWriter:
    """The one writer of an SQLite file in this process."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        transaction: MakeTransaction,
        committed: Callable[[frozenset[str]], None],
    ) -> None:
        self._connect, self._transaction, self._committed = connect, transaction, committed
        self._queue: queue.SimpleQueue[tuple[Work, Future[Any]] | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="eme-writer", daemon=True)
        self._thread.start()

    def transact(self, work: Work) -> Any:
        """Run *work* in the next batch and wait for its COMMIT."""
        refuse_nesting()
        future: Future[Any] = Future()
        with self._lock:
            if self._closed or not self._thread.is_alive():
                raise StoreUnavailable("the store is closed")
            self._queue.put((work, future))
        return future.result()

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
                    _fail(future for _, future in batch)
            connection.close()
        finally:
            self._fail_waiting()

    def _next_batch(self) -> list[tuple[Work, Future[Any]]]:
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

    def _fail_waiting(self) -> None:
        with self._lock:
            self._closed = True
        while not self._queue.empty():
            if item := self._queue.get():
                _fail([item[1]])

    def _commit(
        self, connection: sqlite3.Connection, batch: list[tuple[Work, Future[Any]]]
    ) -> None:
        topics: set[str] = set()
        done: list[tuple[Future[Any], Any]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for work, future in batch:
                self._run_one(connection, work, future, topics, done)
            connection.execute("COMMIT")
        except sqlite3.Error as exc:
            self._roll_back(connection)
            failure = StoreUnavailable("the database could not keep this")
            failure.__cause__ = exc
            for _, future in batch:
                if not future.done():
                    future.set_exception(failure)
            return
        for future, result in done:
            future.set_result(result)
        if topics:
            self._committed(frozenset(topics))

    def _run_one(
        self,
        connection: sqlite3.Connection,
        work: Work,
        future: Future[Any],
        topics: set[str],
        done: list[tuple[Future[Any], Any]],
    ) -> None:
        touched: set[str] = set()
        connection.execute("SAVEPOINT work")
        try:
            with running():
                result = work(self._transaction(connection, touched))
        except sqlite3.OperationalError:
            raise  # disk full, read-only, locked: nothing of this batch can be kept
        except BaseException as exc:
            connection.execute("ROLLBACK TO work")
            connection.execute("RELEASE work")
            future.set_exception(_translated(exc))
            return
        connection.execute("RELEASE work")
        topics |= touched
        done.append((future, result))

    @staticmethod
    def _roll_back(connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:
                return


def _fail(futures: Iterable[Future[Any]]) -> None:
    """Tell whoever still waits that nothing of theirs was kept: nobody may wait for ever."""
    for future in futures:
        if not future.done():
            future.set_exception(StoreUnavailable("the store has stopped"))


def _translated(exc: BaseException) -> BaseException:
    if isinstance(exc, EmeError) or not isinstance(exc, sqlite3.Error):
        return exc
    failure = StoreUnavailable("the database refused this")
    failure.__cause__ = exc
    return failure
