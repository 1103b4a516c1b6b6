"""Wake-ups between processes: what one has committed, the others hear.

Nothing depends on it. Whoever waits also looks by itself now and then, so a lost ring costs time,
never truth.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

log = structlog.get_logger("eme.bell")

GATHER_S = 0.02
WAIT_S = 0.25
AGAIN_S = 1.0
EVERYTHING = frozenset({"account", "change", "delivery", "directory", "token"})


class LineDown(Exception):
    """The line carries nothing now."""


class Line(Protocol):
    """Carries short texts between processes, and loses them when it likes."""

    def send(self, text: str) -> None:
        """Tell everybody who listens; raise LineDown."""
        ...

    def receive(self, seconds: float) -> Iterable[str]:
        """Yield what comes within *seconds*, an empty text after each new connection.

        Raises:
            LineDown
        """
        ...

    def close(self) -> None:
        """Give its connections back."""
        ...


class Bell:
    """Rings on *line* for what is committed here; calls *hear* with what others committed."""

    def __init__(self, line: Line, hear: Callable[[frozenset[str]], None]) -> None:
        self._line, self._hear = line, hear
        self._me = secrets.token_hex(8)
        self._topics: set[str] = set()
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def ring(self, topics: frozenset[str]) -> None:
        """Tell the others soon; many commits make one ring."""
        with self._changed:
            self._topics |= topics
            self._start("ring", self._ring_on)
            self._changed.notify_all()

    def listen(self) -> None:
        """Hear the others from now on; asking again changes nothing."""
        with self._changed:
            self._start("listen", self._listen_on)

    def close(self) -> None:
        """Ring for what is waiting, then end."""
        self._ending.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads.values():
            thread.join(2 * WAIT_S)
        self._line.close()

    def _start(self, name: str, run: Callable[[], None]) -> None:
        if name not in self._threads and not self._ending.is_set():
            self._threads[name] = threading.Thread(target=run, name=f"eme-{name}", daemon=True)
            self._threads[name].start()

    def _ring_on(self) -> None:
        while topics := self._next():
            try:
                self._line.send(f"{self._me} {','.join(sorted(topics))}")
            except LineDown:
                log.warning("others_not_told")
                self._ending.wait(AGAIN_S)

    def _next(self) -> set[str]:
        """Return what to ring for; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._topics or self._ending.is_set())
        self._ending.wait(GATHER_S)
        with self._changed:
            topics, self._topics = self._topics, set()
            return topics

    def _listen_on(self) -> None:
        was_cut_off = False
        while not self._ending.is_set():
            try:
                for text in self._line.receive(WAIT_S):
                    if text:
                        self._take(text)
                    elif was_cut_off:
                        self._hear(EVERYTHING)  # something may have been missed
            except LineDown:
                was_cut_off = True
                self._ending.wait(AGAIN_S)

    def _take(self, text: str) -> None:
        sender, _, topics = text.partition(" ")
        if sender != self._me:
            self._hear(frozenset(topics.split(",")))
