"""The store on PostgreSQL."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import product
from string import ascii_lowercase

import psycopg
import pytest
from sqlalchemy import text

from eme_connector.adapters.database import (
    deliveries,
    engine,
    entries,
    keywords,
    open_store,
    pooled,
)
from eme_connector.adapters.database.statements import Statement
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.delivery import State
from eme_connector.domain.listing import ListQuery
from eme_connector.errors import StoreUnavailable
from tests.build import AT, CI, detection
from tests.store.contract import StoreContract
from tests.store.some import due, owe, put, some, update


@pytest.fixture
def store(ready_postgres):
    opened = open_store(ready_postgres)
    yield opened
    opened.close()


class TestPostgresStore(StoreContract):
    """PostgreSQL passes the contract."""

    def check_plan(self, store, statement):
        """A walk reads one index that has all it needs, in its order."""
        plan = plan_of(store, statement)
        steps = [step for step in plan if "Scan" in step and " on listing" in step]
        steps = [step for step in steps if "Subquery" not in step]
        for step in steps:
            assert "Index Only Scan" in step or "using listing_pkey" in step, plan
        if any("using listing_newest" in step or "using listing_rank" in step for step in steps):
            assert not any("Sort" in step for step in plan), plan


def plan_of(store, statement):
    """Return the steps by which PostgreSQL answers *statement*, whatever its parameters are.

    The tables of tests are so small that it would rather read all of them.
    """
    names, words = [], statement.compiled(store._engine.dialect).text

    def place(found):
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    words = re.sub(r"%\((\w+)\)s", place, words)
    off = ("enable_seqscan", "enable_bitmapscan", "enable_sort")
    with store._engine.connect() as connection:
        driver = connection.connection.driver_connection
        for setting in off:
            driver.execute(f"SET LOCAL {setting} = off")
        driver.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        driver.execute(f"PREPARE asked AS {words}")
        given = f"({', '.join(['NULL'] * len(names))})" if names else ""
        plan = driver.execute(f"EXPLAIN EXECUTE asked{given}").fetchall()
        driver.execute("DEALLOCATE asked")
        driver.rollback()
    return [step for (step,) in plan]


def test_who_follows_changes_never_reads_all_entries(store):
    for number in range(300):
        put(store, some(number))
    for statement in (keywords.WAITING, keywords.OLDEST_WAITING, entries.CHANGES):
        plan = plan_of(store, statement)
        assert any("Index Cond: ((viewer = " in step and "change > " in step for step in plan), plan


def test_leasing_one_lane_does_not_hold_up_another(store):
    here, there = owe(store, "a"), owe(store, "b", lane="peer:x")

    def work(tx):
        taken = tx.due("orchestrator:a", 2**40, width=8, limit=1)
        with ThreadPoolExecutor(1) as pool:
            return taken, pool.submit(due, store, "peer:x").result(20)

    taken, others = store.transact(work)
    assert [d.id for d in taken] == [here.id]
    assert [d.id for d in others] == [there.id]


def test_a_start_leaves_what_another_worker_is_sending(store):
    one = owe(store)
    update(store, one, state=State.SENDING, fence=1, lease_until=time.time() + 600)
    store.void_leases()

    assert due(store) == ()


def test_a_server_that_is_not_there_is_unavailable(free_port):
    with pytest.raises(StoreUnavailable):
        open_store(f"postgresql+psycopg://eme@127.0.0.1:{free_port()}/none")


def test_what_another_session_holds_is_refused_and_the_store_goes_on(ready_postgres, monkeypatch):
    for module in (engine, pooled):
        monkeypatch.setattr(module, "HELD_MS", 200)
    with closing(open_store(ready_postgres)) as store, store._engine.connect() as other:
        first = put(store, some())
        other.execute(text("LOCK TABLE threat IN ACCESS EXCLUSIVE MODE"))
        with ThreadPoolExecutor(16) as pool:
            many = [pool.submit(put, store, some(1)) for _ in range(16)]
            assert {type(one.exception(10)) for one in many} == {StoreUnavailable}
        with pytest.raises(StoreUnavailable):
            store.list_threats(ListQuery(CI))
        other.rollback()
        second = put(store, some(2))

        assert store.list_threats(ListQuery(CI)).threats == (second, first)


def test_what_is_written_while_the_server_is_gone_is_refused_as_unavailable(store, monkeypatch):
    put(store, some())
    gone = psycopg.OperationalError("connection refused")

    def refuse(**_):
        raise gone

    store._writer._pool.dispose()
    monkeypatch.setattr(psycopg, "connect", refuse)
    for _ in range(2 * pooled.AT_ONCE):
        with pytest.raises(StoreUnavailable):
            put(store, some())
    monkeypatch.undo()
    assert put(store, some(1))


def test_a_work_that_fails_on_a_connection_that_is_lost_tells_its_own_error(store):
    def work(tx):
        (pid,) = tx._db.one(Statement("SELECT pg_backend_pid()"), {})
        with store._engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        raise KeyError("mine")

    with pytest.raises(KeyError):
        store.transact(work)
    assert put(store, some())


def test_a_text_longer_than_an_index_takes_holds_no_other_up(store):
    """PostgreSQL refuses a document of words that takes more than 1 MiB in its index."""
    words = " ".join(map("".join, product(ascii_lowercase, repeat=4)))[:900_000]
    long = put(store, some(detection=replace(detection(iris_id="long"), summary=f"needle {words}")))
    other = put(store, some(1, detection=replace(detection(iris_id="short"), summary="needle")))

    while store.follow_keywords():
        pass
    assert store.keywords_at() == store.last_change()
    assert store.list_threats(ListQuery(CI, keyword="needle")).threats == (other, long)


def test_what_fails_among_the_last_statements_keeps_nothing_and_harms_no_connection(store):
    there, tries = put(store, some()), []

    def work(tx):
        tries.append(tx)
        tx.record(AuditRecord("received", AT, "a", CI, "lost", 1))
        tx.add_threat(some(), b"", viewers=[CI])
        tx._keep_raw(there, b"twice")

    with pytest.raises(StoreUnavailable):
        store.transact(work)
    assert len(tries) > 1
    assert store.timeline("lost") == ()
    assert [one.threat_id for one in store.changes(CI, 0, 9)] == [there.id]
    after = put(store, some(1))
    assert store.list_threats(ListQuery(CI)).threats == (after, there)


def test_new_entries_of_lists_are_vacuumed_when_a_hundredth_is_new(store):
    with store._engine.connect() as connection:
        query = text("SELECT reloptions FROM pg_class WHERE relname = 'listing'")
        assert connection.execute(query).scalar_one() == [
            "autovacuum_vacuum_insert_scale_factor=0.01"
        ]


def test_the_next_deliveries_of_a_lane_are_found_beside_many_that_have_left(store):
    left = text(
        "INSERT INTO delivery SELECT n, n::text, 'lane-' || n % 2, 'dispatch', 't', 'o', 1,"
        " CASE WHEN n > 18000 THEN 'owed' ELSE 'delivered' END, 'x', '', 0, 0, 0, 0, 0, NULL, NULL,"
        " false, '', '{}', n FROM generate_series(1, 20000) AS n"
    )
    found = deliveries._DUE.compiled(store._engine.dialect)
    values = found.arguments({"lane": "lane-1", "now": 1.0, "most": 8})
    with store._engine.connect() as connection:
        connection.execute(left)
        connection.execute(text("ANALYZE delivery"))
        connection.execute(text("RESET random_page_cost"))  # as whoever writes has it
        driver = connection.connection.driver_connection
        plan = [row[0] for row in driver.execute(f"EXPLAIN {found.text}", values)]

    assert any("using delivery_open on delivery" in step for step in plan), plan
    assert not any("Sort" in step for step in plan), plan
