"""Counters of hours and days that are over become one row each on PostgreSQL, told the same."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from eme_connector.adapters.database import folding, open_store
from eme_connector.domain.threat import Status
from tests.build import CI, OTHER_CI
from tests.store.some import DAY, HOUR, decided, put, some


@pytest.fixture
def store(ready_postgres, monkeypatch):
    monkeypatch.setattr(folding, "EVERY_S", 0)
    opened = open_store(ready_postgres)
    yield opened
    opened.close()


def now():
    return round(time.time() * 1_000_000)


def fold(store, viewer=CI):
    store.transact(lambda tx: tx.fold_counters(viewer))


def decide(store, found, chance):
    after = decided(found, chance.choice([Status.APPROVED, Status.DECLINED]))
    store.transact(lambda tx: tx.save_threat(after, found))


def spread(store, viewer=CI):
    """Return how many rows beside shard 0 a chart reads of what is over, and of origins."""
    query = (
        "SELECT (SELECT count(*) FROM tally WHERE viewer = :v AND shard > 0"
        " AND (span = 'day' AND start < :day OR span = 'hour' AND start BETWEEN :first AND :last)),"
        " (SELECT count(*) FROM origin_tally WHERE viewer = :v AND shard > 0)"
    )
    hour, day = now() // HOUR * HOUR, now() // DAY * DAY
    bounds = {"day": day, "first": hour - 23 * HOUR, "last": hour - HOUR}
    with store._engine.connect() as connection:
        return tuple(connection.execute(text(query), {"v": viewer} | bounds).one())


def test_folded_counters_tell_the_same_by_fewer_rows(store):
    chance = random.Random(3)
    for _ in range(3):
        there = [put(store, some(received_at=now() - chance.randrange(2 * DAY))) for _ in range(30)]
        for one in there[::2]:
            decide(store, one, chance)
        at = now()
        before = store.aggregate(CI, at)
        fold(store)
        after = store.aggregate(CI, at)

        assert (after.hours, after.days, after.weeks) == (before.hours, before.days, before.weeks)
        assert after.origins == before.origins
        assert spread(store) == (0, 0)


def test_folding_while_others_count_loses_nothing_and_fails_nobody(store):
    chance, ended = random.Random(4), threading.Event()
    there = [put(store, some(received_at=now() - number % 5 * DAY)) for number in range(80)]

    def go_on():
        folds = 0
        while not ended.is_set():
            fold(store)
            folds += 1
        return folds

    with ThreadPoolExecutor(10) as pool:
        folding_on = [pool.submit(go_on) for _ in range(2)]
        for done in [pool.submit(decide, store, one, chance) for one in there]:
            done.result(30)
        ended.set()
        assert all(one.result(30) > 1 for one in folding_on)
    found = store.aggregate(CI, now())
    told = [
        sum(bar.by_status.get(word, 0) for bar in found.weeks) for word in ("pending", "declined")
    ]
    assert sum(bar.total for bar in found.weeks) == len(there)
    assert told[0] == 0
    assert told[1] == found.origins[CI]["declined"]
    assert sum(found.origins[CI].values()) == len(there)


def test_only_the_counters_of_charts_that_are_looked_at_are_folded(store):
    for number in range(40):
        put(store, some(received_at=now() - 3 * DAY - number), [CI, OTHER_CI])
    assert min(spread(store) + spread(store, OTHER_CI)) > 0
    store.aggregate(CI, now())

    until = time.monotonic() + 20
    while spread(store) != (0, 0):
        assert time.monotonic() < until, "not within 20 s"
        time.sleep(0.05)
    assert min(spread(store, OTHER_CI)) > 0


def test_the_same_charts_are_folded_once_a_minute(monkeypatch):
    looked = folding.Looked()
    looked.add(CI)
    assert looked.due() == (CI,)
    looked.add(CI)
    assert looked.due() == ()
    looked.add(OTHER_CI)
    assert looked.due() == (OTHER_CI,)
    monkeypatch.setattr(folding, "EVERY_S", 0)
    assert looked.due() == (CI,)
    assert looked.due() == ()
