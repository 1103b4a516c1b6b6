"""List entries as small numbers, in indexes that a walk never leaves; words without their signs."""

from __future__ import annotations

import json
import sys

import sqlalchemy as sa
from alembic import op

from eme_connector.adapters.database.keywords import SCHEMA, document

revision = "0009"
down_revision = "0008"

STEP = 10_000
MANY = 100_000
_CODES = {
    "status": ("pending", "approved", "declined", "resolved"),
    "execution": ("none", "dispatched", "ongoing", "uncertain", "succeeded", "failed"),
    "kind": ("attack", "vulnerability"),
    "band": ("low", "medium", "high", "critical"),
}
_INDEXES = {
    "": (),
    "_status": ("status",),
    "_organisation": ("organisation",),
    "_organisation_status": ("organisation", "status"),
}
_ORDERS = {"newest": ("received_at", "threat"), "rank": ("rank", "received_at", "threat")}


_ADD = {
    "sqlite": "INSERT INTO keyword_index (rowid, document) VALUES (:seq, :document)",
    "postgresql": "INSERT INTO keyword_index (rowid, document)"
    " VALUES (:seq, to_tsvector('simple', :document))",
}


def upgrade() -> None:
    """Give organisations numbers, make the table anew, and index the words anew."""
    dialect = op.get_bind().dialect.name
    for index in ("change", *(f"{order}{more}" for order in _ORDERS for more in _INDEXES)):
        op.drop_index(f"listing_{index}", "listing")
    op.rename_table("listing", "listing_before")
    if dialect == "postgresql":
        op.execute("ALTER INDEX listing_pkey RENAME TO listing_before_pkey")
    _make_tables()
    _copy()
    op.drop_table("listing_before")
    _make_indexes()
    op.execute("DROP TABLE keyword_index")
    for statement in SCHEMA[dialect]:
        op.execute(statement)
    _index_words(sa.text(_ADD[dialect]))


def _make_tables() -> None:
    op.create_table(
        "organisation",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("uuid"),
    )
    op.create_table(
        "listing",
        sa.Column("threat", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("viewer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("execution", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("band", sa.SmallInteger(), nullable=False),
        sa.Column("criticality", sa.SmallInteger(), nullable=False),
        sa.Column("organisation", sa.Integer(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("threat", "viewer"),
        sqlite_with_rowid=False,
    )


def _make_indexes() -> None:
    op.create_index("listing_change", "listing", ["viewer", "change"])
    for order, key in _ORDERS.items():
        for more, columns in _INDEXES.items():
            carried = ("kind", "band", "criticality")
            op.create_index(
                f"listing_{order}{more}", "listing", ["viewer", *columns, *key, *carried]
            )


def _copy() -> None:
    op.execute(
        "INSERT INTO organisation (uuid)"
        " SELECT viewer FROM listing_before UNION SELECT organisation FROM listing_before"
    )
    same = ("received_at", "rank", "criticality", "change", "changed_at")
    values = {
        "threat": "threat.seq",
        "viewer": "viewer.number",
        "organisation": "whose.number",
        **{name: f"CASE before.{name} {_cases(words)} END" for name, words in _CODES.items()},
        **{name: f"before.{name}" for name in same},
    }
    op.execute(
        f"INSERT INTO listing ({', '.join(values)}) SELECT {', '.join(values.values())}"  # noqa: S608
        " FROM listing_before AS before JOIN threat ON threat.id = before.threat_id"
        " JOIN organisation AS viewer ON viewer.uuid = before.viewer"
        " JOIN organisation AS whose ON whose.uuid = before.organisation"
        " ORDER BY threat.seq, viewer.number"
    )


def _cases(words: tuple[str, ...]) -> str:
    return " ".join(f"WHEN '{word}' THEN {number}" for number, word in enumerate(words))


def _index_words(add: sa.TextClause) -> None:
    bind = op.get_bind()
    last = bind.execute(sa.text("SELECT coalesce(max(seq), 0) FROM threat")).scalar_one()
    some = sa.text("SELECT seq, body FROM threat WHERE seq > :first AND seq <= :last")
    for first in range(0, last, STEP):
        rows = bind.execute(some, {"first": first, "last": first + STEP})
        words = [{"seq": seq, "document": document(json.loads(body))} for seq, body in rows]
        if words:
            bind.execute(add, words)
        if last > MANY and first % MANY == 0:
            print(f"indexing the words of {last} threats: {first}", file=sys.stderr)
