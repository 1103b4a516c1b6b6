"""Fill a database with many threats in bulk: by the store's own code, on a connection of our own.

What makes it quick is around that code, not instead of it: ten thousand threats a transaction,
no fsync, and the indexes of the lists made at the end. The bytes as they came are left out: no
list and no chart reads them, and they would be half of the file.
"""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from eme_connector.adapters.database import entries, keywords
from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.rows import Rows
from eme_connector.adapters.database.statements import Connection, Statement
from eme_connector.adapters.database.totals import DAY, HOUR, keyword_of
from eme_connector.demo.walk import sample
from eme_connector.domain.listing import Aggregate
from eme_connector.domain.threat import Decision, Execution, Kind, Resolution, Status, Threat, Tlp
from eme_connector.formats import iris_bundle

BATCH, DAYS, PAGED = 10_000, 60, 2005
WORDS = tuple(
    f"{first}{second}"
    for first in ("al", "be", "cor", "den", "es", "fal", "gor", "hin", "ist", "jo")
    for second in ("rak", "vine", "mus", "tor", "quel", "zan", "pid", "lor", "wick", "sap")
)
THREATS = tuple(f"{one} model (AML.T{number:04})" for number, one in enumerate(WORDS[:40]))
_NEW = Statement(
    select(t.threat.c.seq, t.organisation.c.uuid, t.listing.c.received_at, t.threat.c.body)
    .join_from(t.threat, t.listing, t.listing.c.threat == t.threat.c.seq)
    .join(t.organisation, t.organisation.c.number == t.listing.c.viewer)
    .where(t.threat.c.seq > bindparam("after"))
)


@dataclass(frozen=True)
class Cast:
    """Whose threats they are: *paged* has exactly PAGED of them, *other* alone reads every 50th."""

    viewer: str
    other: str
    organisations: Sequence[str]
    paged: str


def fill(path: Path, rows: int, cast: Cast) -> None:
    """Put *rows* threats of the last 60 days into the prepared, empty database at *path*."""
    driver = sqlite3.connect(path, isolation_level=None, cached_statements=512)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000"):
        driver.execute(f"PRAGMA {pragma}")
    indexes = driver.execute(
        "SELECT name, sql FROM sqlite_master WHERE type='index' AND name LIKE 'listing_%'"
    ).fetchall()
    for name, _ in indexes:
        driver.execute(f"DROP INDEX {name}")
    threats = _threats(rows, cast)
    while some := list(islice(threats, BATCH)):
        driver.execute("BEGIN IMMEDIATE")
        _add(driver, some, cast)
        driver.execute("COMMIT")
    for _, text in indexes:
        driver.execute(text)
    driver.execute("PRAGMA journal_mode=WAL")
    driver.close()


def _add(driver: Any, threats: list[Threat], cast: Cast) -> None:
    connection = Connection(driver, SQLiteDialect_pysqlite())
    before = driver.execute("SELECT coalesce(max(seq), 0) FROM threat").fetchone()[0]
    work = Rows(connection, time.time)
    for place, one in enumerate(threats):
        viewer = cast.other if place % 50 == 49 and one.organisation != cast.paged else cast.viewer
        assert work.add_threat(one, b"", viewers=[viewer]), "a threat of that identity was there"
    work.pending.write()
    added = connection.all(_NEW, {"after": before})
    entries = [(seq, viewer, received_at, 0) for seq, viewer, received_at, _ in added]
    at = dict(driver.execute("SELECT name, value FROM sequence"))
    bodies = {row[0]: row[3] for row in added}
    words = keywords.words_of(entries, bodies, at.get(keywords.CURSOR, 0))
    assert work.index_keywords(replace(words, cursor=at["change"]))


def _threats(rows: int, cast: Cast) -> Iterator[Threat]:
    """Return threats by age: more of late, few of rare kinds; they take after the sample."""
    chance = random.Random(7)  # noqa: S311 - the same database each time
    parsed = iris_bundle.parse(
        json.loads(sample().read_bytes()),
        is_sender=lambda _: True,
        criticality_order="ascending",
    )
    model = parsed.detections[0]
    now, digest = round(time.time() * 1_000_000) - 5_000_000, "0" * 64
    common = list(accumulate(1 / (n + 1) for n in range(len(cast.organisations))))
    often = list(accumulate(1 / (n + 1) for n in range(len(WORDS))))
    texts = [chance.choices(WORDS, cum_weights=often, k=8) for _ in range(997)]
    whose = chance.choices(cast.organisations, cum_weights=common, k=9973)
    graded = chance.choices((1, 2, 3, 4, 5), (1, 20, 50, 25, 4), k=7919)
    step = max(1, rows // PAGED)
    for number in range(rows):
        age = (1 - (number + chance.random()) / rows) ** 2
        at = now - round(age * DAYS * DAY)
        words = texts[number % len(texts)]
        organisation = whose[number % len(whose)]
        if number % step == 0 and number // step < PAGED:
            organisation = cast.paged
        detection = replace(
            model,
            iris_id=f"bench-{number}",
            kind=Kind.VULNERABILITY if chance.random() < 0.07 else Kind.ATTACK,
            threat=THREATS[WORDS.index(words[0]) % len(THREATS)],
            summary=f"{model.summary} {' '.join(words)} unit{number % 5000}",
            risk_score=round(10 * chance.random() ** 1.5, 1),
            confidence=round(100 * chance.random() ** 0.5),
        )
        yield Threat(
            id=str(UUID(int=chance.getrandbits(128), version=4)),
            organisation=organisation,
            detection=detection,
            received_at=at,
            updated_at=at,
            tlp=Tlp.AMBER,
            criticality=graded[number % len(graded)],
            origin=None if organisation == cast.viewer else organisation,
            bundle_id=parsed.bundle_id,
            content_digest=digest,
            **_state(age, chance.random(), at),
        )


def _state(age: float, luck: float, at: int) -> dict[str, Any]:
    """Return how people have left a threat of *age* (0 to 1): of the old ones few are pending."""
    if luck < 0.02 + 0.4 * (1 - age) ** 4:
        return {}
    if luck > 0.96:
        return {"sequence": 2, "decision": Decision(Status.DECLINED, "anna", at, "known")}
    said = Decision(Status.APPROVED, "policy", at, policies=("p@1",))
    if luck > 0.85:
        return {"sequence": 3, "decision": said, "execution": Execution.ONGOING}
    end = Resolution("anna", at, "done")
    return {"sequence": 4, "decision": said, "execution": Execution.SUCCEEDED, "resolution": end}


def check(path: Path, viewer: str, found: Aggregate, at: int) -> None:
    """Count the list entries and compare: charts and counters of a bulk database are the same."""
    driver = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    ((number,),) = driver.execute("SELECT number FROM organisation WHERE uuid=?", [viewer])
    hour, day = at // HOUR * HOUR, at // DAY * DAY
    for buckets, since in (
        (found.hours, hour - 23 * HOUR),
        (found.days, day - 6 * DAY),
        (found.weeks, day - 48 * DAY),
    ):
        told: Counter[tuple[str, str]] = sum((_axes(one) for one in buckets), Counter())
        _same("chart", _counted(driver, number, since), told)
    words = {code: str(word) for word, code in entries.STATUS.items()}
    origins: dict[str, dict[str, int]] = {}
    for organisation, status, n in driver.execute(
        "SELECT uuid, status, count(*) FROM listing"
        " JOIN organisation ON organisation.number = organisation WHERE viewer=? GROUP BY 1, 2",
        [number],
    ):
        origins.setdefault(organisation, {})[words[status]] = n
    _same("origins", origins, found.origins)
    named = Counter(
        keyword_of(text)
        for (text,) in driver.execute(
            "SELECT json_extract(body, '$.detection.threat') FROM listing"
            " JOIN threat ON threat.seq = threat WHERE viewer=? AND received_at>=?",
            [number, day - 6 * DAY],
        )
    )
    top = sorted(named.items(), key=lambda one: (-one[1], one[0]))[: len(found.keywords)]
    _same("keywords", tuple(top), found.keywords)
    threats, texts = (
        driver.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        for table in ("threat", "keyword_index")
    )
    _same("keyword index", threats, texts)
    driver.close()


def _counted(driver: Any, viewer: int, since: int) -> Counter[tuple[str, str]]:
    counted: Counter[tuple[str, str]] = Counter()
    for axis, column, codes in (
        ("type", "kind", entries.KIND),
        ("status", "status", entries.STATUS),
        ("band", "band", entries.BAND),
    ):
        for word, code in codes.items():
            (n,) = driver.execute(
                f"SELECT count(*) FROM listing WHERE viewer=? AND received_at>=? AND {column}=?",  # noqa: S608
                [viewer, since, code],
            ).fetchone()
            counted[axis, str(word)] = n
    return counted


def _axes(bucket: Any) -> Counter[tuple[str, str]]:
    axes = {"type": bucket.by_type, "status": bucket.by_status, "band": bucket.by_band}
    return Counter({(axis, word): n for axis, by in axes.items() for word, n in by.items()})


def _same(what: str, counted: object, told: object) -> None:
    if counted != told:
        raise SystemExit(f"{what}: counted {counted}, but the store tells {told}")
