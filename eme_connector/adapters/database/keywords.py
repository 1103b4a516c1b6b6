"""The keyword index and totals: kept behind the accept path by a follower, lag at most 1 s.

Filling it inside the accepting transaction costs 17 % of the accept rate. A list finds words in
one of three ways: FEW threats that have them are sorted; of MANY (one word alone: several cost ten
times as much) the numbers are listed, and the list's walk goes past the others; of still more
each row that the walk comes by is looked at, and soon a page is full.
"""
# ruff: noqa: S608 - made of our own words alone; what is asked for goes as parameters

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import structlog
from pydantic_core import from_json
from sqlalchemy import bindparam
from sqlalchemy.dialects import sqlite

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database import totals
from eme_connector.adapters.database.statements import Connection, Statement
from eme_connector.adapters.database.totals import DAY, Counted, keyword_of
from eme_connector.errors import StoreUnavailable

log = structlog.get_logger("eme.keywords")
INTERVAL_S = 0.5
GATHER_S = 0.05
BATCH = 100
FEW = 1_000
MANY = 10_000
SAMPLE = 256
MOST_FREQUENT = 1_024
CURSOR = "keywords"
LONGEST = 250_000
"""Characters of a threat that PostgreSQL indexes: it takes up to 4 bytes for each, 1 MiB in all."""

SCHEMA = {
    "sqlite": ("CREATE VIRTUAL TABLE keyword_index USING fts5(document)",),
    "postgresql": (
        "CREATE TABLE keyword_index (rowid bigint PRIMARY KEY, document tsvector NOT NULL)",
        "CREATE INDEX keyword_index_document ON keyword_index USING gin (document)",
    ),
}
_TOKEN = re.compile(r"[^\W_]+")
_QUERY = "to_tsquery('simple', :words)"
# all rows by one statement each: the writer gives the interpreter away at every one
_DROP = Statement(
    lambda m: (
        "DELETE FROM keyword_index WHERE rowid IN (SELECT value FROM json_each(:seqs))"
        if m is sqlite
        else "DELETE FROM keyword_index WHERE rowid IN"
        " (SELECT CAST(seq AS BIGINT) FROM json_array_elements_text(CAST(:seqs AS JSON)) AS seq)"
    )
)
_ADD = Statement(
    lambda m: (
        "INSERT INTO keyword_index (rowid, document) SELECT json_extract(value, '$[0]'),"
        " json_extract(value, '$[1]') FROM json_each(:rows)"
        if m is sqlite
        else "INSERT INTO keyword_index (rowid, document) SELECT CAST(row ->> 0 AS BIGINT),"
        f" to_tsvector('simple', left(row ->> 1, {LONGEST}))"
        " FROM json_array_elements(CAST(:rows AS JSON)) AS row"
    )
)
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
# of each viewer in turn, as CROSS JOIN makes SQLite do: no index has the changes of all of them
_WAITING = {
    "sqlite": "SELECT listing.threat AS seq, organisation.uuid AS viewer, received_at, change"
    " FROM organisation CROSS JOIN listing WHERE listing.viewer = organisation.number"
    f" AND change > :after AND change <= :settled ORDER BY change LIMIT {BATCH}",
    "postgresql": "SELECT mine.threat, organisation.uuid, mine.received_at, mine.change"
    " FROM organisation CROSS JOIN LATERAL ("
    "  SELECT threat, received_at, change FROM listing WHERE viewer = organisation.number"
    "  AND change > CAST(:after AS BIGINT) AND change <= CAST(:settled AS BIGINT)"
    f" ORDER BY change LIMIT {BATCH}) AS mine ORDER BY change LIMIT {BATCH}",
}
WAITING = Statement(
    lambda m: _WAITING["sqlite" if m is sqlite else "postgresql"],
    at_once=("seq", "viewer", "received_at", "change"),
)
OLDEST = """SELECT min((
  SELECT changed_at FROM listing WHERE listing.viewer = organisation.number
  AND change > coalesce((SELECT value FROM sequence WHERE name = 'keywords'), 0)
  ORDER BY change LIMIT 1)) FROM organisation"""
OLDEST_WAITING = Statement(OLDEST)
Entry = tuple[int, str, int, int]
"""(seq, viewer, received_at, change) of a threat whose words are to be indexed."""


@dataclass(frozen=True, slots=True)
class Sought:
    """The words that a threat must have: `values` are parameters, `parts` of them for `has_at`.

    The index tells within 2 ms or so whether more than `most` threats have them.
    """

    values: dict[str, str]
    parts: int
    most: int


class Frequent:
    """Words that were counted and found in more threats than their `most`: nobody counts again.

    A list of them is the same had they become rare meanwhile: each row is looked at.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __contains__(self, words: Sought) -> bool:
        return words.values["words"] in self._known

    def add(self, words: Sought) -> None:
        """Remember *words*; forget all others once there are very many."""
        if len(self._known) >= MOST_FREQUENT:
            self._known.clear()
        self._known.add(words.values["words"])


def sought(keyword: str, dialect: str) -> Sought | None:
    """Return what *keyword* asks for, in the words of *dialect*; None where it has no word."""
    words = [word for word in map(_tokens, keyword.split()) if word]
    if not words:
        return None
    if dialect == "postgresql":
        return Sought({"words": " & ".join(word.replace(" ", " <-> ") for word in words)}, 0, FEW)
    most = MANY if " " not in " ".join(words) else FEW
    parts = {f"word_{number}": f" {word} " for number, word in enumerate(words)}
    asked = " ".join(f'"{word}"' for word in words)
    return Sought({"words": asked} | parts, len(parts), most)


def matches(dialect: str) -> str:
    """Return the query of the numbers (`threat.seq`) of threats that have the `words`."""
    has = "keyword_index MATCH :words" if dialect == "sqlite" else f"document @@ {_QUERY}"
    return f"SELECT rowid FROM keyword_index WHERE {has}"


def has_at(dialect: str, seq: str, parts: int) -> str:
    """Return when the threat *seq* has the words, by its own document."""
    if dialect == "postgresql":
        asked = f"(SELECT {_QUERY})"  # of no row: read once
        return f"(SELECT document @@ {asked} FROM keyword_index WHERE rowid = {seq})"
    # FTS5 keeps the document itself here: far cheaper to look at than to ask the index for one row
    held = " AND ".join(f"instr(c0, :word_{number}) > 0" for number in range(parts))
    return f"(SELECT {held} FROM keyword_index_content WHERE id = {seq})"


@lru_cache
def count() -> Statement:
    """Return the statement that counts what has the `words`, up to `most`, for SQLite."""
    return Statement(f"SELECT count(*) FROM ({matches('sqlite')} LIMIT :most) AS found")


def few() -> str:
    """Return tables for WITH, for PostgreSQL: `found` has the rows of `matches`, up to `most`.

    `counted` tells by `matches` how many they are. PostgreSQL collects all threats that have a
    word before it gives the first, so it looks at some of the newest and some in the middle
    before: words that are in both count as `most`, and nothing is found.
    """
    last, most = "(SELECT max(rowid) FROM keyword_index)", "CAST(:most AS BIGINT)"
    is_common = f"{last} > {most} AND {_is_in_some_to(last)} AND {_is_in_some_to(f'{last} / 2')}"
    return (
        f"common AS MATERIALIZED (SELECT {is_common} AS yes),"
        f" found AS MATERIALIZED ({matches('postgresql')} AND NOT (SELECT yes FROM common)"
        f" LIMIT {most}),"
        f" counted AS MATERIALIZED (SELECT CASE WHEN (SELECT yes FROM common) THEN {most}"
        " ELSE (SELECT count(*) FROM found) END AS matches)"
    )


def _is_in_some_to(last: str) -> str:
    """Return whether any of SAMPLE threats down from *last* has the words."""
    some = f"SELECT document FROM keyword_index WHERE rowid <= {last}"
    some = f"({some} ORDER BY rowid DESC LIMIT {SAMPLE}) AS sample"
    return f"EXISTS (SELECT 1 FROM {some} WHERE document @@ (SELECT {_QUERY}))"


@dataclass(frozen=True, slots=True)
class Words:
    """Documents by `seq` to be indexed, and what is counted; the cursor moves behind it."""

    documents: dict[int, str]
    counted: tuple[Counted, ...]
    after: int
    cursor: int


def words_of(entries: Sequence[Entry], bodies: Mapping[int, str], after: int) -> Words:
    """Return the words of *entries*, which come behind the cursor *after*."""
    threats = {seq: from_json(body) for seq, body in bodies.items()}
    keys = {seq: keyword_of(one["detection"]["threat"]) for seq, one in threats.items()}
    counted = tuple(
        Counted(seq, viewer, received_at // DAY * DAY, keys[seq])
        for seq, viewer, received_at, _ in entries
        if seq in keys
    )
    cursor = max((change for *_, change in entries), default=after)
    documents = {seq: document(one) for seq, one in threats.items()}
    return Words(documents, counted, after, cursor)


def index(connection: Connection, words: Words, now: float) -> bool:
    """Index and count *words* and move the cursor; False when another follower has done so."""
    if not connection.run(_MOVE, {"value": words.cursor, "after": words.after}):
        return False
    if words.documents:
        connection.run(_DROP, {"seqs": json.dumps(list(words.documents))})
        connection.run(_ADD, {"rows": json.dumps(list(words.documents.items()))})
    totals.count(connection, words.counted, totals.since(now))
    return True


class KeywordFollower:
    """A thread that indexes the text of threats that changed.

    Little at a time: on SQLite whoever is accepted meanwhile waits until it is written.
    """

    def __init__(self, follow: Callable[[], bool]) -> None:
        self._follow = follow
        self._ended, self._woken = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="eme-keywords", daemon=True)

    def start(self) -> None:
        """Begin; it goes on from the cursor that the database keeps."""
        self._thread.start()

    def wake(self) -> None:
        """Say that something has changed: it need not wait for its next look."""
        self._woken.set()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._woken.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._woken.clear()
            if not self._has_more():
                self._ended.wait(GATHER_S)
                self._woken.wait(INTERVAL_S)

    def _has_more(self) -> bool:
        try:
            return self._follow()
        except StoreUnavailable:
            pass  # it stays behind, which `lag` shows
        except Exception as exc:
            log.error("keywords_not_followed", error=type(exc).__name__)
        self._ended.wait(INTERVAL_S)
        return False


def document(threat: dict[str, Any]) -> str:
    """Return the words of a threat as they are indexed: a space before and behind each."""
    found = threat["detection"]
    texts = [found[name] for name in ("name", "threat", "summary", "source", "actor")]
    texts.append(threat["id"])
    texts += [text for asset in found["assets"] for text in (asset["device"], asset["address"])]
    return f" {_tokens(chr(10).join(texts))} "


def _tokens(text: str) -> str:
    """Return the letters and digits of *text* in small letters without accents, as FTS5 sees it."""
    if not text.isascii():
        apart = unicodedata.normalize("NFKD", text)
        text = "".join(one for one in apart if not unicodedata.combining(one))
    return " ".join(_TOKEN.findall(text.lower()))
