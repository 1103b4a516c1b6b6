"""Databases of our schema, copied from one that is migrated once: that takes up to a second."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from eme_connector.adapters.database import upgrade
from tests.servers.postgres import Postgres


def sqlite(path: Path) -> str:
    """Make an empty database of our schema at *path*, where there is none yet; return its URL."""
    if not path.exists():
        shutil.copy(_empty(), path)
    return f"sqlite:///{path}"


def postgresql(server: Postgres) -> str:
    """Return the URL of a fresh database of our schema."""
    return server.create_database(_template(server))


@cache
def _empty() -> Path:
    path = Path(mkdtemp(prefix="eme-tests-")) / "empty.db"
    upgrade(f"sqlite:///{path}")
    return path


@cache
def _template(server: Postgres) -> str:
    url = server.create_database()
    upgrade(url)
    return url.rpartition("/")[2]
