"""Organisations, sharing groups and keys, as each Cerebrate tells of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the directory."""
    op.create_table(
        "directory",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "kind", "uuid"),
    )
    op.create_index("directory_kind", "directory", ["kind", "uuid"], unique=False)
    op.create_index("directory_owner", "directory", ["kind", "owner"], unique=False)
