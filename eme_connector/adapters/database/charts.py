"""Charts from counters alone: a dashboard never scans, and counts only what its reader may see.

A counter row holds a count for each word of each axis, so a page reads one row per bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, select, union_all

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.statements import Statement
from eme_connector.adapters.database.totals import DAY, HOUR
from eme_connector.domain.listing import Aggregate, Bucket
from eme_connector.domain.risk import Band
from eme_connector.domain.threat import Kind, Status

KEYWORDS = 20
WEEK = 7 * DAY
HOURS, DAYS, WEEKS = 24, 7, 7
KINDS, STATUSES, BANDS = (tuple(str(one) for one in axis) for axis in (Kind, Status, Band))
NAMES = KINDS + STATUSES + BANDS
_P = bindparam
_T, _K, _O = t.tally.c, t.keyword_total.c, t.origin_tally.c


def _bars(span: str) -> Select[Any]:
    return (
        select(_T.span, _T.start, *(func.sum(_T[name]) for name in NAMES))
        .where(and_(_T.viewer == _P("viewer"), _T.span == span, _T.start >= _P(f"first_{span}"),
                    _T.start <= _P(f"last_{span}")))
        .group_by(_T.span, _T.start)
    )  # fmt: skip


_BARS = Statement(union_all(_bars("hour"), _bars("day")))
_KEYWORDS = Statement(
    select(_K.keyword, _K.n)
    .where(and_(_K.viewer == _P("viewer"), _K.n > 0))
    .order_by(_K.n.desc(), _K.keyword)
    .limit(KEYWORDS)
)
_ORIGINS = Statement(
    select(_O.organisation, *(func.sum(_O[name]) for name in STATUSES))
    .where(_O.viewer == _P("viewer"))
    .group_by(_O.organisation)
)
Rows = Callable[[Statement, dict[str, Any]], Sequence[tuple[Any, ...]]]
Counts = tuple[int, ...]
"""How many of each of NAMES."""
_NONE: Counts = (0,) * len(NAMES)


def aggregate(viewer: str, at: int, rows: Rows, lag: float) -> Aggregate:
    """Return 24 hours, 7 days and 7 weeks up to *at*, empty buckets included (UTC).

    The keywords are those of the 7 days up to now.
    """
    hour, day = at // HOUR * HOUR, at // DAY * DAY
    first_hour, first_day = hour - (HOURS - 1) * HOUR, day - (WEEKS * DAYS - 1) * DAY
    bounds = {"first_hour": first_hour, "last_hour": hour, "first_day": first_day, "last_day": day}
    bars: dict[str, dict[int, Counts]] = {"hour": {}, "day": {}}
    for span, start, *counts in rows(_BARS, {"viewer": viewer} | bounds):
        bars[span][start] = tuple(counts)
    hours = [(start, bars["hour"].get(start, _NONE)) for start in range(first_hour, at + 1, HOUR)]
    days = [(start, bars["day"].get(start, _NONE)) for start in range(first_day, at + 1, DAY)]
    weeks = (days[place : place + DAYS] for place in range(0, len(days), DAYS))
    return Aggregate(
        hours=tuple(_bucket(start, counts) for start, counts in hours),
        days=tuple(_bucket(start, counts) for start, counts in days[-DAYS:]),
        weeks=tuple(_bucket(week[0][0], _sum(counts for _, counts in week)) for week in weeks),
        keywords=tuple((word, n) for word, n in rows(_KEYWORDS, {"viewer": viewer})),
        origins=_origins(rows(_ORIGINS, {"viewer": viewer})),
        keyword_lag_s=lag,
    )


def _sum(several: Iterable[Counts]) -> Counts:
    return tuple(map(sum, zip(*several, strict=True)))


def _bucket(start: int, counts: Counts) -> Bucket:
    told = dict(zip(NAMES, counts, strict=True))
    kinds = _some(told, KINDS)
    return Bucket(start, sum(kinds.values()), kinds, _some(told, STATUSES), _some(told, BANDS))


def _some(counts: Mapping[str, int], names: Iterable[str]) -> dict[str, int]:
    return {name: counts[name] for name in names if counts[name]}


def _origins(rows: Iterable[tuple[Any, ...]]) -> dict[str, dict[str, int]]:
    told = {row[0]: dict(zip(STATUSES, row[1:], strict=True)) for row in rows}
    found = {organisation: _some(counts, STATUSES) for organisation, counts in told.items()}
    return {organisation: counts for organisation, counts in found.items() if counts}
