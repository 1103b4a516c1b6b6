"""Pages of threats: keyset by index, other filters by a bounded walk (ARCHITECTURE section 4)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, and_, or_, select

from eme_connector.adapters.database import tables as t
from eme_connector.domain.listing import MAX_PAGE, MAX_WALK, ListQuery, Page
from eme_connector.errors import Fault, InvalidInput
from eme_connector.formats.codec import load_threat

_L = t.listing.c
_CHUNK = 500
Rows = Callable[[Executable], Sequence[Any]]
Key = tuple[int, ...] | tuple[int | str, ...]


def page(query: ListQuery, rows: Rows, matching: ColumnElement[bool] | None) -> Page:
    """Return the page that *query* asks for; *matching* is the keyword's condition or None."""
    limit = min(query.limit, MAX_PAGE)
    key = _decode(query)
    found: list[Any] = []
    walked = 0
    filtered = _has_other_filters(query)
    while walked < MAX_WALK and len(found) <= limit:
        size = _CHUNK if filtered else limit + 1
        chunk = rows(_entries(query, key, matching).limit(size))
        for row in chunk:
            walked += 1
            key = _key(query, row)
            if _passes(query, row):
                found.append(row)
                if len(found) > limit:
                    break
        if len(chunk) < size:
            return _page(found, limit, rows, query, walked, complete=True, more=None)
    more = None if len(found) > limit else key
    return _page(found, limit, rows, query, walked, complete=more is None, more=more)


def _page(
    found: list[Any],
    limit: int,
    rows: Rows,
    query: ListQuery,
    walked: int,
    *,
    complete: bool,
    more: Key | None,
) -> Page:
    shown = found[:limit]
    cursor = _encode(_key(query, shown[-1])) if len(found) > limit else ""
    if more is not None:
        cursor = _encode(more)
    ids = [row.threat_id for row in shown]
    bodies = rows(select(t.threat.c.id, t.threat.c.body).where(t.threat.c.id.in_(ids)))
    by_id = {row.id: load_threat(row.body) for row in bodies}
    return Page(tuple(by_id[one] for one in ids if one in by_id), cursor, walked, complete)


def _entries(
    query: ListQuery, key: Key | None, matching: ColumnElement[bool] | None
) -> Select[Any]:
    where: list[ColumnElement[bool]] = [_L.viewer == query.viewer]
    if query.status is not None:
        where.append(_L.status == str(query.status))
    if query.organisation is not None:
        where.append(_L.organisation == query.organisation)
    if key is not None:
        where.append(_after(query, key))
    if query.order == "newest":
        if query.until is not None:
            where.append(_L.received_at < query.until)
        if query.since is not None:
            where.append(_L.received_at >= query.since)
    if matching is not None:
        where.append(matching)
    order = [column.desc() for column in _columns(query)]
    return select(t.listing).where(and_(*where)).order_by(*order)


def _columns(query: ListQuery) -> list[ColumnElement[Any]]:
    if query.order == "newest":
        return [_L.received_at, _L.threat_id]
    return [_L.rank, _L.received_at, _L.threat_id]


def _after(query: ListQuery, key: Key) -> ColumnElement[bool]:
    columns = _columns(query)
    ways = []
    for place, column in enumerate(columns):
        same = [columns[i] == key[i] for i in range(place)]
        ways.append(and_(*same, column < key[place]))
    return and_(columns[0] <= key[0], or_(*ways))


def _has_other_filters(query: ListQuery) -> bool:
    by_time = query.order == "rank" and (query.since is not None or query.until is not None)
    return bool(query.kind or query.band or query.criticality or by_time)


def _passes(query: ListQuery, row: Any) -> bool:
    return (
        query.kind in (None, row.kind)
        and query.band in (None, row.band)
        and query.criticality in (None, row.criticality)
        and (query.since is None or row.received_at >= query.since)
        and (query.until is None or row.received_at < query.until)
    )


def _key(query: ListQuery, row: Any) -> Key:
    tail = (row.received_at, row.threat_id)
    return tail if query.order == "newest" else (row.rank, *tail)


def _encode(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _decode(query: ListQuery) -> Key | None:
    if not query.cursor:
        return None
    kinds = [int, str] if query.order == "newest" else [int, int, str]
    try:
        padded = query.cursor + "=" * (-len(query.cursor) % 4)
        key = json.loads(base64.urlsafe_b64decode(padded.encode()))
        if [type(part) for part in key] != kinds:
            raise ValueError
    except (ValueError, TypeError, binascii.Error) as exc:
        raise InvalidInput([Fault("/cursor", "is not a cursor of this list")]) from exc
    return tuple(key)
