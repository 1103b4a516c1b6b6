"""Charts from counters alone: a dashboard never scans, and counts only what its reader may see."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, func, select

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.statements import Statement
from eme_connector.adapters.database.threats import DAY, HOUR
from eme_connector.domain.listing import Aggregate, Bucket

KEYWORDS = 20
WEEK = 7 * DAY
_P = bindparam
_T, _K, _O = t.tally.c, t.keyword_tally.c, t.origin_tally.c
_PLACE = ((_T.start - _P("first")) // _P("width")).label("place")
_SUM = func.sum(_T.n)
_BUCKETS = Statement(
    select(_PLACE, _T.kind, _T.status, _T.band, _SUM)
    .where(
        and_(
            _T.viewer == _P("viewer"),
            _T.span == _P("span"),
            _T.start >= _P("first"),
            _T.start < _P("end"),
        )
    )
    .group_by("place", _T.kind, _T.status, _T.band)
    .having(_SUM != 0)
)
_TOTAL = func.sum(_K.n)
_KEYWORDS = Statement(
    select(_K.keyword, _TOTAL)
    .where(and_(_K.viewer == _P("viewer"), _K.start >= _P("since")))
    .group_by(_K.keyword)
    .having(_TOTAL > 0)
    .order_by(_TOTAL.desc(), _K.keyword)
    .limit(KEYWORDS)
)
_ORIGINS = Statement(
    select(_O.organisation, _O.status, func.sum(_O.n))
    .where(_O.viewer == _P("viewer"))
    .group_by(_O.organisation, _O.status)
    .having(func.sum(_O.n) != 0)
)
Rows = Callable[[Statement, dict[str, Any]], Sequence[tuple[Any, ...]]]


def aggregate(viewer: str, at: int, rows: Rows, lag: float) -> Aggregate:
    """Return 24 hours, 7 days and 7 weeks up to *at*, empty buckets included (UTC)."""
    hour, day = at // HOUR * HOUR, at // DAY * DAY
    week = day - 6 * DAY
    words = rows(_KEYWORDS, {"viewer": viewer, "since": week})
    return Aggregate(
        hours=_buckets(viewer, rows, "hour", hour, HOUR, 24),
        days=_buckets(viewer, rows, "day", day, DAY, 7),
        weeks=_buckets(viewer, rows, "day", week, WEEK, 7),
        keywords=tuple((word, int(n)) for word, n in words),
        origins=_origins(viewer, rows),
        keyword_lag_s=lag,
    )


def _buckets(
    viewer: str, rows: Rows, span: str, last: int, width: int, count: int
) -> tuple[Bucket, ...]:
    first = last - (count - 1) * width
    values = {"viewer": viewer, "span": span, "first": first, "end": last + width, "width": width}
    axes: list[tuple[Counter[str], ...]] = [(Counter(), Counter(), Counter()) for _ in range(count)]
    for place, kind, status, band, n in rows(_BUCKETS, values):
        by_type, by_status, by_band = axes[place]
        by_type[kind] += int(n)
        by_status[status] += int(n)
        by_band[band] += int(n)
    return tuple(
        Bucket(first + place * width, sum(by_type.values()), *map(dict, (by_type, *others)))
        for place, (by_type, *others) in enumerate(axes)
    )


def _origins(viewer: str, rows: Rows) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for organisation, status, n in rows(_ORIGINS, {"viewer": viewer}):
        found[organisation][status] = int(n)
    return dict(found)
