"""An older database is copied, checked and brought to our schema, by one process at a time."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from eme_connector.adapters.backup import database
from eme_connector.adapters.database import VERSION, schema, schema_version, upgrade
from eme_connector.adapters.database.schema import KEEP
from eme_connector.errors import StoreUnavailable

FIRST = Path(__file__).parent.parent / "data" / "schemas" / "0001.sql"


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


def test_a_damaged_database_is_left_as_it_is(old):
    with old.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xff" * 4096)
    before = old.read_bytes()

    with pytest.raises(StoreUnavailable):
        upgrade(f"sqlite:///{old}")
    assert old.read_bytes()[4096:] == before[4096:]


def test_of_several_that_start_at_once_one_upgrades(postgres_database):
    words = "import sys; from eme_connector.adapters.database import upgrade; upgrade(sys.argv[1])"
    started = [subprocess.Popen([sys.executable, "-c", words, postgres_database]) for _ in range(4)]

    assert [one.wait(60) for one in started] == [0] * 4


@pytest.fixture
def old_postgres(postgres_database):
    """Return the URL of a PostgreSQL database of the first schema with an account in it."""
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    engine = create_engine(postgres_database)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
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
