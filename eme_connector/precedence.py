"""Who reads goes first: a page is short, and a person waits for it. Then comes who writes.

One interpreter runs one thread at a time. While sixteen threads take detections in, an answer
would wait for several of them at each of its statements; so they stop for a moment instead, where
they hold nothing that a reader needs. They are held up half of the time at most. The one writer of
an SQLite file, for which all of them wait, would wait for them at each of its statements too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LONGEST_S = 0.05
LONGEST_TURN_S = 0.005
READS = "eme.reads"
"""In a WSGI environment: this request reads, for somebody who is known."""
STREAMS = "eme.streams"
"""In a WSGI environment: this answer has no end."""


class Precedence:
    """Of the readers of one process; any thread may call each method at any time."""

    def __init__(
        self, longest_s: float = LONGEST_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._longest_s, self._clock = longest_s, clock
        self._lock = threading.Lock()
        self._readers: set[int] = set()
        self._clear = threading.Event()
        self._clear.set()
        self._since = self._ends = self._again = 0.0

    def begin(self) -> None:
        """Go before those who give way, until `end`, for `longest_s` at most."""
        now = self._clock()
        with self._lock:
            self._readers.add(threading.get_ident())
            if now >= self._again:
                self._since, self._ends = now, now + self._longest_s
                self._again = self._ends + self._longest_s
                self._clear.clear()

    def end(self) -> None:
        """Let the others go on, for as long as they were held up before anybody may again."""
        with self._lock:
            self._readers.discard(threading.get_ident())
            if not self._readers and not self._clear.is_set():
                ended = min(self._clock(), self._ends)
                self._again = ended + (ended - self._since)
                self._clear.set()

    def give_way(self) -> None:
        """Wait while somebody reads; a reader that comes here, as to write, is none any more."""
        if threading.get_ident() in self._readers:
            self.end()  # or the one writer would wait for it, and it for the writer
        if self._clear.is_set():
            return
        left = self._ends - self._clock()
        if left > 0:
            self._clear.wait(left)


class Turn:
    """Of the one writer, which enters and leaves it; the others may give way before they begin."""

    def __init__(self, longest_s: float = LONGEST_TURN_S) -> None:
        self._longest_s = longest_s
        self._over = threading.Event()
        self._over.set()

    def __enter__(self) -> None:
        self._over.clear()

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def give_way(self) -> None:
        """Wait for the end of the turn, for `longest_s` at most."""
        if not self._over.is_set():
            self._over.wait(self._longest_s)


readers = Precedence()
writing = Turn()
