"""Charts from counters alone: a dashboard never scans, and counts only what its reader may see."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Executable, and_, func, select

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.threats import DAY, HOUR
from eme_connector.domain.listing import Aggregate, Bucket

KEYWORDS = 20
WEEK = 7 * DAY
Rows = Callable[[Executable], Sequence[Any]]


def aggregate(viewer: str, at: int, rows: Rows, lag: float) -> Aggregate:
    """Return 24 hours, 7 days and 7 weeks up to *at*, empty buckets included (UTC)."""
    hour, day = at // HOUR * HOUR, at // DAY * DAY
    hourly = _tallies(viewer, "hour", hour - 23 * HOUR, rows)
    daily = _tallies(viewer, "day", day - 48 * DAY, rows)
    return Aggregate(
        hours=_buckets(hourly, hour, HOUR, 24),
        days=_buckets(daily, day, DAY, 7),
        weeks=_buckets(daily, day - 6 * DAY, WEEK, 7),
        keywords=_keywords(viewer, day - 6 * DAY, rows),
        origins=_origins(viewer, rows),
        keyword_lag_s=lag,
    )


def _tallies(viewer: str, span: str, since: int, rows: Rows) -> list[Any]:
    c = t.tally.c
    query = (
        select(c.start, c.kind, c.status, c.band, func.sum(c.n).label("n"))
        .where(and_(c.viewer == viewer, c.span == span, c.start >= since))
        .group_by(c.start, c.kind, c.status, c.band)
    )
    return list(rows(query))


def _buckets(tallies: list[Any], last: int, width: int, count: int) -> tuple[Bucket, ...]:
    starts = [last - n * width for n in reversed(range(count))]
    axes: dict[int, tuple[Counter[str], Counter[str], Counter[str]]] = {
        start: (Counter(), Counter(), Counter()) for start in starts
    }
    for row in tallies:
        start = last - (last - row.start + width - 1) // width * width
        if row.start >= last:
            start = last
        if start in axes and row.n and row.start < last + width:
            for axis, word in zip(axes[start], (row.kind, row.status, row.band), strict=True):
                axis[word] += row.n
    return tuple(
        Bucket(start, sum(by_type.values()), dict(by_type), dict(by_status), dict(by_band))
        for start, (by_type, by_status, by_band) in axes.items()
    )


def _keywords(viewer: str, since: int, rows: Rows) -> tuple[tuple[str, int], ...]:
    c = t.keyword_tally.c
    total = func.sum(c.n).label("n")
    query = (
        select(c.keyword, total)
        .where(and_(c.viewer == viewer, c.start >= since))
        .group_by(c.keyword)
        .having(total > 0)
        .order_by(total.desc(), c.keyword)
        .limit(KEYWORDS)
    )
    return tuple((row.keyword, int(row.n)) for row in rows(query))


def _origins(viewer: str, rows: Rows) -> dict[str, dict[str, int]]:
    c = t.origin_tally.c
    query = (
        select(c.organisation, c.status, func.sum(c.n).label("n"))
        .where(c.viewer == viewer)
        .group_by(c.organisation, c.status)
    )
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows(query):
        if row.n:
            found[row.organisation][row.status] = int(row.n)
    return dict(found)
