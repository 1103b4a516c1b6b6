"""Charts from counters alone: a dashboard never scans, and counts only what its reader may see.

A counter row holds a count for each word of each axis, so a page reads one row per bar.
"""
# ruff: noqa: S608 - made of our own words alone; what is asked for goes as parameters

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic_core import from_json

from eme_connector.adapters.database import keywords
from eme_connector.adapters.database.spare import Rows
from eme_connector.adapters.database.statements import Part, side_by_side
from eme_connector.adapters.database.totals import DAY, HOUR
from eme_connector.domain.listing import Aggregate, Bucket
from eme_connector.domain.risk import Band
from eme_connector.domain.threat import Kind, Status

KEYWORDS = 20
WEEK = 7 * DAY
HOURS, DAYS, WEEKS = 24, 7, 7
KINDS, STATUSES, BANDS = (tuple(str(one) for one in axis) for axis in (Kind, Status, Band))
_BEHIND_KINDS = len(KINDS)
_BEHIND_STATUSES = _BEHIND_KINDS + len(STATUSES)


def _sums(names: Iterable[str]) -> str:
    return ", ".join(f"sum({name}) AS {name}" for name in names)


def _bars(name: str, span: str, start: str) -> str:
    """Return the query of the bars *name*: sums of counters of a *span* with the same *start*."""
    return (
        f"SELECT '{name}' AS name, {start} AS bar, {_sums(KINDS + STATUSES + BANDS)}"
        f" FROM tally WHERE viewer = :viewer AND span = '{span}'"
        f" AND start >= CAST(:first_{name} AS BIGINT) AND start <= CAST(:now AS BIGINT)"
        " GROUP BY bar"
    )


_OF_WEEK = "CAST(:first_week AS BIGINT)"
_BARS = " UNION ALL ".join(
    (
        _bars("hour", "hour", "start"),
        _bars("day", "day", "start"),
        _bars("week", "day", f"{_OF_WEEK} + (start - {_OF_WEEK}) / {WEEK} * {WEEK}"),
    )
)
_KEYWORDS = (
    "SELECT keyword, n FROM keyword_total WHERE viewer = :viewer AND n > 0"
    f" ORDER BY n DESC, keyword LIMIT {KEYWORDS}"
)
_ORIGINS = (
    f"SELECT organisation, {_sums(STATUSES)} FROM origin_tally"
    " WHERE viewer = :viewer GROUP BY organisation"
)
_CHARTS = side_by_side(
    Part(_BARS, ("name", "bar", *KINDS, *STATUSES, *BANDS)),
    Part(_KEYWORDS, ("keyword", "n")),
    Part(_ORIGINS, ("organisation", *STATUSES)),
    Part(f"SELECT ({keywords.OLDEST}) AS oldest", ("oldest",)),
)


def aggregate(viewer: str, at: int, rows: Rows) -> Aggregate:
    """Return 24 hours, 7 days and 7 weeks up to *at*, empty buckets included (UTC).

    The keywords are those of the 7 days up to now.
    """
    hour, day = at // HOUR * HOUR, at // DAY * DAY
    starts = {
        "hour": range(hour - (HOURS - 1) * HOUR, at + 1, HOUR),
        "day": range(day - (DAYS - 1) * DAY, at + 1, DAY),
        "week": range(day - (WEEKS * DAYS - 1) * DAY, at + 1, WEEK),
    }
    firsts = {f"first_{name}": found.start for name, found in starts.items()}
    told = rows(_CHARTS, {"viewer": viewer, "now": at} | firsts)
    bars, words, origins, ((oldest,),) = map(from_json, told[0])
    found = {(name, start): _bucket(start, counts) for name, start, *counts in bars}
    hours, days, weeks = (
        tuple(found.get((name, start)) or Bucket(start, 0) for start in every)
        for name, every in starts.items()
    )
    lag = 0.0 if oldest is None else max(0.0, (at - oldest) / 1_000_000)
    return Aggregate(hours, days, weeks, tuple(map(tuple, words)), _origins(origins), lag)


def _bucket(start: int, counts: Sequence[int]) -> Bucket:
    kinds = _some(KINDS, counts[:_BEHIND_KINDS])
    statuses = _some(STATUSES, counts[_BEHIND_KINDS:_BEHIND_STATUSES])
    bands = _some(BANDS, counts[_BEHIND_STATUSES:])
    return Bucket(start, sum(kinds.values()), kinds, statuses, bands)


def _some(names: Sequence[str], counts: Sequence[int]) -> dict[str, int]:
    return {name: n for name, n in zip(names, counts, strict=True) if n}


def _origins(rows: Iterable[tuple[Any, ...]]) -> dict[str, dict[str, int]]:
    found = ((organisation, _some(STATUSES, counts)) for organisation, *counts in rows)
    return {organisation: counts for organisation, counts in found if counts}
