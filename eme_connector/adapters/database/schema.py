"""Bring a database to our schema: Alembic is imported here only, because it costs 6 MB."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
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
    """Return the schema's version in the database at *url*, None for an empty or missing one.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        return None
    engine = create_engine(url)
    try:
        return read_version(engine)
    finally:
        engine.dispose()


Dump = Callable[[str], Path | None]
"""How a PostgreSQL database of the schema version given is kept aside; None where it cannot be."""


def upgrade(url: str, dump: Dump | None = None) -> Path | None:
    """Bring the database at *url* to our schema; return the copy of it that was made first.

    An SQLite file is copied beside itself, for PostgreSQL *dump* is called where it is given.

    Raises:
        StoreUnavailable: it cannot be opened or changed, or a newer version has changed it.
    """
    before = schema_version(url)
    if before == VERSION:
        return None
    if before is not None and before > VERSION:  # not even copied: older copies would make room
        raise StoreUnavailable(
            f"the database has schema {before}, newer than this version's {VERSION}: run the newer"
            " version again, or put back the copy from before the upgrade"
        )
    if make_url(url).get_backend_name() != "sqlite":
        return _upgrade_postgres(url, dump)
    copy = _prepare_sqlite(url, before)
    _migrate(url)
    return copy


def _prepare_sqlite(url: str, before: str | None) -> Path | None:
    path = Path(make_url(url).database or "")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = connect_sqlite(str(path))
        with connection:
            return _copy(connection, path, before) if before else None
    except (OSError, sqlite3.Error) as exc:
        raise StoreUnavailable(f"{path}: cannot be opened or copied: {exc}") from exc


def _upgrade_postgres(url: str, dump: Dump | None) -> Path | None:
    """Of several processes that start at once one does it; the others wait and find it done."""
    engine = create_engine(url)
    try:
        with engine.connect() as lock:
            lock.execute(text("SELECT pg_advisory_lock(hashtext('eme upgrade'))"))
            before = read_version(engine)
            copy = dump(before) if dump and before and before != VERSION else None
            _migrate(url)
            return copy
    except SQLAlchemyError as exc:
        raise StoreUnavailable("the database cannot be reached") from exc
    finally:
        engine.dispose()


def _copy(connection: sqlite3.Connection, path: Path, before: str) -> Path:
    """Copy the database beside itself, make sure that it can be read, and drop old copies."""
    target = copy_name(path, before)
    draft = path.with_name(f".{path.name}.copy")  # only what is whole gets the name of a copy
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        with closing(sqlite3.connect(draft)) as copy:
            connection.backup(copy)
            (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise StoreUnavailable(f"{path}: is damaged ({found}); it is not changed")
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)
    drop_old(path)
    return target


def copy_name(path: Path, version: str) -> Path:
    """Return the name of a copy, made now, of the database *path* whose schema is *version*."""
    return path.with_name(f"{path.stem}.{version}.{time.strftime('%Y%m%dT%H%M%S')}{path.suffix}")


def drop_old(path: Path) -> None:
    """Keep the newest copies of the database *path* alone."""
    copies = path.parent.glob(f"{path.stem}.[0-9]*.[0-9]*T[0-9]*{path.suffix}")
    for old in sorted(copies, key=lambda one: one.name.rsplit(".", 2)[1])[:-KEEP]:
        old.unlink()


def _migrate(url: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HERE / "migrations"))
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                # the driver would begin at the first row only, and leave tables half changed
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as exc:
        raise StoreUnavailable("the database cannot be brought to our schema") from exc
    finally:
        engine.dispose()
