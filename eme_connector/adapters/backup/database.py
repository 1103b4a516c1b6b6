"""Copy a database while it is used, and put a copy in the place of one.

SQLite by its own backup API: a snapshot, writers go on. PostgreSQL by pg_dump and pg_restore.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing
from itertools import count
from pathlib import Path
from urllib.parse import quote

import structlog
from sqlalchemy import URL, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from eme_connector.adapters.database.schema import copy_name, drop_old
from eme_connector.adapters.database.tables import metadata
from eme_connector.errors import Conflict, Malformed, StoreUnavailable, Unavailable

log = structlog.get_logger("eme.backup")
_SQLITE = ("", "-wal", "-shm")


def kind(url: str) -> str:
    """Return `sqlite` or `postgresql`."""
    return make_url(url).get_backend_name()


def copy(url: str, target: Path) -> None:
    """Copy the database at *url*, as it is at one moment, into the new file *target*.

    Raises:
        StoreUnavailable: it cannot be read.
        Unavailable: pg_dump is missing or fails.
    """
    parsed = make_url(url)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if parsed.get_backend_name() != "sqlite":
        _run("pg_dump", parsed, "--format=custom", "--no-owner", f"--file={target}")
        return
    if not Path(parsed.database or "").exists():
        raise StoreUnavailable(f"{parsed.database}: there is no database yet")
    try:
        with (
            closing(sqlite3.connect(parsed.database or "", timeout=10)) as source,
            closing(sqlite3.connect(target)) as made,
        ):
            source.backup(made)
            made.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as exc:
        raise StoreUnavailable(f"{parsed.database}: cannot be copied: {exc}") from exc


def dump_aside(url: str, folder: Path, version: str) -> Path | None:
    """Dump the PostgreSQL database at *url*, whose schema is *version*, into *folder*.

    Returns None, and logs why, where pg_dump cannot: an upgrade is one transaction there, so what
    goes wrong in it changes nothing even without a copy.
    """
    target = copy_name(folder / "eme.dump", version)
    draft = folder / ".eme.dump.part"  # only what is whole gets the name of a copy
    draft.unlink(missing_ok=True)
    try:
        copy(url, draft)
        draft.rename(target)
    except (Unavailable, OSError) as exc:
        draft.unlink(missing_ok=True)
        log.warning("no_copy_before_upgrade", reason=str(exc))
        return None
    drop_old(folder / "eme.dump")
    return target


def check(path: Path) -> None:
    """Look through a copy of an SQLite database.

    Raises:
        Malformed: it is damaged.
    """
    try:
        address = f"file:{quote(str(path))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as made:
            (found,) = made.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as exc:
        raise Malformed(f"the database in it is damaged: {exc}") from exc
    if found != "ok":
        raise Malformed(f"the database in it is damaged: {found}")


def is_there(url: str) -> bool:
    """Say whether there is a database of ours already.

    Raises:
        StoreUnavailable: PostgreSQL cannot be reached.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Path(parsed.database or "").exists()
    return bool(_ask(url, "SELECT count(*) FROM pg_tables WHERE tablename = 'alembic_version'"))


def refuse_while_used(url: str) -> None:
    """Raise Conflict while anybody else is connected to a PostgreSQL database."""
    if kind(url) == "sqlite":
        return
    others = _ask(
        url,
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'",  # autovacuum gives way to a restore
    )
    if others:
        raise Conflict(f"{others} connections to the database are open: stop every sidecar first")


def put(url: str, source: Path) -> Path | None:
    """Put the copy *source* in the place of the database at *url*.

    Returns where an SQLite file that was there is kept now.

    Raises:
        StoreUnavailable: an SQLite file cannot be written; nothing is changed then.
        Unavailable: pg_restore or psql is missing or fails; nothing is changed then.
        OSError
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        _put_postgres(parsed, source)
        return None
    path = Path(parsed.database or "")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # between the file systems of a backup and of the data a rename may not do
    draft = path.with_name(f".{path.name}.restored")
    draft.unlink(missing_ok=True)
    try:
        copy(f"sqlite:///{source}", draft)
        # its log alone too: SQLite would take it for that of the new file
        there = any(path.with_name(path.name + end).exists() for end in _SQLITE)
        kept = set_aside(path) if there else None
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    return kept


def _put_postgres(url: URL, source: Path) -> None:
    """Drop our tables and make those of the dump, in one transaction.

    pg_restore alone drops what the dump has: tables of a newer schema would be left, and in the
    way of the upgrade that follows.
    """
    ours = ", ".join(f'"{name}"' for name in (*metadata.tables, "keyword_index"))
    with tempfile.TemporaryDirectory(prefix=".eme-restore-", dir=source.parent) as folder:
        words = Path(folder) / "restore.sql"
        _run("pg_restore", url, "--clean", "--if-exists", "--no-owner", f"--file={words}",
             str(source))  # fmt: skip
        _run("psql", url, "--no-psqlrc", "--quiet", "--single-transaction",
             "--set=ON_ERROR_STOP=1", f"--command=DROP TABLE IF EXISTS {ours} CASCADE",
             f"--file={words}")  # fmt: skip


def set_aside(path: Path) -> Path:
    """Give a database file, or a folder, a name that nobody uses; return it."""
    name = f"{path.stem}.replaced-{time.strftime('%Y%m%dT%H%M%S')}"
    tries = (path.with_name(f"{name}{'-' * n}{path.suffix}") for n in count())
    kept = next(one for one in tries if not one.exists())
    for end in _SQLITE:
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(kept.with_name(kept.name + end))
    return kept


def _ask(url: str, question: str) -> int:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return int(connection.execute(text(question)).scalar() or 0)
    except SQLAlchemyError as exc:
        raise StoreUnavailable("the database cannot be reached") from exc
    finally:
        engine.dispose()


def _run(program: str, url: URL, *words: str) -> None:
    """Run one of PostgreSQL's own programs; the password goes by its environment."""
    found = shutil.which(program) or _newest(program)
    if found is None:
        raise Unavailable(f"{program} is not installed: apt-get install postgresql-client")
    where = {
        "PGHOST": url.host, "PGPORT": str(url.port or ""), "PGUSER": url.username,
        "PGPASSWORD": url.password, "PGDATABASE": url.database,
    } | {_LIBPQ[key]: value for key, value in url.query.items() if key in _LIBPQ}  # fmt: skip
    environ = os.environ | {key: str(value) for key, value in where.items() if value}
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program, our own words
        [found, *words], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise Unavailable(f"{program} failed: {last}")


def _newest(program: str) -> str | None:
    """Look where Debian keeps what it does not put on the path."""
    found = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda one: int(one.parts[-3])
    )
    return str(found[-1]) if found else None


_LIBPQ = {
    "host": "PGHOST",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}
