"""Numbers of changes come from a sequence on PostgreSQL: a row let one transaction in at a time."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Go on from the number that the row has come to."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("CREATE SEQUENCE change_number MINVALUE 0 START 0 OWNED BY sequence.value")
    op.execute(
        "SELECT setval('change_number',"
        " coalesce((SELECT value FROM sequence WHERE name = 'change'), 0))"
    )
    op.execute("DELETE FROM sequence WHERE name = 'change'")
