"""What our MISP tells us: how far we have looked, and what it knows about a threat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

VIA_MISP = "via-misp"
"""Flag of a threat that a MISP told us of: no sidecar has signed for it."""

MarkKind = Literal["cursor", "event", "sighting", "change"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something of a MISP that was looked at, so that it is taken in once.

    `value` is the state that was seen: an event's timestamp, a sighting's date, or for a cursor
    how far the looking got (seconds since 1970 by that MISP's clock, or a change number).
    """

    kind: MarkKind
    id: str
    value: int
    threat_id: str = ""


@dataclass(frozen=True, slots=True)
class Related:
    """An event of our MISP that has the same value; `sightings` counts by type of sighting."""

    uuid: str
    info: str
    organisation: str
    url: str
    sightings: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What our MISP knows of one value; `warnings` are the lists that call it harmless."""

    value: str
    events: tuple[Related, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Enrichment:
    """What our MISP knew of a threat's values at a moment (µs since 1970).

    `sequence` is the state of the threat that was looked at, `asked` how many values; only the
    ones of which something is known are kept. `cut` says that there was more.
    """

    threat_id: str
    sequence: int
    at: int
    asked: int = 0
    known: tuple[Known, ...] = ()
    cut: bool = False
