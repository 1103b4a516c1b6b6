"""How often each keyword came within a week, kept so that a chart reads its top and no more.

Names of threats come from outside, and nobody bounds how many there are: a sum over all words of
a week grows with them. So the follower that indexes the words also keeps their totals, one row per
word, and takes away again what is older than a week. It notes what it has counted, under what
word: to count the same entry once more changes nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, select, text, update
from sqlalchemy.dialects import sqlite

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.statements import Connection, Statement

HOUR = 3_600_000_000
DAY = 24 * HOUR
DAYS = 7
BATCH = 1_000
LENGTH = 80
_P = bindparam
_C, _T = t.keyword_counted.c, t.keyword_total.c

_KNOWN = Statement(
    lambda m: text(
        "SELECT seq, viewer, keyword FROM keyword_counted"
        " WHERE seq IN (SELECT value FROM json_each(:seqs))"
        if m is sqlite
        else "SELECT seq, viewer, keyword FROM keyword_counted WHERE seq = ANY(:seqs)"
    )
)
_RENAME = Statement(
    update(t.keyword_counted)
    .where(and_(_C.seq == _P("of_seq"), _C.viewer == _P("of_viewer")))
    .values(keyword=_P("keyword"))
)
_EMPTY = Statement(
    delete(t.keyword_total).where(
        and_(_T.viewer == _P("viewer"), _T.keyword == _P("keyword"), _T.n <= 0)
    )
)
_FORGET = Statement(
    text(
        "DELETE FROM keyword_counted WHERE (seq, viewer) IN (SELECT seq, viewer"
        " FROM keyword_counted WHERE start < :since ORDER BY start LIMIT :most)"
        " RETURNING viewer, keyword"
    )
)
IS_OLD = Statement(select(_C.seq).where(_C.start < _P("since")).limit(1))


class Counted(NamedTuple):
    """The keyword of one threat on one viewer's list; `start` is the day on which it came."""

    seq: int
    viewer: str
    start: int
    keyword: str


def keyword_of(text: str) -> str:
    """Return the keyword under which a detection's threat is counted."""
    return " ".join(text.lower().split())[:LENGTH]


def since(now: float) -> int:
    """Return the first moment (µs) of the days that count at *now* (seconds)."""
    return round(now * 1_000_000) // DAY * DAY - (DAYS - 1) * DAY


def count(connection: Connection, entries: Iterable[Counted], first: int) -> None:
    """Bring the totals to *entries*, and take away some of what came before *first* (µs)."""
    moves: Counter[tuple[str, str]] = Counter()
    _note(connection, [one for one in entries if one.start >= first], moves)
    for viewer, keyword in connection.all(_FORGET, {"since": first, "most": BATCH}):
        moves[viewer, keyword] -= 1
    rows: list[dict[str, Any]] = [
        {"viewer": viewer, "keyword": keyword, "n": n}
        for (viewer, keyword), n in sorted(moves.items())
        if n
    ]
    connection.add_many(t.keyword_total, rows)
    connection.run_many(_EMPTY, [row for row in rows if row["n"] < 0])


def _note(
    connection: Connection, entries: Sequence[Counted], moves: Counter[tuple[str, str]]
) -> None:
    """Note what is counted from now on, and add to *moves* how the totals change by it."""
    seqs: Any = sorted({one.seq for one in entries})
    if connection.dialect.name == "sqlite":
        seqs = json.dumps(seqs)
    known = {(seq, viewer): word for seq, viewer, word in connection.all(_KNOWN, {"seqs": seqs})}
    for one in {(one.seq, one.viewer): one for one in entries}.values():
        before = known.get((one.seq, one.viewer))
        if before == one.keyword:
            continue
        if before is None:
            connection.later(t.keyword_counted, one._asdict())
        else:
            moves[one.viewer, before] -= 1
            named = {"of_seq": one.seq, "of_viewer": one.viewer, "keyword": one.keyword}
            connection.run(_RENAME, named)
        moves[one.viewer, one.keyword] += 1
