"""Pages of threats: keyset by index, other filters by a bounded walk (ARCHITECTURE section 4).

Each shape of a list is one statement, compiled once. SQL itself filters what the walk passes, and
looks a keyword up once a statement, never once a row.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, not_, or_, select

from eme_connector.adapters.database import keywords
from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.statements import Statement
from eme_connector.domain.listing import MAX_PAGE, MAX_WALK, ListQuery, Page
from eme_connector.errors import Fault, InvalidInput
from eme_connector.formats.codec import load_threat

FIRST_WALK = 500
_L = t.listing.c
_KEYS = {
    "newest": ("received_at", "threat_id"),
    "rank": ("rank", "received_at", "threat_id"),
}
_FILTERS = ("status", "organisation", "kind", "band", "criticality", "since", "until")
_P = bindparam
Rows = Callable[[Statement, dict[str, Any]], Sequence[tuple[Any, ...]]]
Key = tuple[int | str, ...]
Found = Sequence[Key]
"""Rows of a list's key columns, the last of them the threat's id."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What makes two lists the same statement: order, which filters are given, how words are met.

    `few` words lead to their threats, which are sorted; `many` are looked up behind the walk.
    """

    dialect: str
    order: Literal["newest", "rank"]
    given: tuple[str, ...]
    words: Literal["", "few", "many"] = ""
    goes_on: bool = False

    @property
    def by_index(self) -> tuple[str, ...]:
        """The filters that the walk's index answers."""
        times = ("since", "until") if self.order == "newest" else ()
        return tuple(one for one in self.given if one in ("status", "organisation", *times))

    @property
    def by_row(self) -> tuple[str, ...]:
        """The filters that each row of the walk is held against."""
        return tuple(one for one in self.given if one not in self.by_index)


def page(query: ListQuery, rows: Rows, dialect: str) -> Page:
    """Return the page that *query* asks for.

    Raises:
        InvalidInput: the cursor is none of this list.
    """
    key = _decode(query)
    if query.since is not None and query.until is not None and query.since >= query.until:
        return Page(())
    given = {name: getattr(query, name) for name in _FILTERS}
    given = {name: value for name, value in given.items() if value is not None}
    values = {n: v if isinstance(v, int) else str(v) for n, v in given.items()}
    values |= {"viewer": query.viewer, "limit": min(query.limit, MAX_PAGE) + 1}
    values |= dict(zip((f"key_{name}" for name in _KEYS[query.order]), key or (), strict=False))
    words, matches = keywords.words(query.keyword, dialect), 0
    if words:
        values["words"] = words
        asked = {"words": words, "most": keywords.FEW + 1}
        ((matches,),) = rows(keywords.count(dialect), asked)
    how: Literal["", "few", "many"] = (
        "" if not words else "few" if matches <= keywords.FEW else "many"
    )
    shape = Shape(dialect, query.order, tuple(given), how, key is not None)
    if how == "few":
        found = rows(_sorted(shape), values | {"most": keywords.FEW})
        return _page(found, values, rows, matches)
    return _walk(shape, values, rows)


def _walk(shape: Shape, values: dict[str, Any], rows: Rows) -> Page:
    """Walk a little, and from the start again as far as we go where that does not fill a page."""
    limit = values["limit"]
    if not (shape.by_row or shape.words):
        found = rows(_filtered(shape), values | {"most": limit})
        return _page(found, values, rows, len(found))
    found = rows(_filtered(shape), values | {"most": FIRST_WALK})
    if len(found) == limit:
        return _page(found, values, rows, _place(shape, values, rows, found[-1]))
    end = rows(_end(shape), values | {"most": 1, "skipped": MAX_WALK - 1})
    if end:  # the walk ends at this row, whatever comes and goes meanwhile
        known = values | _to(shape, end[0]) | {"most": MAX_WALK + FIRST_WALK}
        found = rows(_filtered(shape, to=True), known)
    else:
        found = rows(_filtered(shape), values | {"most": MAX_WALK})
    if len(found) == limit:
        return _page(found, values, rows, _place(shape, values, rows, found[-1]))
    if end:
        return _page(found, values, rows, MAX_WALK, more=end[0])
    ((walked,),) = rows(_count(shape, to=False), values | {"most": MAX_WALK})
    return _page(found, values, rows, walked)


def _place(shape: Shape, values: dict[str, Any], rows: Rows, key: Key) -> int:
    known = values | _to(shape, key) | {"most": MAX_WALK}
    ((place,),) = rows(_count(shape, to=True), known)
    return int(place)


def _to(shape: Shape, key: Key) -> dict[str, Any]:
    return {f"to_{name}": one for name, one in zip(_KEYS[shape.order], key, strict=True)}


def _page(
    found: Found, values: dict[str, Any], rows: Rows, walked: int, *, more: Key | None = None
) -> Page:
    shown = found[: values["limit"] - 1]
    last = more
    if len(found) > len(shown):
        last = shown[-1]
    ids = [row[-1] for row in shown]
    named = {f"id_{number}": one for number, one in enumerate(ids)}
    by_id: dict[str, str] = dict(rows(_bodies(len(ids)), named)) if ids else {}
    threats = tuple(load_threat(by_id[one]) for one in ids if one in by_id)
    return Page(threats, _encode(last) if last else "", walked, more is None)


@lru_cache(maxsize=256)
def _filtered(shape: Shape, *, to: bool = False) -> Statement:
    """Return: the rows that all filters let pass, of those that the walk comes by."""
    walk = _walked(shape, shape.by_row, to=to).subquery("walk")
    where = [_holds(walk.c, name) for name in shape.by_row]
    if shape.words:
        seq = select(t.threat.c.seq).where(t.threat.c.id == walk.c.threat_id).scalar_subquery()
        where.append(seq.in_(keywords.matches(shape.dialect)))
    keys = [walk.c[name] for name in _KEYS[shape.order]]
    query = select(*keys).where(and_(True, *where))
    return Statement(query.order_by(*(key.desc() for key in keys)).limit(_P("limit")))


@lru_cache(maxsize=256)
def _end(shape: Shape) -> Statement:
    """Return: the row that the walk comes by after so many others."""
    return Statement(_walked(shape).offset(_P("skipped")))


@lru_cache(maxsize=256)
def _count(shape: Shape, *, to: bool) -> Statement:
    """Return: how many rows the walk comes by, up to a row or to its end."""
    walk = _walked(shape, to=to).subquery("walk")
    return Statement(select(func.count()).select_from(walk))


@lru_cache(maxsize=256)
def _sorted(shape: Shape) -> Statement:
    """Return: the first of the few rows that have the words."""
    # the outer join and the limit keep planners from coming by all rows of the viewer instead
    mine = and_(_L.viewer == _P("viewer"), _L.threat_id == t.threat.c.id)
    names = dict.fromkeys((*_KEYS[shape.order], *map(_column, shape.given)))
    rows = (
        select(*(_L[name] for name in names))
        .select_from(t.threat.outerjoin(t.listing, mine))
        .where(t.threat.c.seq.in_(keywords.matches(shape.dialect)))
        .limit(_P("most"))
        .subquery("rows")
    )
    keys = [rows.c[name] for name in _KEYS[shape.order]]
    where = [rows.c.threat_id.is_not(None), *(_holds(rows.c, name) for name in shape.given)]
    if shape.goes_on:
        where.append(_after(rows.c, _KEYS[shape.order]))
    query = select(*keys).where(and_(*where))
    return Statement(query.order_by(*(key.desc() for key in keys)).limit(_P("limit")))


@lru_cache(maxsize=MAX_PAGE + 1)
def _bodies(many: int) -> Statement:
    ids: list[Any] = [_P(f"id_{number}") for number in range(many)]
    return Statement(select(t.threat.c.id, t.threat.c.body).where(t.threat.c.id.in_(ids)))


def _walked(shape: Shape, kept: Sequence[str] = (), *, to: bool = False) -> Select[Any]:
    names = dict.fromkeys((*_KEYS[shape.order], *map(_column, kept)))
    where = [_L.viewer == _P("viewer"), *(_holds(_L, name) for name in shape.by_index)]
    if shape.goes_on:
        where.append(_after(_L, _KEYS[shape.order]))
    if to:
        keys = _KEYS[shape.order]
        where += [_L[keys[0]] >= _P(f"to_{keys[0]}"), not_(_after(_L, keys, "to"))]
    query = select(*(_L[name] for name in names)).where(and_(*where))
    return query.order_by(*(_L[name].desc() for name in _KEYS[shape.order])).limit(_P("most"))


def _holds(columns: Any, name: str) -> ColumnElement[bool]:
    column: ColumnElement[Any] = columns[_column(name)]
    if name == "since":
        return column >= _P(name)
    return column < _P(name) if name == "until" else column == _P(name)


def _column(name: str) -> str:
    return "received_at" if name in ("since", "until") else name


def _after(columns: Any, names: Sequence[str], key: str = "key") -> ColumnElement[bool]:
    ways = []
    for place, name in enumerate(names):
        same = [columns[one] == _P(f"{key}_{one}") for one in names[:place]]
        ways.append(and_(*same, columns[name] < _P(f"{key}_{name}")))
    return and_(columns[names[0]] <= _P(f"{key}_{names[0]}"), or_(*ways))


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
