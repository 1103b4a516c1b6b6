"""Pages of threats: keyset by index, other filters by a bounded walk (ARCHITECTURE section 4).

A list is a range of one index, from behind the page before to the end. Filters that no index
answers are held against at most MAX_WALK of its rows; what they need stands in the index too.
First the row is found where the walk has to end, then what passes the filters before that row.
Each shape of a list is one statement, compiled once.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    and_,
    any_,
    bindparam,
    cast,
    false,
    func,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects import sqlite

from eme_connector.adapters.database import entries, keywords
from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.keywords import Sought
from eme_connector.adapters.database.statements import Statement
from eme_connector.domain.listing import MAX_PAGE, MAX_WALK, ListQuery, Order, Page
from eme_connector.errors import Fault, InvalidInput
from eme_connector.formats.codec import load_threat

_L = t.listing.c
_KEYS = {
    "newest": ("received_at", "threat"),
    "rank": ("rank", "received_at", "threat"),
}
NEAR = 20_000
"""Of so many threats in a row it is quicker to list those with the words than to look at each.

By rank a walk comes by threats of all times; by newest they are often in a row.
"""
_TIMES = {"since": "received_at", "until": "received_at"}
_MOST = 2**63 - 1
_P = bindparam
Rows = Callable[[Statement, dict[str, Any]], Sequence[tuple[Any, ...]]]
FindNumber = Callable[[str], int | None]
Key = tuple[int, ...]
"""The key columns of a list entry, the last of them the threat's number."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What makes two lists the same statement: order, filters given, how words are looked for.

    `words` (as many as that) are held against the document of each row that the walk comes by.
    Where not too many threats have them they are `listed` first, by the index of words.
    """

    dialect: str
    order: Order
    given: frozenset[str]
    words: int | None = None
    listed: bool = False

    @property
    def by_row(self) -> frozenset[str]:
        """The filters that no index answers: each row of the walk is held against them."""
        return self.given - {"status", "organisation"}

    @property
    def range(self) -> Shape:
        """What is left when nothing is held against the rows."""
        return Shape(self.dialect, self.order, self.given - self.by_row)

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the columns that order the list."""
        return _KEYS[self.order]


def page(query: ListQuery, rows: Rows, find_number: FindNumber, dialect: str) -> Page:
    """Return the page that *query* asks for.

    Raises:
        InvalidInput: the cursor is none of this list.
    """
    above, down_to = _range(query)
    if query.since is not None and query.until is not None and query.since >= query.until:
        return Page(())
    filters = _filters(query, find_number)
    if None in filters.values():
        return Page(())
    values: dict[str, Any] = {**filters, "limit": min(query.limit, MAX_PAGE) + 1}
    values |= _bound("above", above) | _bound("down_to", down_to)
    shape = Shape(dialect, query.order, frozenset(filters) - {"viewer"})
    if query.keyword.strip():
        words = keywords.sought(query.keyword, dialect)
        return _with_words(shape, words, values, rows) if words else Page(())
    if not shape.by_row:
        found = rows(_found(shape), values)
        return _page(found, values, rows, len(found))
    if dialect == "postgresql":
        return _at_once(shape, values, rows)
    end, about = _ended(shape, values, rows)
    return _walked(shape, about, rows, rows(_found(shape), about), end)


def _with_words(shape: Shape, words: Sought, values: dict[str, Any], rows: Rows) -> Page:
    looked = replace(shape, words=words.parts)
    values |= {**words.values, "most": words.most + 1, "first": 0, "last": _MOST}
    if shape.dialect == "postgresql":
        ((matches,),) = rows(keywords.count(shape.dialect), values)
        if matches > words.most:
            return _at_once(looked, values, rows)
        return _of_few(shape, matches, values, rows)
    end, about = _ended(shape, values, rows)
    found = None
    if shape.order == "newest":
        ((first, last),) = rows(_threats(shape.range), about)
        if first is not None and last - first < NEAR:
            known = about | {"first": first, "last": last}
            found = rows(_found(replace(looked, listed=True)), known)
            if len(found) == values["limit"]:  # as of frequent words: to count them would cost more
                return _walked(shape, about, rows, found, end)
    ((matches,),) = rows(keywords.count(shape.dialect), values)
    if matches <= keywords.FEW:
        return _of_few(shape, matches, values, rows)
    if found is None:
        found = rows(_found(replace(looked, listed=matches <= words.most)), about)
    return _walked(shape, about, rows, found, end)


def _of_few(shape: Shape, matches: int, values: dict[str, Any], rows: Rows) -> Page:
    """Return the page of the few threats that have the words, sorted."""
    # twice as many: some may come before they are read
    found = rows(_sorted(shape), values | {"most": 2 * keywords.FEW}) if matches else []
    # not how many have the words: most of them may be nothing that this viewer may know of
    return _page(found, values, rows, len(found))


def _at_once(shape: Shape, values: dict[str, Any], rows: Rows) -> Page:
    """Return the page of a walk whose end comes with what was found, from one snapshot."""
    told = rows(_found_or_end(shape), values | {"walk": MAX_WALK, "skipped": MAX_WALK - 1})
    found = [row[:-1] for row in told if not row[-1]]
    end = next((row[:-1] for row in told if row[-1]), None)
    return _walked(shape, values, rows, found, end)


def _ended(shape: Shape, values: dict[str, Any], rows: Rows) -> tuple[Key | None, dict[str, Any]]:
    """Return the row at which the walk ends, whatever comes and goes, and *values* with it."""
    end = rows(_end(shape.range), values | {"skipped": MAX_WALK - 1})
    return (end[0], values | _bound("down_to", end[0])) if end else (None, values)


def _walked(
    shape: Shape, values: dict[str, Any], rows: Rows, found: Sequence[Key], end: Key | None
) -> Page:
    """Return the page of what was *found* down to the *end* of the walk."""
    if len(found) == values["limit"]:
        values = values | _bound("down_to", found[-1])
    elif end:
        return _page(found, values, rows, MAX_WALK, more=end)
    ((walked,),) = rows(_count(shape.range), values)
    return _page(found, values, rows, walked)


def _page(
    found: Sequence[Key],
    values: dict[str, Any],
    rows: Rows,
    walked: int,
    *,
    more: Key | None = None,
) -> Page:
    """Return the page of *found*; *more* is where an unfinished walk goes on."""
    shown = found[: values["limit"] - 1]
    last = shown[-1] if len(found) > len(shown) else more
    numbers = [row[-1] for row in shown]
    named: dict[str, Any] = {f"number_{place}": one for place, one in enumerate(numbers)}
    named["numbers"] = numbers
    bodies: dict[int, str] = dict(rows(_bodies(len(numbers)), named)) if numbers else {}
    threats = tuple(load_threat(bodies[one]) for one in numbers if one in bodies)
    return Page(threats, _encode(last) if last else "", walked, more is None)


@lru_cache(maxsize=1024)
def _found(shape: Shape) -> Statement:
    """Return: the first rows of the range that all filters let pass."""
    where = [_in_range(shape), *(_holds(name) for name in sorted(shape.by_row))]
    source: Any = t.listing
    if shape.listed:
        listed = keywords.matches(shape.dialect, _P("first"), _P("last"))
        where.append(_L.threat.in_(listed))
    elif shape.words is not None:
        documents, has = keywords.has(_L.threat, shape.words)
        source = source.join(documents, has)
    query = select(*_columns(shape)).select_from(source).where(and_(*where))
    return Statement(query.order_by(*_descending(shape)).limit(_P("limit")))


@lru_cache(maxsize=1024)
def _found_or_end(shape: Shape) -> Statement:
    """Return: the first rows of the walk that all filters let pass, behind too few its end.

    For PostgreSQL, which reads no more of either part than the limit wants.
    """
    names = {"threat", *shape.keys, *(_TIMES.get(name, name) for name in shape.by_row)}
    query = select(*(_L[name] for name in sorted(names))).where(_in_range(shape))
    walk = query.order_by(*_descending(shape)).limit(_P("walk")).subquery("walk")
    where = [_holds(name, walk.c) for name in sorted(shape.by_row)]
    if shape.words is not None:  # after the filters, as it is the dearest of them
        where.append(keywords.has_at(walk.c.threat))
    passed = select(*_columns(shape, walk.c), false().label("is_end")).where(and_(*where))
    end = select(*_columns(shape), true()).where(_in_range(shape)).order_by(*_descending(shape))
    both = union_all(passed.limit(_P("limit")), end.limit(1).offset(_P("skipped")))
    return Statement(both.limit(_P("limit")))


@lru_cache(maxsize=1024)
def _end(shape: Shape) -> Statement:
    """Return: the row of the range behind so many others."""
    query = select(*_columns(shape)).where(_in_range(shape)).order_by(*_descending(shape))
    return Statement(query.limit(1).offset(_P("skipped")))


@lru_cache(maxsize=1024)
def _threats(shape: Shape) -> Statement:
    """Return: the lowest and the highest number of a threat in the range."""
    numbers = select(func.min(_L.threat), func.max(_L.threat))
    return Statement(numbers.where(_in_range(shape)))


@lru_cache(maxsize=1024)
def _count(shape: Shape) -> Statement:
    """Return: how many rows the range has."""
    return Statement(select(func.count()).select_from(t.listing).where(_in_range(shape)))


@lru_cache(maxsize=1024)
def _sorted(shape: Shape) -> Statement:
    """Return: the first rows of the range that are among the few with the words."""
    # the outer join and the limit keep planners from coming by all rows of the viewer instead
    matches = keywords.matches(shape.dialect).subquery("matches")
    mine = and_(_L.viewer == _P("viewer"), _L.threat == matches.c.rowid)
    names = {"viewer", *shape.keys, *(_TIMES.get(name, name) for name in shape.given)}
    columns = (_L[name] for name in sorted(names))
    some = select(*columns).select_from(matches.outerjoin(t.listing, mine)).limit(_P("most"))
    entry = some.subquery("entry").c
    where = and_(_in_range(shape, entry), *(_holds(name, entry) for name in sorted(shape.by_row)))
    query = select(*_columns(shape, entry)).where(where)
    return Statement(query.order_by(*_descending(shape, entry)).limit(_P("limit")))


@lru_cache(maxsize=MAX_PAGE + 1)
def _bodies(many: int) -> Statement:
    numbers: list[Any] = [_P(f"number_{place}") for place in range(many)]
    seq, query = t.threat.c.seq, select(t.threat.c.seq, t.threat.c.body)
    given = cast(_P("numbers"), ARRAY(BigInteger))
    return Statement(lambda m: query.where(seq.in_(numbers) if m is sqlite else seq == any_(given)))


def _columns(shape: Shape, entry: Any = _L) -> list[ColumnElement[Any]]:
    return [entry[name] for name in shape.keys]


def _descending(shape: Shape, entry: Any = _L) -> list[ColumnElement[Any]]:
    return [column.desc() for column in _columns(shape, entry)]


def _in_range(shape: Shape, entry: Any = _L) -> ColumnElement[bool]:
    """Return the condition that the index of *shape* answers."""
    key = tuple_(*_columns(shape, entry))
    above, down_to = (
        tuple_(*(_P(f"{bound}_{name}", type_=BigInteger) for name in shape.keys))
        for bound in ("above", "down_to")
    )
    equal = (_holds(name, entry) for name in ("viewer", *sorted(shape.given - shape.by_row)))
    return and_(*equal, key < above, key >= down_to)


def _holds(name: str, entry: Any = _L) -> ColumnElement[bool]:
    column: ColumnElement[Any] = entry[_TIMES.get(name, name)]
    if name == "since":
        return column >= _P(name)
    return column < _P(name) if name == "until" else column == _P(name)


def _filters(query: ListQuery, find_number: FindNumber) -> dict[str, int | None]:
    """Return the filters that are given, each as list entries hold it; None fits no entry."""
    found = {"viewer": find_number(query.viewer)}
    if query.organisation is not None:
        found["organisation"] = find_number(query.organisation)
    if query.status is not None:
        found["status"] = entries.STATUS[query.status]
    if query.kind is not None:
        found["kind"] = entries.KIND[query.kind]
    if query.band is not None:
        found["band"] = entries.BAND[query.band]
    if query.criticality is not None:
        found["criticality"] = query.criticality
    if query.order == "rank":  # else they bound the range itself
        times = {"since": query.since, "until": query.until}
        found |= {name: at for name, at in times.items() if at is not None}
    return found


def _range(query: ListQuery) -> tuple[Key, Key]:
    """Return the keys between which the list lies, the upper of them outside."""
    cursor = _decode(query)
    if query.order == "rank":
        return cursor or (_MOST, 0, 0), (0, 0, 0)
    until = (_MOST if query.until is None else query.until, 0)
    return min(cursor or until, until), (query.since or 0, 0)


def _bound(name: str, key: Key) -> dict[str, int]:
    names = _KEYS["newest" if len(key) == 2 else "rank"]
    return {f"{name}_{column}": value for column, value in zip(names, key, strict=True)}


def _encode(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _decode(query: ListQuery) -> Key | None:
    if not query.cursor:
        return None
    try:
        padded = query.cursor + "=" * (-len(query.cursor) % 4)
        key = json.loads(base64.urlsafe_b64decode(padded.encode()))
        if [type(part) for part in key] != [int] * len(_KEYS[query.order]):
            raise ValueError
        if max(map(abs, key)) > _MOST:
            raise ValueError
    except (ValueError, TypeError, binascii.Error) as exc:
        raise InvalidInput([Fault("/cursor", "is not a cursor of this list")]) from exc
    return tuple(key)
