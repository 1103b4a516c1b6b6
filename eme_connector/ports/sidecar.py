"""A sidecar as a MISP module sees it: over its API, with a token of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

Json = dict[str, Any]


class Sidecar(Protocol):
    """One sidecar and one token; every call answers or raises within its time-out.

    Raises everywhere: Unavailable (no answer), NotAllowed (the token), InvalidInput (refused).
    """

    def look_up(self, values: Collection[str]) -> Json:
        """Return the threats that name one of *values* (`lookup_list`)."""
        ...

    def create(self, document: Json) -> list[Json]:
        """Store a STIX bundle or one event; return what became of each detection."""
        ...


OpenSidecar = Callable[[str, str], Sidecar]
"""(url, token) -> the sidecar; nothing is called yet."""
