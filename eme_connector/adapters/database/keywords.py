"""The keyword index and totals: kept behind the accept path by a follower, lag at most 1 s.

Filling it inside the accepting transaction costs 17 % of the accept rate. Few matches are
listed at once; a word that matches many is looked up once for all rows of the list's bounded walk.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    column,
    func,
    literal_column,
    select,
    table,
    text,
)

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database import totals
from eme_connector.adapters.database.statements import Connection, Statement
from eme_connector.adapters.database.totals import DAY, Counted, keyword_of
from eme_connector.errors import StoreUnavailable

INTERVAL_S = 0.5
BATCH = 500
FEW = 5_000
CURSOR = "keywords"

SCHEMA = {
    "sqlite": ("CREATE VIRTUAL TABLE keyword_index USING fts5(document)",),
    "postgresql": (
        "CREATE TABLE keyword_index (rowid bigint PRIMARY KEY, document tsvector NOT NULL)",
        "CREATE INDEX keyword_index_document ON keyword_index USING gin (document)",
    ),
}
_INDEX = table("keyword_index", column("rowid"), column("document"))
_MATCH: dict[str, ColumnElement[bool]] = {
    "sqlite": literal_column("keyword_index").bool_op("MATCH")(bindparam("words")),
    "postgresql": _INDEX.c.document.bool_op("@@")(
        func.plainto_tsquery(literal_column("'simple'"), bindparam("words"))
    ),
}
_DROP = Statement(text("DELETE FROM keyword_index WHERE rowid = :seq"))
_ADD = {
    "sqlite": Statement(
        text("INSERT INTO keyword_index (rowid, document) VALUES (:seq, :document)")
    ),
    "postgresql": Statement(
        text(
            "INSERT INTO keyword_index (rowid, document)"
            " VALUES (:seq, to_tsvector('simple', :document))"
        )
    ),
}
# moved only from where its follower found it: of several that read the same entries one goes on
_MOVE = Statement(
    lambda m: (
        m.insert(t.sequence)
        .values(name=CURSOR, value=bindparam("value"))
        .on_conflict_do_update(
            index_elements=["name"],
            set_={"value": bindparam("value")},
            where=t.sequence.c.value == bindparam("after"),
        )
    )
)
# one step per viewer down the index of changes: there is none over all of them
_PER_VIEWER = """
WITH RECURSIVE viewers (viewer) AS (
  SELECT min(viewer) FROM listing
  UNION ALL
  SELECT (SELECT min(viewer) FROM listing WHERE viewer > viewers.viewer)
  FROM viewers WHERE viewers.viewer IS NOT NULL
)
SELECT {columns} FROM viewers
"""
WAITING = Statement(
    text(
        _PER_VIEWER.format(
            columns="threat.seq, listing.viewer, listing.received_at, threat.body, listing.change"
        )
        + "JOIN listing ON listing.viewer = viewers.viewer"
        " AND listing.change > :after AND listing.change <= :settled "
        f"JOIN threat ON threat.id = listing.threat_id ORDER BY listing.change LIMIT {BATCH}"
    )
)
OLDEST_WAITING = Statement(
    text(
        _PER_VIEWER.format(
            columns="""min((
  SELECT changed_at FROM listing WHERE listing.viewer = viewers.viewer
  AND change > coalesce((SELECT value FROM sequence WHERE name = 'keywords'), 0)
  ORDER BY change LIMIT 1))"""
        )
    )
)
Entry = tuple[int, str, int, str, int]
"""(seq, viewer, received_at, body, change) of a threat whose words are to be indexed."""


def words(keyword: str, dialect: str) -> str:
    """Return *keyword* as the index of *dialect* is asked for all its words; empty for none."""
    found = [word for word in keyword.replace('"', " ").replace("\0", " ").split() if word]
    return " ".join(f'"{word}"' for word in found) if dialect == "sqlite" else " ".join(found)


def matches(dialect: str) -> Select[Any]:
    """Return the query of the numbers (`threat.seq`) of all threats that have the `words`."""
    return select(_INDEX.c.rowid).where(_MATCH[dialect])


@lru_cache
def count(dialect: str) -> Statement:
    """Return the statement that counts what has the `words`, up to `most`."""
    found = matches(dialect).limit(bindparam("most")).subquery()
    return Statement(select(func.count()).select_from(found))


@dataclass(frozen=True, slots=True)
class Words:
    """What is to be indexed (rows of seq and document) and counted; the cursor moves behind it."""

    rows: tuple[dict[str, Any], ...]
    counted: tuple[Counted, ...]
    after: int
    cursor: int


def words_of(entries: Sequence[Entry], after: int) -> Words:
    """Return the words of *entries*, which come behind the cursor *after*."""
    documents: dict[int, dict[str, Any]] = {}
    counted = []
    for seq, viewer, received_at, body, _ in entries:
        if seq not in documents:  # several viewers of one threat make one row
            documents[seq] = json.loads(body)
        keyword = keyword_of(documents[seq]["detection"]["threat"])
        counted.append(Counted(seq, viewer, received_at // DAY * DAY, keyword))
    rows = tuple({"seq": seq, "document": _document(one)} for seq, one in documents.items())
    cursor = max((change for *_, change in entries), default=after)
    return Words(rows, tuple(counted), after, cursor)


def index(connection: Connection, words: Words, now: float) -> bool:
    """Index and count *words* and move the cursor; False when another follower has done so."""
    if not connection.run(_MOVE, {"value": words.cursor, "after": words.after}):
        return False
    connection.run_many(_DROP, [{"seq": row["seq"]} for row in words.rows])
    connection.run_many(_ADD[connection.dialect.name], words.rows)
    totals.count(connection, words.counted, totals.since(now))
    return True


class KeywordFollower:
    """A thread that indexes the text of threats that changed."""

    def __init__(self, follow: Callable[[], bool]) -> None:
        self._follow = follow
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="eme-keywords", daemon=True)

    def start(self) -> None:
        """Begin; it goes on from the cursor that the database keeps."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._ended.wait(0):
            try:
                more = self._follow()
            except StoreUnavailable:
                more = False  # it stays behind, which `lag` shows
            if not more:
                self._ended.wait(INTERVAL_S)


def _document(threat: dict[str, Any]) -> str:
    found = threat["detection"]
    texts = [found[name] for name in ("name", "threat", "summary", "source", "actor")]
    texts.append(threat["id"])
    texts += [text for asset in found["assets"] for text in (asset["device"], asset["address"])]
    return "\n".join(one for one in texts if one)
