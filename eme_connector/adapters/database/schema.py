"""Bring a database to our schema: Alembic is imported here only, because it costs 6 MB."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from eme_connector.adapters.database.engine import VERSION, connect_sqlite, read_version
from eme_connector.errors import StoreUnavailable

KEEP = 3
_HERE = Path(__file__).parent


def schema_version(url: str) -> str | None:
    """Return the schema's version in the database at *url*, None for an empty or missing one."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        return None
    engine = create_engine(url)
    try:
        return read_version(engine)
    finally:
        engine.dispose()


def upgrade(url: str) -> Path | None:
    """Bring the database at *url* to our schema; return the copy made of an SQLite file first.

    Raises:
        StoreUnavailable: it cannot be opened or changed.
    """
    before = schema_version(url)
    if before == VERSION:
        return None
    copy = _prepare(url, before)
    _migrate(url)
    return copy


def _prepare(url: str, before: str | None) -> Path | None:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    path = Path(parsed.database or "")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = connect_sqlite(str(path))
        with connection:
            return _copy(connection, path, before) if before else None
    except (OSError, sqlite3.Error) as exc:
        raise StoreUnavailable(f"{path}: cannot be opened: {type(exc).__name__}") from exc


def _copy(connection: sqlite3.Connection, path: Path, before: str) -> Path:
    """Copy the database beside itself, make sure that it can be read, and drop old copies."""
    target = path.with_name(f"{path.stem}.{before}.{time.strftime('%Y%m%dT%H%M%S')}.db")
    os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)
        (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise StoreUnavailable(f"{path}: is damaged ({found}); it is not changed")
    copies = path.parent.glob(f"{path.stem}.[0-9]*.[0-9]*T[0-9]*.db")
    for old in sorted(copies, key=lambda one: one.name.rsplit(".", 2)[1])[:-KEEP]:
        old.unlink()
    return target


def _migrate(url: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HERE / "migrations"))
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # of several that start at once one does it, the others find it done
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('eme upgrade'))"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as exc:
        raise StoreUnavailable("the database cannot be brought to our schema") from exc
    finally:
        engine.dispose()
