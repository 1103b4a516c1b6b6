"""What the processes of one sidecar share, and may lose at any moment."""

from __future__ import annotations

from typing import Protocol


class Shared(Protocol):
    """Counts and answers that several processes use together; never the only place of anything.

    When what is shared is gone, each process counts and remembers by itself: nothing here raises
    but `ping`.
    """

    def hit(self, name: str, key: str, *, per_minute: int) -> bool:
        """Count one more *name* of *key*; say whether it is within the limit."""
        ...

    def get(self, key: str) -> bytes | None:
        """Return what was kept, None when it is too old or lost."""
        ...

    def put(self, key: str, value: bytes, *, seconds: float) -> None:
        """Keep *value* for some time."""
        ...

    def ping(self) -> None:
        """Raise Unavailable when what is shared cannot be reached."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...
