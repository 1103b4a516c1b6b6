"""Let autovacuum mark new list entries soon: an index answers alone for what is marked.

By itself it waits until a fifth of a table is new, and the newest are what lists read.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

SINCE = 130000


def upgrade() -> None:
    """Set it where PostgreSQL knows it."""
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        return
    if int(bind.execute(sa.text("SHOW server_version_num")).scalar_one()) >= SINCE:
        op.execute("ALTER TABLE listing SET (autovacuum_vacuum_insert_scale_factor = 0.01)")
