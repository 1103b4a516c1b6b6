"""On PostgreSQL many write at once, and still nobody who follows the changes misses one."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest

from eme_connector.adapters.database import changes, open_store, pooled
from eme_connector.domain.listing import ListQuery
from eme_connector.errors import StoreUnavailable
from tests.build import CI
from tests.store.some import put, some

MOST = 1_000_000


@pytest.fixture
def store(ready_postgres):
    opened = open_store(ready_postgres)
    yield opened
    opened.close()


class Open:
    """A transaction that has entered a threat and stays open until it is told how to end."""

    def __init__(self, store):
        self.threat = some()
        self._entered, self._end = threading.Event(), threading.Event()
        self._failure = None
        self._pool = ThreadPoolExecutor(1)
        self._done = self._pool.submit(store.transact, self._work)
        assert self._entered.wait(10)

    def _work(self, tx):
        tx.add_threat(self.threat, b"", viewers=[CI])
        tx._db.flush()
        self._entered.set()
        self._end.wait(10)
        if self._failure:
            raise self._failure

    def commit(self):
        self._end.set()
        self._done.result(10)

    def fail(self):
        self._failure = KeyError("mine")
        self._end.set()
        with pytest.raises(KeyError):
            self._done.result(10)


def seen(store, after=0):
    return [one.threat_id for one in store.changes(CI, after, MOST)]


def test_a_higher_number_waits_for_a_lower_one_that_is_still_open(store):
    before = put(store, some())
    first = Open(store)
    second = put(store, some())

    assert seen(store) == [before.id]
    assert store.last_change() == store.changes(CI, 0, 10)[-1].id
    first.commit()
    assert seen(store) == [before.id, first.threat.id, second.id]
    assert store.last_change() == store.changes(CI, 0, 10)[-1].id


def test_what_begins_while_a_follower_asks_is_left_for_the_next_time(store):
    before = put(store, some())
    begun = []

    def ask(statement, values):
        rows = store._asked(statement, values)
        if not begun:
            begun.append(Open(store))
            put(store, some())
        return rows

    settled = changes.settled(ask)
    assert settled == store.changes(CI, 0, 10)[-1].id
    assert seen(store) == [before.id]
    begun[0].commit()
    assert len(seen(store, settled)) == 2


def test_who_fails_holds_up_nobody_any_longer_and_wakes_who_waited(store):
    before = put(store, some())
    first = Open(store)
    second = put(store, some())
    heard = []
    store.subscribe(heard.append)
    first.fail()

    assert seen(store) == [before.id, second.id]
    assert any("change" in topics for topics in heard)


def test_what_stands_still_inside_a_transaction_is_ended_by_the_server(ready_postgres, monkeypatch):
    monkeypatch.setattr(pooled, "STANDSTILL_MS", 200)
    store = open_store(ready_postgres)
    first = Open(store)
    second = put(store, some())
    until = time.monotonic() + 20
    while seen(store) != [second.id]:
        assert time.monotonic() < until
        time.sleep(0.05)

    with pytest.raises(StoreUnavailable):
        first.commit()
    store.close()


@pytest.mark.parametrize(
    ("writers", "each"),
    [(12, 12), pytest.param(16, 400, id="long", marks=pytest.mark.long)],
)
def test_of_many_writers_every_change_is_seen_once_and_in_order(store, writers, each):
    """Some fail and some lose their connection; followers begin at any time."""
    kept: set[str] = set()
    ended = threading.Event()

    def write(number):
        chance = random.Random(number)
        for _ in range(each):
            found, late = some(), chance.random() < 0.1

            def work(tx, found=found, late=late):
                if late:
                    time.sleep(chance.random() / 50)
                tx.add_threat(found, b"", viewers=[CI])
                tx._db.flush()
                time.sleep(chance.random() ** 4 / 20)
                luck = chance.random()
                if luck < 0.1:
                    raise KeyError("mine")
                if luck < 0.15:
                    _lose_connection(store, tx)

            with suppress(KeyError, StoreUnavailable):
                store.transact(work)
                kept.add(found.id)

    def follow(number):
        chance = random.Random(-number)
        time.sleep(number * chance.random() / 10)
        after, there = 0, []
        if number:
            after = store.last_change()
            there = _listed(store)
        numbers = []
        while True:
            last = ended.is_set()
            limit = chance.choice([1, 3, 100])
            for one in store.changes(CI, after, limit):
                numbers.append(one.id)
                there += [one.threat_id] if one.threat_id not in there else []
                after = one.id
                last = False
            if last:
                return numbers, there
            time.sleep(chance.random() / 100)

    with ThreadPoolExecutor(writers + 4) as pool:
        following = [pool.submit(follow, number) for number in range(4)]
        for one in [pool.submit(write, number) for number in range(writers)]:
            one.result(120)
        ended.set()
        told = [one.result(60) for one in following]

    assert len(kept) > writers * each // 2
    for numbers, there in told:
        assert numbers == sorted(set(numbers))
        assert set(there) == kept
    assert len(told[0][0]) == len(kept)


def _lose_connection(store, tx):
    pid = tx._db._cursor.connection.info.backend_pid
    address = store._url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])


def _listed(store):
    found, query = [], ListQuery(CI, limit=100)
    while True:
        page = store.list_threats(query)
        found += [one.id for one in page.threats]
        if not page.cursor:
            return found
        query = ListQuery(CI, limit=100, cursor=page.cursor)
