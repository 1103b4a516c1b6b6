"""Bytes, records and deliveries under the small number of their threat, not under its random id."""

from __future__ import annotations

import sys

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

MANY = 100_000
_INDEXES = {"audit": ("threat",), "delivery": ("threat", "lane")}


def upgrade() -> None:
    """Make the table of bytes anew in the order of threats; give the others one more column.

    What names a threat that is not there keeps its id, without a number. Bytes have always been
    written together with their threat.
    """
    bind = op.get_bind()
    many = bind.execute(sa.text("SELECT coalesce(max(seq), 0) FROM threat")).scalar_one()
    if many > MANY:
        print(f"moving the bytes of {many} threats, some minutes for a million", file=sys.stderr)
    _move_bytes(bind.dialect.name)
    for table, columns in _INDEXES.items():
        op.drop_index(f"{table}_threat", table)
        op.add_column(table, sa.Column("threat", sa.BigInteger(), nullable=True))
        op.execute(
            f"UPDATE {table} SET threat ="  # noqa: S608
            f" (SELECT known.seq FROM threat AS known WHERE known.id = {table}.threat_id)"
            " WHERE threat_id IS NOT NULL"
        )
        op.create_index(f"{table}_threat", table, list(columns))
    if bind.dialect.name == "postgresql":
        op.execute("ANALYZE raw, audit, delivery")


def _move_bytes(dialect: str) -> None:
    op.rename_table("raw", "raw_before")
    if dialect == "postgresql":
        op.execute("ALTER INDEX raw_pkey RENAME TO raw_before_pkey")
    op.create_table(
        "raw",
        sa.Column("threat", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("threat", "revision"),
    )
    # SQLite takes the tables of a CROSS JOIN in this order, and so has no gigabytes to sort
    join = "CROSS JOIN raw_before WHERE" if dialect == "sqlite" else "JOIN raw_before ON"
    op.execute(
        "INSERT INTO raw (threat, revision, key_id, bytes)"  # noqa: S608
        f" SELECT threat.seq, revision, key_id, bytes FROM threat {join}"
        " raw_before.threat_id = threat.id ORDER BY threat.seq, revision"
    )
    op.drop_table("raw_before")
