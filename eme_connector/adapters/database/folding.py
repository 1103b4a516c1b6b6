"""Fold the shards of counters into one, so that a chart on PostgreSQL reads a row per bar.

Transactions that are open at once count on shards of their own. Once an hour or a day is over
hardly anybody counts there, yet each page would go on reading every shard of it. What is folded
are the counters of those whose charts are looked at, by the follower of keywords, once a minute.

Nobody waits for another in a circle. A fold passes over rows that are locked, and waits for those
of shard 0 alone, in the order in which all that count take them.
"""

from __future__ import annotations

import time

from sqlalchemy import Table, text

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.charts import DAYS, WEEKS
from eme_connector.adapters.database.statements import Connection, Statement
from eme_connector.adapters.database.totals import DAY, HOUR

EVERY_S = 60.0


def _fold(table: Table, which: str) -> Statement:
    """Return what adds the rows of *table* that are *which* to shard 0, and drops them."""
    keys = [column.name for column in table.primary_key.columns if column.name != "shard"]
    counters = [column.name for column in table.columns if not column.primary_key]
    name, key, columns = table.name, ", ".join(keys), ", ".join(counters)
    same = " AND ".join(f"{name}.{one} = taken.{one}" for one in (*keys, "shard"))
    sums = ", ".join(f"sum({one})" for one in counters)
    added = ", ".join(f"{one} = {name}.{one} + excluded.{one}" for one in counters)
    return Statement(
        text(
            f"""
WITH taken AS MATERIALIZED (
  SELECT {key}, shard FROM {name} WHERE viewer = :viewer AND shard > 0 AND {which}
  FOR UPDATE SKIP LOCKED
), gone AS (
  DELETE FROM {name} USING taken WHERE {same} RETURNING {name}.*
)
INSERT INTO {name} ({key}, shard, {columns})
SELECT {key}, 0, {sums} FROM gone GROUP BY {key} ORDER BY {key}
ON CONFLICT ({key}, shard) DO UPDATE SET {added}"""  # noqa: S608 - our own names
        )
    )


_ORIGINS = _fold(t.origin_tally, "true")
_BARS = {
    span: _fold(t.tally, f"span = '{span}' AND start >= :first AND start < :now")
    for span in ("day", "hour")
}


def fold(connection: Connection, viewer: str, now: float) -> None:
    """Fold what the charts of *viewer* read at *now* (seconds), but for the hour and day it is."""
    at = round(now * 1_000_000)
    hour, day = at // HOUR * HOUR, at // DAY * DAY
    connection.run(_ORIGINS, {"viewer": viewer})
    for span, first, last in (("day", day - WEEKS * DAYS * DAY, day), ("hour", hour - DAY, hour)):
        connection.run(_BARS[span], {"viewer": viewer, "first": first, "now": last})


class Looked:
    """Whose charts were looked at since they were folded, and who of them is due."""

    def __init__(self) -> None:
        self._viewers = set[str]()
        self._folded_at: dict[str, float] = {}

    def add(self, viewer: str) -> None:
        """Note that somebody looks at the charts of *viewer*."""
        self._viewers.add(viewer)

    def due(self) -> tuple[str, ...]:
        """Return who was not folded for EVERY_S; they count as folded from now on."""
        now = time.monotonic()
        first = now - EVERY_S
        self._folded_at = {one: at for one, at in self._folded_at.items() if at > first}
        due = tuple(one for one in tuple(self._viewers) if one not in self._folded_at)
        self._viewers.difference_update(due)
        self._folded_at |= dict.fromkeys(due, now)
        return due
