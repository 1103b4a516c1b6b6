"""Wakes every open stream of this process when something changed, and counts them.

Two hundred streams that look at once would hold everybody else up, so they are woken a few at a
time, at most four times a second, and what one has read for its organisation the others take
from it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from eme_connector.ports import Store

T = TypeVar("T")
FRESH_S = 0.5
GATHER_S = 0.25
TOGETHER = 4
SPREAD_S = 0.001
SPREAD_MOST_S = 0.2
MOST_LOOKS = 1_000


class Hub:
    """One for each process: the store calls it once, it wakes all who wait."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0
        self._turn = 0
        self.endings = 0
        self.ended = False
        self._listening = False
        self._changed = threading.Condition()
        self._heard = threading.Event()
        self._looking = threading.Lock()
        self._looks: dict[object, tuple[int, float, object]] = {}

    @property
    def turn(self) -> int:
        """A number that grows with every change: read it before looking, then wait on it."""
        return self._turn

    @property
    def has_room(self) -> bool:
        """Say whether one more stream may be opened."""
        return self._open < self._most

    def listen_to(self, store: Store) -> None:
        """Be woken by *store*; asking again changes nothing."""
        with self._changed:
            first, self._listening = not self._listening, True
        if first:
            threading.Thread(target=self._pass_on, name="eme-hub", daemon=True).start()
            store.subscribe(self.hear)

    def enter(self) -> bool:
        """Count a new stream; False when there are as many as may be."""
        with self._changed:
            if not self.has_room:
                return False
            self._open += 1
            return True

    def leave(self) -> None:
        """Count a stream that has ended."""
        with self._changed:
            self._open -= 1

    def hear(self, touched: frozenset[str]) -> None:
        """Note a change: the committing thread must not stand in line with those who wait.

        `endings` moves whenever a session ended or an account changed.
        """
        if "account" in touched:
            with self._changed:
                self.endings += 1
        if "change" in touched:
            self._heard.set()

    def _pass_on(self) -> None:
        while not self.ended:
            self._heard.wait()
            self._heard.clear()
            began = time.monotonic()
            self.wake()
            time.sleep(max(0.0, began + GATHER_S - time.monotonic()))

    def wake(self) -> None:
        """Wake all who wait, those first who have waited longest."""
        with self._changed:
            self._turn += 1
            left = self._open
        pause = TOGETHER * min(SPREAD_S, SPREAD_MOST_S / max(1, left))
        while left > 0 and not self.ended:
            with self._changed:
                self._changed.notify(TOGETHER)
            left -= TOGETHER
            time.sleep(pause if left > 0 else 0)

    def end(self) -> None:
        """Say that no stream goes on: the process stops."""
        with self._changed:
            self.ended = True
            self._turn += 1
            self._changed.notify_all()
        self._heard.set()

    def look(self, what: object, turn: int, read: Callable[[], T]) -> T:
        """Return what *read* gives, or gave another stream for the same *what* since *turn*."""
        with self._looking:
            found = self._looks.get(what)
            if found is None or found[0] < turn or found[1] < time.monotonic():
                if len(self._looks) > MOST_LOOKS:
                    self._looks.clear()
                now = self._turn
                found = (now, time.monotonic() + FRESH_S, read())
                self._looks[what] = found
            result: T = found[2]  # type: ignore[assignment]
            return result

    def wait(self, turn: int, seconds: float) -> None:
        """Return soon after `turn` is no longer *turn*, or after *seconds*."""
        with self._changed:
            self._changed.wait_for(lambda: self._turn != turn, seconds)
