"""SQLite's write-ahead log is copied beside the writer, and begins anew again and again."""

from __future__ import annotations

import sqlite3
import threading
import time

import pytest

from eme_connector.adapters.database import checkpoints, open_store
from tests import ready
from tests.store.some import put, some

WORKS = 400
ROWS = 100
MOST_BYTES = 6_000_000


@pytest.fixture
def path(tmp_path):
    ready.sqlite(tmp_path / "eme.db")
    return tmp_path / "eme.db"


@pytest.fixture
def store(path, monkeypatch):
    monkeypatch.setattr(checkpoints, "ROWS", ROWS)
    opened = open_store(f"sqlite:///{path}")
    yield opened
    opened.close()


def names():
    return {one.name for one in threading.enumerate()}


def test_under_load_the_log_does_not_grow_for_ever(store, path):
    log = path.with_name(path.name + "-wal")

    for _ in range(WORKS):
        put(store, some())
        time.sleep(0.001)  # as long as a request takes: the copying thread has its turn

    assert log.stat().st_size < MOST_BYTES
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reading:
        assert reading.execute("SELECT count(*) FROM threat").fetchone() == (WORKS,)
        assert reading.execute("PRAGMA quick_check").fetchone() == ("ok",)


def test_what_cannot_be_copied_now_disturbs_nobody(store, path, monkeypatch):
    class Broken(sqlite3.Connection):
        def execute(self, sql, *more):
            if "wal_checkpoint" in sql:
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql, *more)

    monkeypatch.setattr(store._writer._checkpoints, "_connect",
                        lambda: sqlite3.connect(path, factory=Broken))  # fmt: skip

    for _ in range(2 * ROWS):
        put(store, some())

    assert "eme-checkpoint" in names()
    assert put(store, some())


def test_closing_the_store_ends_the_thread(path, monkeypatch):
    monkeypatch.setattr(checkpoints, "ROWS", 1)
    opened = open_store(f"sqlite:///{path}")
    put(opened, some())
    assert "eme-checkpoint" in names()

    opened.close()

    assert "eme-checkpoint" not in names()
