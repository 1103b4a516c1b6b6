"""Numbers of changes: every save of a list entry takes the next, and whoever follows misses none.

On SQLite there is one writer, so numbers become visible in their order. On PostgreSQL many
transactions are open at once, and a lower number may be committed after a higher one. A follower
that has seen the higher would never look at the lower. So:

* A writer, before its first number, holds a lock until its end that tells a number below all it
  will take: the last that anybody had been given when it asked.
* A follower reads (1) the last number given, then (2) the lowest number told by a lock, then
  (3) rows up to the lower of the two.

Whoever took a number up to (1) had its lock before it. It is either told in (2), which is then
below that number; or its transaction had ended before (2), and (3) sees what it left. PostgreSQL
gives a lock back after the commit is visible, at a rollback, and when a connection is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import select, text

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.statements import Statement

NAME = "change"
ENDLESS = 2**63 - 1
_LOCKS = 2**62
"""Locks are this much and a number, so that they are not taken for other locks."""
Ask = Callable[[Statement, dict[str, Any]], list[tuple[Any, ...]]]

# the row that is locked comes first, and its number after it
FIRST = Statement(
    text(
        "WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(last_value + :locks)::text"
        " AS lock FROM change_number)"
        " SELECT nextval('change_number') FROM held WHERE held.lock IS NOT NULL"
    ).bindparams(locks=_LOCKS)
)
NEXT = Statement(text("SELECT nextval('change_number')"))
KEPT = Statement(select(t.sequence.c.value).where(t.sequence.c.name == NAME))
_GIVEN = Statement(text("SELECT last_value FROM change_number"))
_OPEN = Statement(
    text(
        "SELECT min((classid::bigint << 32 | objid::bigint) - :locks) FROM pg_locks"
        " WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint << 32 >= :locks"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ).bindparams(locks=_LOCKS)
)


def settled(ask: Ask) -> int:
    """Return the number up to which nothing more becomes visible; *ask* sees what is committed.

    For PostgreSQL: on SQLite every number that can be read is settled.
    """
    ((given,),) = ask(_GIVEN, {})
    ((is_open,),) = ask(_OPEN, {})
    return int(given if is_open is None else min(given, is_open))
