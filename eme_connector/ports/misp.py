"""Our MISP as we read it and answer in it, and what the store keeps of that."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from eme_connector.domain.misp import Enrichment, Known, Mark, MarkKind

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Headline:
    """What a MISP tells of an event before it is read; times are seconds by its clock."""

    uuid: str
    timestamp: int
    published_at: int
    creator: str
    extends: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """An event with the bytes of its answer and our MISP's signature over them, if any."""

    event: Json
    body: bytes
    signature: str | None


class MispSharing(Protocol):
    """Our own MISP, beside the channel that threats leave by.

    Every call raises DeliveryError where there is no answer, or not the one that it should be.
    """

    def arrived(self, since: int, page: int) -> tuple[Headline, ...]:
        """Return a page of the events that were published there since *since*; empty = the end."""
        ...

    def find_event(self, uuid: str) -> Signed | None: ...

    def sighted(self, since: int) -> tuple[tuple[str, int], ...]:
        """Return (uuid, when) of our own events that sightings came for since *since*."""
        ...

    def know(self, values: Collection[str], *, without: str) -> tuple[tuple[Known, ...], bool]:
        """Return what it knows of *values*, the event *without* apart; True where there is more."""
        ...


class Pgp(Protocol):
    """GnuPG with our MISP's key, or without one."""

    def fingerprints(self, armoured: str) -> frozenset[str]:
        """Return the fingerprints of the keys in a text; none where there is no key in it."""
        ...

    def is_signed(self, body: bytes, signature: str, keys: Collection[str]) -> bool:
        """Say whether *signature* (base64, detached) of *body* is by one of *keys* (armoured)."""
        ...


class MispWrites(Protocol):
    """What is kept of a MISP, inside a transaction."""

    def find_mark(self, kind: MarkKind, mark_id: str) -> Mark | None:
        """Return a mark, locked until the transaction ends."""
        ...

    def save_mark(self, mark: Mark) -> None: ...
    def save_enrichment(self, enrichment: Enrichment) -> None: ...


class MispReads(Protocol):
    """Reads of what is kept of a MISP."""

    def mark(self, kind: MarkKind, mark_id: str) -> Mark | None: ...
    def enrichment(self, threat_id: str) -> Enrichment | None: ...
