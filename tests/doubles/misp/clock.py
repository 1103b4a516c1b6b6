"""The time of one or more doubles: it goes by itself until a test takes it in hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Whole seconds, as MISP keeps them; share one between instances that sync."""

    def __init__(self, held_at: int | None = None) -> None:
        self._held = held_at
        self._ahead = 0

    def hold(self) -> None:
        """Stand still from now on, so that only `advance` moves it."""
        self._held = self.now()
        self._ahead = 0

    def advance(self, seconds: int = 1) -> None:
        """Jump ahead; nobody has to sleep until MISP sees a newer second."""
        self._ahead += seconds

    def now(self) -> int:
        return int(self._held if self._held is not None else time.time()) + self._ahead

    def text(self, ago: int = 0) -> str:
        """Return the time as MISP writes it into `created` and `modified`."""
        return datetime.fromtimestamp(self.now() - ago, UTC).strftime("%Y-%m-%d %H:%M:%S")
