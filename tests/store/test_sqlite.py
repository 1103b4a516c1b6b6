"""The store on SQLite: what is in its file, and what a process that ends leaves there."""

from __future__ import annotations

import re
import sqlite3
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from eme_connector.adapters.database import (
    VERSION,
    deliveries,
    entries,
    keywords,
    open_store,
    reads,
    schema_version,
    upgrade,
)
from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.spare import MOST
from eme_connector.adapters.database.statements import Statement
from eme_connector.domain.delivery import State
from eme_connector.domain.listing import ListQuery
from eme_connector.errors import StoreUnavailable
from tests import ready
from tests.build import CI
from tests.store.contract import StoreContract
from tests.store.some import due, owe, put, some, update

WRITER = """
import sys
from eme_connector.adapters.database import open_store
from tests.store.some import put, some
store = open_store(sys.argv[1])
while True:
    print(put(store, some()).id, flush=True)
"""


@pytest.fixture
def url(tmp_path):
    return ready.sqlite(tmp_path / "eme.db")


@pytest.fixture
def store(url):
    opened = open_store(url)
    yield opened
    opened.close()


class TestSqliteStore(StoreContract):
    """SQLite passes the contract."""

    def check_plan(self, store, statement):
        """A list is one range of an index that has all it needs, a keyword is looked up once."""
        plan = plan_of(store, statement)
        for at, step in enumerate(plan):
            if "CORRELATED" in step:  # asked of each row: a document by its number
                assert plan[at + 1].startswith("SEARCH keyword_index_content USING INTEGER PRIMARY")
            if " listing " in step:
                assert "COVERING INDEX" in step or "PRIMARY KEY (threat=" in step, plan
        if any("COVERING INDEX" in step for step in plan):
            assert not any("TEMP B-TREE" in step for step in plan), plan


def plan_of(store, statement):
    """Return the steps by which SQLite answers *statement*."""
    text = f"EXPLAIN QUERY PLAN {statement.compiled(store._engine.dialect).text}"
    with store._engine.connect() as connection:
        driver = connection.connection.driver_connection
        named = dict.fromkeys(re.findall(r":(\w+)", text))
        return [row[3] for row in driver.execute(text, named or [None] * text.count("?"))]


@pytest.mark.parametrize(
    "statement",
    [deliveries._DUE, deliveries._WITHDRAW, deliveries._RENEW, deliveries._RENEW_AT, reads._RAW],
)
def test_what_is_about_a_threat_is_looked_up_by_its_number(store, statement):
    plan = plan_of(store, statement)

    assert not any("SCAN" in step for step in plan), plan
    assert any("(threat=?" in step for step in plan), plan


def test_the_next_deliveries_of_a_backlog_are_found_without_sorting_it(store):
    plan = plan_of(store, deliveries._DUE)

    assert plan[0].startswith("SEARCH delivery USING INDEX delivery_open (lane>"), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


@pytest.mark.parametrize("table", [t.audit, t.delivery])
def test_deliveries_and_timelines_are_read_from_an_index(store, table):
    query = select(table).where(reads._among(table.c.threat, ["a", "b"])).order_by(table.c.id)
    words = query.compile(store._engine, compile_kwargs={"literal_binds": True})
    plan = [row[3] for row in store._all(text(f"EXPLAIN QUERY PLAN {words}"))]

    assert f"SEARCH {table} USING INDEX {table}_threat (threat=?)" in plan, plan


@pytest.mark.parametrize("statement", [keywords.WAITING, keywords.OLDEST_WAITING, entries.CHANGES])
def test_who_follows_changes_never_reads_all_entries(store, statement):
    plan = plan_of(store, statement)

    assert any("listing_change (viewer=? AND change>?" in step for step in plan), plan
    assert not any("SCAN listing" in step for step in plan), plan


def test_kill_9_loses_nothing_that_was_acknowledged(url):
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True
        )
        told = [child.stdout.readline().strip() for _ in range(40)]
        child.kill()
        told += [line.strip() for line in child.stdout if line.endswith("\n")]
        child.wait()

        store = open_store(url)
        assert [one for one in told if not store.find_visible_threat(one, CI)] == []
        store.close()


def test_what_was_being_sent_at_a_crash_is_due_at_once(store):
    one = owe(store)
    update(store, one, state=State.SENDING, fence=1, lease_until=time.time() + 600)
    store.void_leases()

    assert [(d.id, d.state) for d in due(store)] == [(one.id, State.SENDING)]


def test_a_second_process_can_write_beside_the_server(store, url):
    other = open_store(url)
    ours, theirs = put(store, some()), put(other, some())

    assert store.find_visible_threat(theirs.id, CI) == theirs
    assert other.find_visible_threat(ours.id, CI) == ours
    other.close()


def test_the_file_is_for_its_owner_alone(tmp_path, url):
    assert stat.S_IMODE((tmp_path / "eme.db").stat().st_mode) == 0o600


def test_an_empty_database_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(StoreUnavailable, match="eme"):
        open_store(f"sqlite:///{tmp_path / 'none.db'}")


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        upgrade(f"sqlite:///{tmp_path / 'file' / 'eme.db'}")


def test_upgrading_twice_changes_nothing(url):
    before = schema_version(url)

    assert upgrade(url) is None
    assert schema_version(url) == before == VERSION


def test_the_schema_is_what_the_tables_say(url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    from eme_connector.adapters.database.tables import metadata

    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": lambda obj, name, *_: "keyword_index" not in name}
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent.parent / "data" / "schemas").glob("*.sql"))
)
def test_every_released_schema_can_be_upgraded(tmp_path, path):
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as old:
        old.executescript(path.read_text())
    old.close()
    upgrade(f"sqlite:///{file}")

    store = open_store(f"sqlite:///{file}")
    found = put(store, some())
    assert store.find_visible_threat(found.id, CI) == found
    store.close()


COUNT = Statement(text("SELECT count(*) FROM threat"))


def test_a_page_is_of_one_moment(store):
    with store._together() as rows:
        assert rows(COUNT, {}) == [(0,)]
        put(store, some())
        assert rows(COUNT, {}) == [(0,)]
    with store._together() as rows:
        assert rows(COUNT, {}) == [(1,)]


def test_a_failed_statement_costs_its_connection_only(store):
    with pytest.raises(StoreUnavailable), store._together() as rows:
        rows(Statement(text("SELECT 1 FROM nowhere")), {})
    put(store, some())
    assert len(store.list_threats(ListQuery(CI)).threats) == 1


def test_more_pages_at_once_than_connections(store):
    queries = [ListQuery(CI, organisation=str(uuid4())) for _ in range(200)]
    put(store, some())
    with ThreadPoolExecutor(3 * MOST) as pool:
        pages = [pool.submit(store.list_threats, one) for one in queries]
        assert all(page.result(30).threats == () for page in pages)
