"""What is due, by lane; salts under the number of their record alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_OPEN = sa.text("state IN ('owed', 'sending')")


def upgrade() -> None:
    """Make the index anew; on SQLite the table of salts too, whose key was an index of its own."""
    op.drop_index("delivery_due", "delivery")
    op.create_index(
        "delivery_due",
        "delivery",
        ["lane", "next_at"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    if op.get_bind().dialect.name != "sqlite":
        return
    op.rename_table("audit_salt", "audit_salt_before")
    op.create_table(
        "audit_salt",
        sa.Column("audit_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id"),
    )
    op.execute("INSERT INTO audit_salt SELECT audit_id, salt FROM audit_salt_before")
    op.drop_table("audit_salt_before")
