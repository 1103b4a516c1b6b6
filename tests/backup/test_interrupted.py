"""What goes wrong in the middle of a backup or a restore leaves nothing that looks whole."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing

import psycopg
import pytest

from eme_connector.adapters.backup import archive, database, restoring
from eme_connector.errors import Conflict, StoreUnavailable
from tests.backup.test_drill import run
from tests.faults.sidecar import PASSWORD, Sidecar
from tests.servers.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def sidecar(request, tmp_path, free_port):
    """Return a sidecar with an account, on either database; it does not run."""
    store = {}
    if request.param == "postgresql":
        store = {"store": {"url": request.getfixturevalue("postgres_database")}}
    found = Sidecar(tmp_path, free_port(), **store)
    found.eme("user", "add", "anna", "--role", "admin", "--password-file", "-", "--json",
              input=PASSWORD)  # fmt: skip
    yield found
    found.kill()


@pytest.fixture
def file(tmp_path):
    """Return the path of an SQLite database with one row, `old`."""
    path = tmp_path / "data" / "eme.db"
    path.parent.mkdir()
    _fill(path, "old")
    return path


@pytest.fixture
def copy(tmp_path):
    """Return the path of a copy with one row, `new`."""
    _fill(tmp_path / "copy.db", "new")
    return tmp_path / "copy.db"


@pytest.mark.parametrize("sidecar", ["sqlite"], indirect=True)
def test_a_configuration_that_changes_during_a_backup_does_not_spoil_it(sidecar, monkeypatch):
    config, fill = sidecar.folder / "config.yaml", archive._fill

    def changed_meanwhile(*words):
        config.write_text("# a word more\n" + config.read_text())
        fill(*words)

    before = config.read_bytes()
    with monkeypatch.context() as now:
        now.setattr(archive, "_fill", changed_meanwhile)
        made = sidecar.eme("backup", str(sidecar.folder), "--json")
    (out := sidecar.folder / "out").mkdir()
    archive.read(sidecar.folder / made["path"], out)

    assert (out / "config.yaml").read_bytes() == before


@pytest.mark.parametrize("sidecar", ["sqlite"], indirect=True)
def test_whatever_the_files_beside_the_key_are_called_a_backup_can_be_restored(sidecar):
    keys = sidecar.folder / "data" / "keys"
    keys.mkdir(exist_ok=True)
    (keys / ".hidden").mkdir()
    for name in ("signing.pem~", "an old key (2).pem", "schlüssel", ".hidden/x"):
        (keys / name).write_text(name)

    made = sidecar.eme("backup", str(sidecar.folder), "--json")
    shutil.rmtree(sidecar.folder / "data")
    sidecar.eme("restore", made["path"], "--json")

    kept = {one.name for one in keys.iterdir()}
    assert kept >= {"signing.pem~", "an old key (2).pem", "schlüssel"}
    assert ".hidden" not in kept


def test_a_restore_that_ends_before_all_is_settled_cannot_be_served(sidecar, monkeypatch):
    made = sidecar.eme("backup", str(sidecar.folder), "--json")

    def end(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(restoring, "settle", end)
        failed = run(sidecar, "restore", made["path"], "--replace")
    served, worked = sidecar.spawn().wait(20), sidecar.also("worker").wait(20)
    said = sidecar.log
    sidecar.eme("restore", made["path"], "--replace", "--json")

    assert failed[0] != 0
    assert (served, worked != 0) == (6, True)
    assert "a restore was not finished" in said
    sidecar.start()


@pytest.mark.parametrize("sidecar", ["sqlite"], indirect=True)
def test_a_restore_that_cannot_put_the_database_there_leaves_the_old_one(sidecar, monkeypatch):
    made = sidecar.eme("backup", str(sidecar.folder), "--json")

    def full(*_):
        raise StoreUnavailable("database or disk is full")

    with monkeypatch.context() as now:
        now.setattr(database, "copy", full)
        failed = run(sidecar, "restore", made["path"], "--replace")

    assert (failed[0] != 0, "full" in failed[1]) == (True, True)
    sidecar.start()
    assert [one["name"] for one in sidecar.eme("user", "list", "--json")["users"]] == ["anna"]


def test_a_copy_that_cannot_be_made_leaves_the_database_where_it_is(file):
    with pytest.raises((StoreUnavailable, OSError)):
        database.put(f"sqlite:///{file}", file.with_name("no such file"))

    assert _rows(file) == ["old"]
    assert [one.name for one in file.parent.iterdir()] == ["eme.db"]


def test_the_log_of_a_database_that_is_gone_is_not_read_into_the_restored_one(file, copy):
    """As after a restore that was killed, or where somebody removed the damaged file alone."""
    log = file.with_name("eme.db-wal")
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("UPDATE t SET a = 'from the log'")
        writer.commit()
        kept = log.read_bytes()
    file.unlink()
    log.write_bytes(kept)

    database.put(f"sqlite:///{file}", copy)

    assert _rows(file) == ["new"]


@pytest.fixture
def vacuumed(postgres, free_port):
    """Return the URL of a PostgreSQL database that is being vacuumed by itself.

    On a server of its own: beside many databases its turn may not come for long.
    """
    server = Postgres(free_port())
    try:
        server.start()
        yield _vacuumed_at(server.create_database())
    finally:
        server.stop()


def _vacuumed_at(url):
    """Make what is vacuumed slowly, and wait for that."""
    at_it = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"
    slowly = ("naptime = '1s'", "vacuum_cost_delay = '100ms'", "vacuum_cost_limit = 1")
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as here:
        for setting in slowly:
            here.execute(f"ALTER SYSTEM SET autovacuum_{setting}".encode())
        here.execute("SELECT pg_reload_conf()")
        here.execute("CREATE TABLE t AS SELECT n, repeat('x', 500) FROM generate_series(1, 9999) n")
        here.execute("DELETE FROM t WHERE n % 2 = 0")
        until = time.monotonic() + 30
        while here.execute(f"{at_it} AND datname = current_database()").fetchone() == (0,):
            assert time.monotonic() < until
            time.sleep(0.05)
    return url


def test_a_database_that_postgresql_vacuums_by_itself_is_not_in_use(vacuumed):
    database.refuse_while_used(vacuumed)

    with psycopg.connect(vacuumed.replace("+psycopg", "")), pytest.raises(Conflict, match="1 conn"):
        database.refuse_while_used(vacuumed)


def _fill(path, word):
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (a)")
        made.execute("INSERT INTO t VALUES (?)", (word,))
        made.commit()


def _rows(path):
    with closing(sqlite3.connect(path)) as found:
        assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [row[0] for row in found.execute("SELECT a FROM t")]
