"""The store on SQLite or PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable

from eme_connector.adapters.database.engine import VERSION, DatabaseStore
from eme_connector.adapters.database.schema import schema_version, upgrade

__all__ = ["VERSION", "DatabaseStore", "open_store", "schema_version", "upgrade"]


def open_store(url: str, *, clock: Callable[[], float] = time.time) -> DatabaseStore:
    """Return the store at *url*, whose schema must be ours (`upgrade` brings it there).

    Raises:
        StoreUnavailable: it cannot be reached, or its schema is another.
    """
    store = DatabaseStore(url, clock)
    try:
        store.ping()
    except BaseException:
        store.close()
        raise
    return store
