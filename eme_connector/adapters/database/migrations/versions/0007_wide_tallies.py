"""Counters with a column for each word of an axis, and totals of keywords."""

from __future__ import annotations

import json
import time
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

DAY = 86_400_000_000
AXES = {
    "kind": ("attack", "vulnerability"),
    "status": ("pending", "approved", "declined", "resolved"),
    "band": ("low", "medium", "high", "critical"),
}
BATCH = 1_000


def upgrade() -> None:
    """Bring what the counters hold into their new form."""
    _widen("tally", ("viewer", "span", "start"), AXES)
    _widen("origin_tally", ("viewer", "organisation"), {"status": AXES["status"]})
    op.drop_table("keyword_tally")
    op.create_table(
        "keyword_counted",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("viewer", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("keyword", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", "viewer"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_keyword_counted_start", "keyword_counted", ["start"], unique=False)
    op.create_table(
        "keyword_total",
        sa.Column("viewer", sa.Text(), nullable=False),
        sa.Column("keyword", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("viewer", "keyword"),
        sqlite_with_rowid=False,
    )
    op.create_index("keyword_total_most", "keyword_total", ["viewer", sa.text("n DESC"), "keyword"])
    _count_keywords(op.get_bind())


def _widen(table: str, key: tuple[str, ...], axes: dict[str, tuple[str, ...]]) -> None:
    """Sum the rows of *table* up to one for each *key*, in a table of its new form."""
    op.execute(f"CREATE TEMPORARY TABLE old_{table} AS SELECT * FROM {table}")  # noqa: S608 - as below
    op.drop_table(table)
    words = [word for axis in axes.values() for word in axis]
    kinds: dict[str, Any] = {"start": sa.BigInteger(), "shard": sa.Integer()}
    op.create_table(
        table,
        *(sa.Column(one, kinds.get(one, sa.Text()), nullable=False) for one in (*key, "shard")),
        *(sa.Column(word, sa.Integer(), nullable=False) for word in words),
        sa.PrimaryKeyConstraint(*key, "shard"),
        sqlite_with_rowid=False,
    )
    sums = ", ".join(
        f"sum(CASE WHEN {axis} = '{word}' THEN n ELSE 0 END)"
        for axis, several in axes.items()
        for word in several
    )
    keys = ", ".join(key)
    op.execute(
        f"INSERT INTO {table} ({keys}, shard, {', '.join(words)})"  # noqa: S608 - our own words
        f" SELECT {keys}, 0, {sums} FROM old_{table} GROUP BY {keys}"
    )
    op.execute(f"DROP TABLE old_{table}")


def _count_keywords(connection: sa.Connection) -> None:
    """Count the keywords of the last seven days anew: the threats hold them."""
    first = round(time.time() * 1_000_000) // DAY * DAY - 6 * DAY
    entries = sa.text(
        "SELECT threat.seq, listing.viewer, listing.received_at, threat.body FROM listing"
        " JOIN threat ON threat.id = listing.threat_id WHERE listing.received_at >= :first"
    ).execution_options(yield_per=BATCH)
    insert = sa.text("INSERT INTO keyword_counted VALUES (:seq, :viewer, :start, :keyword)")
    for rows in connection.execute(entries, {"first": first}).partitions():
        connection.execute(insert, [_counted(*row) for row in rows])
    op.execute(
        "INSERT INTO keyword_total SELECT viewer, keyword, count(*) FROM keyword_counted"
        " GROUP BY viewer, keyword"
    )


def _counted(seq: int, viewer: str, at: int, body: str) -> dict[str, Any]:
    words = json.loads(body)["detection"]["threat"].lower().split()
    keyword = " ".join(words)[:80]
    return {"seq": seq, "viewer": viewer, "start": at // DAY * DAY, "keyword": keyword}
