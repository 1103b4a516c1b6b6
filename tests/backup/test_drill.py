"""The drill: backed up under load, restored elsewhere, nothing acknowledged before is missing."""

from __future__ import annotations

import shutil
import sqlite3
import time

import pytest
import requests
from click.testing import CliRunner

from eme_connector import config
from eme_connector.adapters.backup import database
from eme_connector.adapters.database import open_store
from eme_connector.adapters.database.restored import STEP
from eme_connector.cli import main
from tests.build import CI, OTHER_CI
from tests.conftest import find_free_port
from tests.faults.receiver import SECRET, Receiver
from tests.faults.sidecar import PASSWORD, Sidecar
from tests.server.load import Load


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.release()
    found.close()


@pytest.fixture
def orchestrators(receiver):
    return [{"name": "demo", "url": receiver.url, "secret": SECRET}]


@pytest.fixture
def elsewhere(tmp_path, orchestrators):
    """Return an empty place with a configuration for the same organisation."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    found = Sidecar(folder, find_free_port(), orchestrators=orchestrators)
    yield found
    found.kill()


@pytest.fixture(params=["sqlite", "postgresql"])
def here(request, tmp_path, orchestrators):
    """Return a running sidecar on either database."""
    store = {}
    if request.param == "postgresql":
        store = {"store": {"url": request.getfixturevalue("postgres_database")}}
    folder = tmp_path / "here"
    folder.mkdir()
    found = Sidecar(folder, find_free_port(), orchestrators=orchestrators, **store)
    found.eme("user", "add", "anna", "--role", "admin", "--password-file", "-", "--json",
              input=PASSWORD)  # fmt: skip
    found.token = found.eme("token", "create", "atio", "--right", "ingest", "--right", "read",
                            "--json")["token"]  # fmt: skip
    found.start()
    yield found
    found.kill()


def run(sidecar, *words):
    """Run a command that may fail; return (exit code, output)."""
    done = CliRunner().invoke(main, ["--config", str(sidecar.folder / "config.yaml"), *words])
    return done.exit_code, done.output


def _wait_until(holds, seconds=30):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_drill(here, elsewhere, postgres, tmp_path):
    is_sqlite = (here.folder / "data" / "eme.db").exists()
    with Load(here.url, here.token) as load:
        _wait_until(lambda: len(load.threats) > 20)
        acknowledged = set(load.threats.values())
        made = here.eme("backup", str(tmp_path), "--json")
        time.sleep(0.3)
    assert load.failures == []
    here.stop()

    if not is_sqlite:
        elsewhere.configure(store={"url": postgres.create_database()})
    checked = elsewhere.eme("restore", made["path"], "--dry-run", "--json")
    elsewhere.eme("restore", made["path"], "--json")
    elsewhere.start()

    assert checked["files"] == sorted(made["files"])
    assert len(acknowledged) > 20
    found = _threats(elsewhere.url, here.token)
    assert acknowledged <= found <= set(load.threats.values())
    for name in ("keys/signing.pem", "cookie.key"):
        there, copied = (one.folder / "data" / name for one in (here, elsewhere))
        assert there.read_bytes() == copied.read_bytes()
        assert copied.stat().st_mode & 0o077 == 0
    elsewhere.stop()
    assert _sequence(elsewhere, next(iter(acknowledged))) > STEP
    if is_sqlite:
        with sqlite3.connect(elsewhere.folder / "data" / "eme.db") as driver:
            assert driver.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        driver.close()


@pytest.mark.parametrize("here", ["sqlite"], indirect=True)
def test_what_may_have_left_since_is_asked_about_and_never_sent_twice(
    here, elsewhere, receiver, tmp_path
):
    """The delivery is in the backup as owed; it left afterwards."""
    here.eme("policy", "set", "contain.isolate=on", "--yes", "--json")
    receiver.hold_next()
    with Load(here.url, here.token, threads=1, pause=60):  # one only
        assert receiver.held.wait(30)
    _owe_again(here.folder / "data" / "eme.db")
    made = here.eme("backup", str(tmp_path), "--json")
    here.kill()
    receiver.release()
    before = len(receiver.seen)

    elsewhere.configure(
        orchestrators=[{"name": "demo", "url": receiver.url, "secret": SECRET, "timeout_s": 1}],
        delivery={"settle_s": 0.5, "retry_first_s": 0.1},
    )
    told = elsewhere.eme("restore", made["path"], "--json")
    elsewhere.start()

    def states():
        found = elsewhere.eme("outbox", "list", "--json")["deliveries"]
        return {one["state"] for one in found}

    _wait_until(lambda: states() <= {"uncertain", "delivered"})
    assert told["asked"] == before
    assert len(receiver.seen) == before


@pytest.mark.parametrize("here", ["sqlite"], indirect=True)
def test_what_must_not_be_overwritten_is_not(here, elsewhere, tmp_path):
    made = here.eme("backup", str(tmp_path / "one.tar"), "--json")
    shutil.copy(here.folder / "config.yaml", tmp_path / "config.yaml")

    running = run(here, "restore", made["path"], "--replace")
    again = run(here, "backup", str(tmp_path / "one.tar"))
    here.stop()
    there = run(here, "restore", made["path"])
    elsewhere.configure(
        instance={"organisation": OTHER_CI, "data_dir": "data"},
        organisations=[{"uuid": CI, "name": "CI-1"}, {"uuid": OTHER_CI, "name": "CI-2"}],
    )
    another = run(elsewhere, "restore", made["path"])

    assert (running[0], "a sidecar runs" in running[1]) == (6, True)
    assert (again[0], "there already" in again[1]) == (6, True)
    assert (there[0], "--replace" in there[1]) == (6, True)
    assert (another[0], "not of this sidecar" in another[1]) == (6, True)
    assert not (elsewhere.folder / "data" / "eme.db").exists()

    kept = here.eme("restore", made["path"], "--replace", "--json")["set_aside"]
    assert any("eme.replaced-" in one for one in kept)
    here.start()


@pytest.mark.parametrize("here", ["postgresql"], indirect=True)
def test_a_postgresql_database_is_replaced_as_a_whole_or_not_at_all(here, tmp_path, monkeypatch):
    made = here.eme("backup", str(tmp_path), "--json")
    here.stop()
    here.eme("user", "add", "later", "--role", "viewer", "--password-file", "-", "--json",
             input=PASSWORD)  # fmt: skip

    refused = run(here, "restore", made["path"])
    with monkeypatch.context() as broken:
        broken.setattr(database.metadata, "tables", {"account": None, 'x" nonsense': None})
        failed = run(here, "restore", made["path"], "--replace")
    after_failure = _names(here)
    here.eme("restore", made["path"], "--replace", "--json")

    assert (refused[0], "--replace" in refused[1]) == (6, True)
    assert failed[0] != 0
    assert "psql failed" in failed[1]
    assert after_failure == {"anna", "later"}
    assert _names(here) == {"anna"}
    here.start()


@pytest.mark.parametrize("here", ["sqlite"], indirect=True)
def test_a_machine_without_a_configuration_gets_that_of_the_backup(here, tmp_path):
    made = here.eme("backup", str(tmp_path), "--json")
    fresh = tmp_path / "fresh"
    fresh.mkdir()

    words = ["--config", str(fresh / "config.yaml"), "restore", made["path"], "--json"]
    done = CliRunner().invoke(main, words)

    assert done.exit_code == 0, done.output
    assert (fresh / "config.yaml").read_bytes() == (here.folder / "config.yaml").read_bytes()
    assert (fresh / "config.yaml").stat().st_mode & 0o777 == 0o600
    assert (fresh / "data" / "eme.db").exists()


@pytest.mark.parametrize("here", ["sqlite"], indirect=True)
def test_a_backup_of_a_newer_schema_is_refused(here, elsewhere, tmp_path, monkeypatch):
    made = here.eme("backup", str(tmp_path), "--json")
    monkeypatch.setattr("eme_connector.adapters.backup.restoring.VERSION", "0000")

    code, text = run(elsewhere, "restore", made["path"])

    assert (code, "install the newer version" in text) == (6, True)


def _names(sidecar):
    return {one["name"] for one in sidecar.eme("user", "list", "--json")["users"]}


def _threats(url, token):
    found, cursor = set(), None
    while True:
        page = requests.get(
            f"{url}/api/v1/ci/threats",
            params={"limit": 100} | ({"cursor": cursor} if cursor else {}),
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
        ).json()
        found |= {one["id"] for one in page["threats"]}
        if not (cursor := page.get("next")):
            return found


def _sequence(sidecar, threat):
    """Return what peers and MISP go by: they take a state only if its number is higher."""
    store = open_store(config.load(sidecar.folder / "config.yaml", {}).store_url)
    found = store.find_visible_threat(threat, CI)
    store.close()
    return found.sequence


def _owe_again(path):
    """Make what is being sent look as it did a moment before."""
    with sqlite3.connect(path, timeout=10) as database:
        database.execute(
            "UPDATE delivery SET state = 'owed', sent_at = NULL, lease_until = 0, fence = 0"
            " WHERE state = 'sending'"
        )
    database.close()
