"""What only the one writer thread of an SQLite file can get wrong."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from eme_connector.adapters.database import open_store
from eme_connector.adapters.database.writer import Waiting
from eme_connector.domain.audit import AuditRecord
from eme_connector.errors import StoreUnavailable
from eme_connector.ports import Owed
from tests import ready
from tests.build import AT, CI
from tests.store.some import LANE, put, some


@pytest.fixture
def url(tmp_path):
    return ready.sqlite(tmp_path / "eme.db")


@pytest.fixture
def store(url):
    made = open_store(url)
    yield made
    made.close()


def break_commit(store, monkeypatch, times):
    """Let the next *times* COMMITs fail, as on a full disk."""

    class Failing(sqlite3.Connection):
        left = times

        def execute(self, sql, *more):
            if sql == "COMMIT" and Failing.left:
                Failing.left -= 1
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql, *more)

    replace_writer(store, monkeypatch, Failing)


def replace_writer(store, monkeypatch, factory):
    """Let the store write by a connection of this kind."""
    with closing(store._writer._connect()) as connection:
        path = connection.execute("PRAGMA database_list").fetchone()[2]
    store._writer.close()
    fresh = type(store._writer)(
        lambda: sqlite3.connect(path, factory=factory, isolation_level=None),
        store._writer._transaction,
        store._committed,
    )
    monkeypatch.setattr(store, "_writer", fresh)


def test_a_failing_commit_keeps_nothing_and_the_writer_goes_on(store, monkeypatch):
    break_commit(store, monkeypatch, 1)
    lost, kept = some(), some()

    with pytest.raises(StoreUnavailable):
        put(store, lost)
    put(store, kept)

    assert store.find_visible_threat(lost.id, CI) is None
    assert store.find_visible_threat(kept.id, CI) == kept


def test_one_failing_work_of_a_batch_costs_the_others_nothing(store):
    entered, gate = threading.Event(), threading.Event()
    kept = [some(number) for number in range(6)]

    def hold(tx):
        entered.set()
        gate.wait(5)

    def good(found):
        def work(tx):
            tx.add_threat(found, b"{}", viewers=[CI])
            tx.record(AuditRecord("received", AT, "a", CI, found.id, 1))
            return tx.owe(Owed(LANE, "dispatch", found.id, CI, 1)).id

        return store.transact(work)

    def bad(_):
        def work(tx):
            tx.add_threat(some(), b"{}", viewers=[CI])
            tx.record(AuditRecord("received", AT, "a", CI, "lost", 1))
            raise KeyError("mine")

        with pytest.raises(KeyError):
            store.transact(work)

    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(store.transact, hold)
        entered.wait(5)
        waiting = [pool.submit(good, one) for one in kept[:3]]
        waiting += [pool.submit(bad, one) for one in range(2)]
        waiting += [pool.submit(good, one) for one in kept[3:]]
        while store._writer._queue.qsize() < 8:
            time.sleep(0.01)
        gate.set()
        ids = {one.result() for one in [first, *waiting]} - {None}

    assert ids == {store.deliveries_of(one.id)[0].id for one in kept}
    assert all(store.find_visible_threat(one.id, CI) == one for one in kept)
    assert [len(store.timeline(one.id)) for one in kept] == [1] * 6
    assert store.timeline("lost") == ()
    assert store.aggregate(CI, AT).hours[-1].total == 6
    assert len({one.id for one in store.changes(CI, 0, 10)}) == 6


def test_what_names_a_threat_that_was_taken_back_stands_under_no_other(store):
    lost, kept = some(), some()

    def bad(tx):
        tx.add_threat(lost, b"{}", viewers=[CI])
        raise KeyError("mine")

    def good(tx):
        tx.add_threat(kept, b"{}", viewers=[CI])  # under the number that the lost one had
        tx.record(AuditRecord("received", AT, "a", CI, lost.id, 1))
        tx.owe(Owed(LANE, "dispatch", lost.id, CI, 1))

    batch = [Waiting(bad), Waiting(good)]
    with closing(store._writer._connect()) as connection:
        store._writer._commit(connection, batch)

    with pytest.raises(KeyError):
        batch[0].wait()
    batch[1].wait()
    assert store.find_visible_threat(kept.id, CI) == kept
    assert (store.timeline(kept.id), store.deliveries_of(kept.id)) == ((), ())


def test_every_work_of_a_batch_whose_commit_fails_is_told(store, monkeypatch):
    break_commit(store, monkeypatch, 1)
    told = []
    entered, gate = threading.Event(), threading.Event()

    def slow(tx):
        entered.set()
        gate.wait(5)

    def attempt(work):
        try:
            store.transact(work)
            told.append("kept")
        except StoreUnavailable:
            told.append("lost")

    threads = [threading.Thread(target=attempt, args=(slow,))]
    threads[0].start()
    assert entered.wait(5)
    threads += [threading.Thread(target=attempt, args=(lambda tx: None,)) for _ in range(5)]
    for thread in threads[1:]:
        thread.start()
    time.sleep(0.1)
    gate.set()
    for thread in threads:
        thread.join(5)

    assert sorted(told) == ["kept"] * 5 + ["lost"]


def hold_file(store, monkeypatch, asked, held):
    """Let another program hold the file until *held*, for too long; *asked* says who wants it."""

    class Held(sqlite3.Connection):
        def execute(self, sql, *more):
            if sql == "BEGIN IMMEDIATE" and not held.is_set():
                asked.set()
                held.wait(5)
                raise sqlite3.OperationalError("database is locked")
            return super().execute(sql, *more)

    replace_writer(store, monkeypatch, Held)


def test_who_came_while_another_program_held_the_file_does_not_wait_for_it_twice(
    store, monkeypatch
):
    asked, held = threading.Event(), threading.Event()
    hold_file(store, monkeypatch, asked, held)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(put, store, some())]
        assert asked.wait(5)
        waiting.append(pool.submit(put, store, some()))
        while store._writer._queue.empty():
            time.sleep(0.01)
        held.set()
        refused = [one.exception() for one in waiting]
    kept = put(store, some())

    assert [type(one) for one in refused] == [StoreUnavailable] * 2
    assert store.find_visible_threat(kept.id, CI) == kept
    assert len(store.changes(CI, 0, 10)) == 1


def test_a_close_while_another_program_holds_the_file_ends(store, monkeypatch):
    asked, held = threading.Event(), threading.Event()
    hold_file(store, monkeypatch, asked, held)
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(put, store, some())
        assert asked.wait(5)
        closing_it = pool.submit(store._writer.close)
        while store._writer._queue.empty():
            time.sleep(0.01)
        held.set()
        assert closing_it.result(5) is None

    assert isinstance(waiting.exception(), StoreUnavailable)


def test_waiters_do_not_hang_when_the_writer_dies(store, monkeypatch):
    def die(*_):
        raise MemoryError

    monkeypatch.setattr(store._writer, "_commit", die)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    with pytest.raises((StoreUnavailable, MemoryError)):
        store.transact(lambda tx: 1)
    with pytest.raises(StoreUnavailable):
        store.transact(lambda tx: 1)


def test_a_listener_that_fails_ends_no_writer(store):
    def fail(_):
        raise RuntimeError("can't start new thread")

    store.subscribe(fail)
    put(store, some())
    found = put(store, some())

    assert store.find_visible_threat(found.id, CI) == found
    store.ping()


def test_a_store_whose_writer_has_ended_says_so(store, monkeypatch):
    def die(*_):
        raise MemoryError

    monkeypatch.setattr(store._writer, "_commit", die)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with pytest.raises(StoreUnavailable):
        store.transact(lambda tx: 1)
    store._writer._thread.join(5)

    with pytest.raises(StoreUnavailable, match="start the sidecar anew"):
        store.ping()


def test_a_closed_store_refuses_and_has_kept_what_waited(url):
    store = open_store(url)
    found = put(store, some())
    store.close()

    with pytest.raises(StoreUnavailable):
        put(store, some())
    again = open_store(url)
    assert again.find_visible_threat(found.id, CI) == found
    again.close()
