"""Copy SQLite's write-ahead log into the file beside the writer, not within a COMMIT.

SQLite by itself does it in the COMMIT that makes the log long: whoever waits for that batch waits
for thousands of pages. Here a thread copies them while the writer goes on. The log can begin anew
only once nothing of it is left, so what came meanwhile, a few pages, is copied by the writer.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

ROWS = 4_000
"""How many changed rows make the log worth copying: about 10,000 pages, 40 MB."""
PASSES = 2
LONGEST_PAGES = 40_000
"""Where SQLite itself copies within a COMMIT after all, so that the log never grows for ever."""


class Checkpoints:
    """Of one writer; `committed` is called by it alone, after each COMMIT."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._copied = 0
        self._copying = self._rest = False
        self._asked: SimpleQueue[bool] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def committed(self, connection: sqlite3.Connection) -> None:
        """Have the log copied when it has grown; copy the rest of it here when it was."""
        if self._rest:
            self._rest = self._copying = False
            _copy(connection)
        if not self._copying and connection.total_changes - self._copied >= ROWS:
            self._copied, self._copying = connection.total_changes, True
            self._start()
            self._asked.put(True)

    def close(self) -> None:
        """End the thread."""
        self._asked.put(False)
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="eme-checkpoint", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            connection = self._connect()
        except sqlite3.Error:
            return  # SQLite does it by itself, later
        while self._asked.get():
            for _ in range(PASSES):
                _copy(connection)
            self._rest = True
        connection.close()


def _copy(connection: sqlite3.Connection) -> None:
    """Copy what is there now, as far as nobody still reads what it would replace."""
    with suppress(sqlite3.Error):  # the disk is full, or it is locked: there is a next time
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
