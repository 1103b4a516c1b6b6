"""What one process commits wakes the others, by PostgreSQL or by Redis, and again after a loss."""

from __future__ import annotations

import threading
import time
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy.engine import make_url

from eme_connector.adapters.bell import GATHER_S, Bell
from eme_connector.adapters.database import open_store
from eme_connector.adapters.redis_line import RedisLine
from eme_connector.adapters.shared import connect_redis
from tests import ready
from tests.store.some import owe, put, some

SOON_S = 20.0


class Ear:
    """Listens to a store and remembers the topics."""

    def __init__(self, store):
        self.heard = []
        self._rang = threading.Event()
        self._end = store.subscribe(self._hear)

    def _hear(self, topics):
        self.heard.append(topics)
        self._rang.set()

    def waits_for(self, topic, seconds=SOON_S):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if any(topic in one for one in self.heard):
                return True
            self._rang.wait(0.05)
            self._rang.clear()
        return False

    def forget(self):
        self.heard.clear()


def connected(ear, other):
    """Return *ear* once it hears what is committed at *other*."""
    for _ in range(50):
        put(other, some())
        if ear.waits_for("change", 0.2):
            ear.forget()
            while ear.waits_for("change", 0.3):
                ear.forget()
            return ear
    raise AssertionError("nothing was heard")


@pytest.fixture(params=["postgresql", "redis"])
def stores(request, tmp_path):
    """Yield two processes' stores on one database."""
    if request.param == "postgresql":
        url = request.getfixturevalue("ready_postgres")
    else:
        url = ready.sqlite(tmp_path / "eme.db")
    opened = [open_store(url), open_store(url)]
    if request.param == "redis":
        server, channel = request.getfixturevalue("redis"), uuid4().hex
        for store in opened:
            line = RedisLine(connect_redis(server.url, tries=1), channel)
            store.connect_bell(Bell(line, store.hear))
    yield opened
    for store in opened:
        store.close()


@pytest.fixture
def ear(stores):
    """Return what listens to the first of them, once it is connected."""
    return connected(Ear(stores[0]), stores[1])


def test_another_process_is_woken(stores, ear):
    put(stores[1], some())
    owe(stores[1])

    assert ear.waits_for("change")
    assert ear.waits_for("delivery")


def test_many_commits_make_few_rings(stores, ear):
    began = time.monotonic()
    for _ in range(200):
        put(stores[1], some())
    took = time.monotonic() - began

    assert ear.waits_for("change")
    assert len(ear.heard) <= took / GATHER_S + 2


def test_nobody_is_woken_twice_by_themselves(stores, ear):
    put(stores[0], some())
    time.sleep(0.3)

    assert len([one for one in ear.heard if "change" in one]) == 1


def test_whoever_was_cut_off_is_told_to_look_and_is_woken_again(ready_postgres):
    ours, theirs = open_store(ready_postgres), open_store(ready_postgres)
    ear = connected(Ear(ours), theirs)

    plain = make_url(ready_postgres).set(drivername="postgresql").render_as_string()
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        )

    assert ear.waits_for("directory")
    ear.forget()
    put(theirs, some())
    assert ear.waits_for("change")
    ours.close()
    theirs.close()


@pytest.mark.parametrize("stores", ["redis"], indirect=True)
def test_a_store_goes_on_while_redis_is_away(stores, redis):
    ear = connected(Ear(stores[0]), stores[1])
    redis.stop()

    began = time.monotonic()
    for _ in range(20):
        put(stores[1], some())
    assert time.monotonic() - began < 5

    redis.start()
    ear.forget()
    assert ear.waits_for("directory")
    put(stores[1], some())
    assert ear.waits_for("change")


def test_whatever_somebody_else_publishes_does_not_end_the_listening(redis, tmp_path):
    url, channel = ready.sqlite(tmp_path / "eme.db"), uuid4().hex
    ours, theirs = open_store(url), open_store(url)
    for store in (ours, theirs):
        store.connect_bell(Bell(RedisLine(connect_redis(redis.url, tries=1), channel), store.hear))
    ear = connected(Ear(ours), theirs)

    connect_redis(redis.url).publish(channel, b"\xff\xfe")
    time.sleep(0.3)
    ear.forget()
    put(theirs, some())

    assert ear.waits_for("change")
    ours.close()
    theirs.close()
