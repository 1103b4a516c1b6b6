"""An older database is copied, checked and brought to our schema, by one process at a time."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text

from eme_connector.adapters.backup import database
from eme_connector.adapters.database import (
    VERSION,
    open_store,
    schema,
    schema_version,
    upgrade,
)
from eme_connector.adapters.database.schema import KEEP
from eme_connector.adapters.database.tables import metadata
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.listing import ListQuery
from eme_connector.domain.risk import Band
from eme_connector.domain.threat import Status
from eme_connector.errors import StoreUnavailable
from eme_connector.formats.codec import dump_threat
from tests.build import AT, CI, OTHER_CI, detection
from tests.store.some import DAY, HOUR, due, put, some

MIGRATIONS = Path(schema.__file__).parent / "migrations"
FIRST = Path(__file__).parent.parent / "data" / "schemas" / "0001.sql"

OLDER = (
    "INSERT INTO threat (id, organisation, body) VALUES (:id, :o, :body)",
    "INSERT INTO listing VALUES (:o, :id, :at, 500, 'pending', 'none', 'attack', :o, 'high', 4,"
    " 7, 'pending', :at)",
    "INSERT INTO tally VALUES (:o, 'hour', :hour, 'attack', 'pending', 'high', :shard, 1)",
    "INSERT INTO tally VALUES (:o, 'day', :day, 'attack', 'pending', 'high', :shard, 1)",
    "INSERT INTO keyword_tally VALUES (:o, :day, 'a b', :shard, 1)",
    "INSERT INTO origin_tally VALUES (:o, :o, 'pending', :shard, 1)",
)
"""A threat as the schema before wide counters held it."""
BEFORE_SEQS = (
    "INSERT INTO raw VALUES (:id, :n, NULL, :bytes)",
    "INSERT INTO audit VALUES (100 + :n, :n, 'e', 'b', 'o', :id, 1, '{}', 7)",
    "INSERT INTO delivery VALUES (:n, :key, 'lane', 'dispatch', :id, 'o', 1, 'owed', :bytes, '',"
    " 0, 0, 0, 0, 0, NULL, NULL, false, '', '{}')",
)
"""What is about a threat as the schemas before its number in it held it."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """Return the address of an empty database."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_database")
    return f"sqlite:///{tmp_path / 'eme.db'}"


@pytest.fixture
def old(tmp_path):
    """Return a database of the first schema with an account in it."""
    path = tmp_path / "eme.db"
    with sqlite3.connect(path) as made:
        made.executescript(FIRST.read_text())
        made.execute("INSERT INTO account VALUES ('1', 'anna', 'o', 'admin', 'h', 1, 0)")
    made.close()
    return path


def test_the_copy_is_whole_old_and_for_its_owner_alone(old):
    copy = upgrade(f"sqlite:///{old}")

    assert schema_version(f"sqlite:///{copy}") == "0001"
    with sqlite3.connect(copy) as kept:
        assert kept.execute("SELECT name FROM account").fetchall() == [("anna",)]
        assert kept.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    kept.close()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_only_the_newest_copies_are_kept(old, tmp_path):
    for day in range(1, 6):
        (tmp_path / f"eme.0001.2026010{day}T000000.db").touch()
    (tmp_path / "eme.replaced-20260101T000000.db").touch()

    copy = upgrade(f"sqlite:///{old}")

    kept = sorted(one.name for one in tmp_path.glob("eme.0*.db"))
    assert len(kept) == KEEP
    assert copy.name in kept
    assert (tmp_path / "eme.replaced-20260101T000000.db").exists()


def test_a_copy_that_was_not_finished_is_no_copy_and_drives_no_whole_one_out(old, monkeypatch):
    whole = old.with_name("eme.0001.20260101T000000.db")
    shutil.copy(old, whole)

    def full(*_, **__):
        raise sqlite3.OperationalError("database or disk is full")

    class Full(sqlite3.Connection):
        backup = full

    with monkeypatch.context() as now:
        now.setattr(schema, "connect_sqlite", lambda path: sqlite3.connect(path, factory=Full))
        for _ in range(KEEP):
            with pytest.raises(StoreUnavailable, match="disk is full"):
                upgrade(f"sqlite:///{old}")
    assert {one.name for one in old.parent.iterdir()} == {"eme.db", whole.name}

    made = upgrade(f"sqlite:///{old}")
    assert {one.name for one in old.parent.glob("eme.0001.*.db")} == {made.name, whole.name}


def test_a_database_that_cannot_be_read_is_not_taken_for_an_empty_one(old, monkeypatch):
    """It would be changed without a copy, as soon as whoever holds it lets it go."""
    monkeypatch.setattr(
        schema, "create_engine", lambda url: create_engine(url, connect_args={"timeout": 0})
    )
    with closing(sqlite3.connect(old, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable):
            schema_version(f"sqlite:///{old}")
        other.execute("ROLLBACK")

    assert schema_version(f"sqlite:///{old}") == "0001"


def test_a_server_that_is_gone_is_not_taken_for_an_empty_database(free_port):
    with pytest.raises(StoreUnavailable):
        schema_version(f"postgresql+psycopg://eme@127.0.0.1:{free_port()}/none")


def test_a_damaged_database_is_left_as_it_is(old):
    with old.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xff" * 4096)
    before = old.read_bytes()

    with pytest.raises(StoreUnavailable):
        upgrade(f"sqlite:///{old}")
    assert old.read_bytes()[4096:] == before[4096:]
    assert list(old.parent.glob("*0001*")) == []


def test_the_migrations_make_what_the_code_knows(url):
    upgrade(url)
    engine = create_engine(url)
    there = inspect(engine)

    for table in metadata.sorted_tables:
        columns = [one["name"] for one in there.get_columns(table.name)]
        assert columns == table.columns.keys(), table.name
        key = there.get_pk_constraint(table.name)["constrained_columns"]
        assert key == table.primary_key.columns.keys(), table.name
        indexes = {one["name"] for one in there.get_indexes(table.name)}
        assert indexes >= {one.name for one in table.indexes}, table.name
    engine.dispose()


def test_counters_and_keywords_of_an_older_database_go_on(url):
    now = round(time.time() * 1_000_000)
    engine = create_engine(url)
    _migrate(engine, "0006")
    with engine.begin() as connection:
        for number, at in enumerate((now, now, now - 20 * DAY)):
            found = some(received_at=at, detection=detection(iris_id=str(number), threat="A  b"))
            values = {"id": found.id, "body": dump_threat(found).decode(), "at": at, "o": CI}
            bar = values | {"hour": at // HOUR * HOUR, "day": at // DAY * DAY, "shard": number}
            for words in OLDER:
                connection.execute(text(words), bar)
    engine.dispose()

    upgrade(url)
    store = open_store(url)
    found = store.aggregate(CI, now)
    store.close()
    assert [sum(one.total for one in bars) for bars in (found.hours, found.weeks)] == [2, 3]
    bar = found.hours[-1]
    assert (bar.by_type, bar.by_status, bar.by_band) == (
        {"attack": 2}, {"pending": 2}, {"high": 2}
    )  # fmt: skip
    assert found.origins == {CI: {"pending": 3}}
    assert found.keywords == (("a b", 2),)


def test_lists_feeds_and_words_of_an_older_database_go_on(url):
    model = [some(n, detection=detection(iris_id=str(n), summary="Café")) for n in range(3)]
    _fill(url, model)

    upgrade(url)
    store = open_store(url)
    for word in ("", "cafe"):
        found = store.list_threats(ListQuery(CI, status=Status.PENDING, keyword=word, limit=2))
        assert found.threats == (model[2], model[1])
        found = store.list_threats(ListQuery(CI, keyword=word, limit=2, cursor=found.cursor))
        assert found.threats == (model[0],)
    assert store.list_threats(ListQuery(CI, organisation=CI, band=Band.LOW)).threats == ()
    assert [one.threat_id for one in store.changes(CI, 0, 9)] == [one.id for one in model]
    assert store.last_change() == len(model)
    added = put(store, some(3))
    assert [one.threat_id for one in store.changes(CI, len(model), 9)] == [added.id]
    assert store.find_visible_threat(model[0].id, CI) == model[0]
    assert store.find_visible_threat(model[0].id, OTHER_CI) is None
    store.close()


def test_bytes_records_and_deliveries_of_an_older_database_go_on_under_their_threats(url):
    model = [some(n) for n in range(3)]
    _fill(url, model)
    engine = create_engine(url)
    _migrate(engine, "0010")
    with engine.begin() as connection:
        # not in the order of their threats, and some of a threat that is not there
        for number, one in enumerate((model[2].id, "lost", model[0].id, "lost", model[0].id), 1):
            values = {"n": number, "id": one, "key": f"key-{number}", "bytes": bytes([number])}
            for words in BEFORE_SEQS[one == "lost" :]:
                connection.execute(text(words), values)
        connection.execute(text(BEFORE_SEQS[1].replace(":id", "NULL")), {"n": 6})
    engine.dispose()

    upgrade(url)
    store = open_store(url)
    assert [store.raw(model[0].id, revision) for revision in (1, 3, 5)] == [None, b"\3", b"\5"]
    assert store.raw(model[2].id, 1) == b"\1"
    for one, numbers in ((model[0], [3, 5]), (model[1], []), (model[2], [1])):
        assert [record.at for record in store.timeline(one.id)] == numbers
        assert [owed.id for owed in store.deliveries_of(one.id)] == numbers
    every = store.list_deliveries()
    assert [(one.id, one.key, one.payload) for one in every] == [
        (number, f"key-{number}", bytes([number])) for number in range(1, 6)
    ]
    assert {one.id for one in every if one.threat_id == "lost"} == {2, 4}
    # the oldest of each threat: what names none that is there is held up by nothing
    assert [one.id for one in due(store, "lane")] == [1, 2, 3, 4]
    kept = store._all(text("SELECT id, threat_id, leaf_index FROM audit ORDER BY id"))
    assert [tuple(row) for row in kept[1:]] == [
        (102, "lost", 7), (103, model[0].id, 7), (104, "lost", 7), (105, model[0].id, 7),
        (106, None, 7),
    ]  # fmt: skip
    store.transact(lambda tx: tx.record(AuditRecord("e", AT, "a", CI, model[1].id)))
    assert len(store.timeline(model[1].id)) == 1
    store.close()


def test_an_upgrade_that_fails_changes_nothing(url):
    _fill(url, [some()], execution="unheard-of")

    with pytest.raises(StoreUnavailable):
        upgrade(url)
    assert schema_version(url) == "0006"
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*), max(status) FROM listing")).one() == (
            1, "pending"
        )  # fmt: skip
    engine.dispose()


def _fill(url, threats, execution="none"):
    """Make a database of the schema 0006 with *threats*."""
    engine = create_engine(url)
    _migrate(engine, "0006")
    row = "(:o, :id, :at, 500, 'pending', :execution, 'attack', :o, 'high', 4, :n, 'pending', :at)"
    with engine.begin() as connection:
        for number, one in enumerate(threats, 1):
            values = {"id": one.id, "body": dump_threat(one).decode(), "at": one.received_at,
                      "o": CI, "n": number, "execution": execution}  # fmt: skip
            connection.execute(text(OLDER[0]), values)
            connection.execute(text(f"INSERT INTO listing VALUES {row}"), values)
        last = {"n": len(threats)}
        connection.execute(text("INSERT INTO sequence VALUES ('change', :n)"), last)
    engine.dispose()


def test_a_database_of_a_newer_version_is_left_as_it_is_and_not_copied(url, tmp_path):
    upgrade(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    there = sorted(tmp_path.rglob("*"))
    dumped: list[str] = []

    with pytest.raises(StoreUnavailable, match=f"schema 9999, newer than this version's {VERSION}"):
        upgrade(url, lambda version: dumped.append(version))

    assert schema_version(url) == "9999"
    assert sorted(tmp_path.rglob("*")) == there
    assert dumped == []


def test_of_several_that_start_at_once_one_upgrades(postgres_database):
    words = "import sys; from eme_connector.adapters.database import upgrade; upgrade(sys.argv[1])"
    started = [subprocess.Popen([sys.executable, "-c", words, postgres_database]) for _ in range(4)]

    assert [one.wait(60) for one in started] == [0] * 4


@pytest.fixture
def old_postgres(postgres_database):
    """Return the URL of a PostgreSQL database of the first schema with an account in it."""
    engine = create_engine(postgres_database)
    _migrate(engine, "0001")
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO account VALUES ('1', 'anna', 'o', 'admin', 'h', 1, false)")
        )
    engine.dispose()
    return postgres_database


def test_a_postgresql_database_is_dumped_first_and_the_dump_can_be_put_back(old_postgres, tmp_path):
    made = upgrade(old_postgres, lambda at: database.dump_aside(old_postgres, tmp_path, at))

    assert schema_version(old_postgres) == VERSION
    assert made.name.startswith("eme.0001.")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    database.put(old_postgres, made)
    assert schema_version(old_postgres) == "0001"
    upgrade(old_postgres)
    assert schema_version(old_postgres) == VERSION


def test_without_pg_dump_the_upgrade_goes_on_and_leaves_no_half_copy(
    old_postgres, tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(database, "_newest", lambda program: None)

    assert upgrade(old_postgres, lambda at: database.dump_aside(old_postgres, tmp_path, at)) is None
    assert schema_version(old_postgres) == VERSION
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_our_schema_is_not_dumped(old_postgres):
    upgrade(old_postgres)
    asked = []

    assert upgrade(old_postgres, asked.append) is None
    assert asked == []


def _migrate(engine, version):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
