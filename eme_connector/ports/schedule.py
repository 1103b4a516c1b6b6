"""Work that repeats, as the store keeps it: one process at a time does it."""

from __future__ import annotations

from typing import Protocol

from eme_connector.domain.schedule import Turn


class ScheduleWrites(Protocol):
    """Turns inside a transaction."""

    def find_turn(self, job: str) -> Turn | None:
        """Return the last turn of *job*, locked until the transaction ends."""
        ...

    def save_turn(self, turn: Turn) -> None:
        """Replace the last turn of its job."""
        ...


class ScheduleReads(Protocol):
    """Reads of turns."""

    def turns(self) -> tuple[Turn, ...]:
        """Return the last turn of every job that ever ran, by name."""
        ...
