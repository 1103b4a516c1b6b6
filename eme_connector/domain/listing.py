"""What lists and charts ask for and get: always for one viewer (C9)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from eme_connector.domain.risk import Band
from eme_connector.domain.threat import Kind, Status, Threat

Order = Literal["newest", "rank"]
MAX_PAGE = 100
MAX_WALK = 5_000


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A page of threats that *viewer* (an organisation's uuid) may read.

    `newest` sorts by our own received_at, `rank` by rank, both highest first. Times are µs since
    1970. `cursor` is opaque, from the page before.
    """

    viewer: str
    order: Order = "newest"
    status: Status | None = None
    kind: Kind | None = None
    organisation: str | None = None
    band: Band | None = None
    criticality: int | None = None
    since: int | None = None
    until: int | None = None
    keyword: str = ""
    cursor: str = ""
    limit: int = 25


@dataclass(frozen=True, slots=True)
class Page:
    """A page: `cursor` is empty at the end; `walked` index rows were looked at for it.

    `complete` is False when the walk stopped at its bound before the page was full: `cursor`
    goes on from there.
    """

    threats: tuple[Threat, ...]
    cursor: str = ""
    walked: int = 0
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bar of a chart: it starts at `start` (µs since 1970) and counts by each axis."""

    start: int
    total: int
    by_type: dict[str, int] = field(default_factory=dict)
    by_status: dict[str, int] = field(default_factory=dict)
    by_band: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Counts of what one viewer may read: 24 hours, 7 days, 7 weeks, keywords of 7 days.

    `origins` counts by organisation whose threat it is, then by status.
    """

    hours: tuple[Bucket, ...]
    days: tuple[Bucket, ...]
    weeks: tuple[Bucket, ...]
    keywords: tuple[tuple[str, int], ...]
    origins: dict[str, dict[str, int]]
    keyword_lag_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """Something moved: what live pages are told, ids and states only. `id` grows."""

    id: int
    threat_id: str
    event: str
    status: str
    execution: str
    at: int
