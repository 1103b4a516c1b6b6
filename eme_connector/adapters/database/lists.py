"""Pages of threats: keyset by index, other filters by a bounded walk (ARCHITECTURE section 4).

A list is a range of one index, from behind the page before to the end. Filters that no index
answers are held against at most MAX_WALK of its rows; what they need stands in the index too.
What passes the filters comes with the row at which the walk has to end, whatever comes and goes.
Each shape of a list is one statement, written out as text: there are hundreds of shapes, and to
compile one from Core takes as long as to run it.
"""
# ruff: noqa: S608 - made of our own words alone; what is asked for goes as parameters

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from eme_connector.adapters.database import entries, keywords
from eme_connector.adapters.database.bodies import bodies_of
from eme_connector.adapters.database.keywords import Frequent, Sought
from eme_connector.adapters.database.spare import Rows
from eme_connector.adapters.database.statements import Statement
from eme_connector.domain.listing import MAX_PAGE, MAX_WALK, ListQuery, Order, Page
from eme_connector.errors import Fault, InvalidInput
from eme_connector.formats.codec import load_threat

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


def page(
    query: ListQuery, rows: Rows, find_number: FindNumber, dialect: str, frequent: Frequent
) -> Page:
    """Return the page that *query* asks for; *frequent* learns from it for the next.

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
    values |= {"walk": MAX_WALK, "skipped": MAX_WALK - 1}
    shape = Shape(dialect, query.order, frozenset(filters) - {"viewer"})
    if query.keyword.strip():
        words = keywords.sought(query.keyword, dialect)
        return _with_words(shape, words, values, rows, frequent) if words else Page(())
    if shape.by_row:
        return _walked(shape, values, rows, _walk(shape, values, rows))
    found = rows(_found(shape), values)
    return _page(found, values, rows, len(found))


def _with_words(
    shape: Shape, words: Sought, values: dict[str, Any], rows: Rows, frequent: Frequent
) -> Page:
    values |= {**words.values, "most": words.most + 1, "first": 0, "last": _MOST}
    listed = False
    if words not in frequent:
        matches, found = _of_few(shape, values, rows)
        if matches <= keywords.FEW:
            # not how many have the words: most may be nothing that this viewer may know of
            return _page(found, values, rows, len(found))
        listed = matches <= words.most
        if not listed:
            frequent.add(words)
    looked = replace(shape, words=words.parts)
    walk = _walk_nearby(replace(looked, listed=True), values, rows)
    return _walked(shape, values, rows, walk or _walk(replace(looked, listed=listed), values, rows))


def _of_few(shape: Shape, values: dict[str, Any], rows: Rows) -> tuple[int, Sequence[Key]]:
    """Return how many threats have the words, and where they are FEW the first of the list."""
    if shape.dialect == "postgresql":
        told = rows(_counted_and_sorted(shape), values | {"few": keywords.FEW})
        return told[0][0], [row[1:] for row in told if row[1] is not None]
    ((matches,),) = rows(keywords.count(), values)
    if not 0 < matches <= keywords.FEW:
        return matches, ()
    # twice as many: some may come before they are read
    return matches, rows(_sorted(shape), values | {"most": 2 * keywords.FEW})


@dataclass(frozen=True, slots=True)
class Walk:
    """What passes all filters, a page of it at most; behind less than that its last row.

    `end` is None where the list ends before the walk does.
    """

    found: Sequence[Key]
    end: Key | None


def _walk(shape: Shape, values: dict[str, Any], rows: Rows) -> Walk:
    told = rows(_found_or_end(shape), values)
    found = [row[:-1] for row in told if not row[-1]]
    return Walk(found, next((row[:-1] for row in told if row[-1]), None))


def _walk_nearby(shape: Shape, values: dict[str, Any], rows: Rows) -> Walk | None:
    """Return the walk past threats that came about one after the other, by the index of words.

    None where they did not, and on PostgreSQL, whose index knows no order.
    """
    if shape.order != "newest" or shape.dialect != "sqlite":
        return None
    ((first, last),) = rows(_threats(shape.range), values)
    if first is None or last - first >= NEAR:
        return None
    return _walk(shape, values | {"first": first, "last": last}, rows)


def _walked(shape: Shape, values: dict[str, Any], rows: Rows, walk: Walk) -> Page:
    """Return the page of what a *walk* has found."""
    if len(walk.found) == values["limit"]:
        values = values | _bound("down_to", walk.found[-1])
    elif walk.end:
        return _page(walk.found, values, rows, MAX_WALK, more=walk.end)
    ((walked,),) = rows(_count(shape.range), values)
    return _page(walk.found, values, rows, walked)


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
    bodies = bodies_of(numbers, rows)
    threats = tuple(load_threat(bodies[one]) for one in numbers if one in bodies)
    return Page(threats, _encode(last) if last else "", walked, more is None)


@lru_cache
def _found(shape: Shape) -> Statement:
    """Return: the first rows of the range."""
    return Statement(f"{_rows_of(shape)} LIMIT :limit", at_once=shape.keys)


@lru_cache(maxsize=1024)
def _found_or_end(shape: Shape) -> Statement:
    """Return: the first rows of the walk that all filters let pass, behind too few its end.

    Neither database reads more of either part than the limit wants.
    """
    where = [_holds(shape, name, "walk") for name in sorted(shape.by_row)]
    if shape.listed:
        within = "rowid >= :first AND rowid <= :last"
        where.append(f"walk.threat IN ({keywords.matches(shape.dialect)} AND {within})")
    elif shape.words is not None:  # after the filters, as it is the dearest of them
        where.append(keywords.has_at(shape.dialect, "walk.threat", shape.words))
    more = sorted({_TIMES.get(name, name) for name in shape.by_row} - set(shape.keys))
    walk = f"{_rows_of(shape.range, *more)} LIMIT :walk"
    passed = f"SELECT {_columns(shape, 'walk')}, 0 AS is_end FROM ({walk}) AS walk"
    passed += f" WHERE {' AND '.join(where)} LIMIT :limit"
    end = f"{_rows_of(shape.range, '1 AS is_end')} LIMIT 1 OFFSET :skipped"
    both = f"SELECT * FROM ({passed}) AS passed UNION ALL SELECT * FROM ({end}) AS ended"
    return Statement(f"{both} LIMIT :limit", at_once=(*shape.keys, "is_end"))


@lru_cache
def _threats(shape: Shape) -> Statement:
    """Return: the lowest and the highest number of a threat in the walk."""
    walk = f"{_rows_of(shape)} LIMIT :walk"
    return Statement(f"SELECT min(threat), max(threat) FROM ({walk}) AS walk")


@lru_cache
def _count(shape: Shape) -> Statement:
    """Return: how many rows the range has."""
    return Statement(f"SELECT count(*) FROM listing WHERE {_in_range(shape)}")


@lru_cache(maxsize=1024)
def _sorted(shape: Shape) -> Statement:
    """Return: the first rows of the range that are among the few with the words."""
    found = f"({keywords.matches(shape.dialect)}) AS found"
    return Statement(_first_among(shape, found, "LIMIT :most"), at_once=shape.keys)


@lru_cache(maxsize=1024)
def _counted_and_sorted(shape: Shape) -> Statement:
    """Return: how many have the words, and beside it the same as `_sorted` where they are few."""
    page = _first_among(shape, "found", "WHERE matches <= CAST(:few AS BIGINT) LIMIT :most")
    keys = _columns(shape, "page")
    query = f"SELECT matches, {keys} FROM counted LEFT JOIN LATERAL ({page}) AS page ON true"
    return Statement(f"WITH {keywords.few()} {query}")


def _first_among(shape: Shape, found: str, bounded: str) -> str:
    # the outer join and the limit keep planners from coming by all rows of the viewer instead
    some = f"SELECT listing.* FROM {found} LEFT JOIN listing"
    some += f" ON viewer = {_value(shape, 'viewer')} AND threat = found.rowid {bounded}"
    where = [_in_range(shape), *(_holds(shape, name) for name in sorted(shape.by_row))]
    query = f"SELECT {_columns(shape)} FROM ({some}) AS listing WHERE {' AND '.join(where)}"
    return f"{query} {_descending(shape)} LIMIT :limit"


def _rows_of(shape: Shape, *more: str) -> str:
    """Return the query of the range, in the order of its index; *more* are columns beside keys."""
    columns = ", ".join((_columns(shape), *more))
    return f"SELECT {columns} FROM listing WHERE {_in_range(shape)} {_descending(shape)}"


def _columns(shape: Shape, table: str = "listing") -> str:
    return ", ".join(f"{table}.{name}" for name in shape.keys)


def _descending(shape: Shape) -> str:
    return "ORDER BY " + ", ".join(f"listing.{name} DESC" for name in shape.keys)


def _in_range(shape: Shape) -> str:
    """Return the condition that the index of *shape* answers."""
    above, down_to = (
        ", ".join(_value(shape, f"{bound}_{name}") for name in shape.keys)
        for bound in ("above", "down_to")
    )
    equal = " AND ".join(_holds(shape, name) for name in ("viewer", *sorted(shape.range.given)))
    return f"{equal} AND ({_columns(shape)}) < ({above}) AND ({_columns(shape)}) >= ({down_to})"


def _holds(shape: Shape, name: str, table: str = "listing") -> str:
    sign = {"since": ">=", "until": "<"}.get(name, "=")
    return f"{table}.{_TIMES.get(name, name)} {sign} {_value(shape, name)}"


def _value(shape: Shape, name: str) -> str:
    """Return the parameter; PostgreSQL would take each small number for one of another type."""
    return f":{name}" if shape.dialect == "sqlite" else f"CAST(:{name} AS BIGINT)"


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
