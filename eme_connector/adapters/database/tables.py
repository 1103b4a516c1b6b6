"""The tables, for SQLite and PostgreSQL alike; times are µs since 1970 unless named `_s`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

from eme_connector.domain.risk import Band
from eme_connector.domain.threat import Kind, Status

metadata = MetaData()
_ID = BigInteger().with_variant(Integer, "sqlite")

threat = Table(
    "threat",
    metadata,
    Column("seq", _ID, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("identity", Text, unique=True),
    Column("organisation", Text, nullable=False),
    Column("origin", Text),
    Column("body", Text, nullable=False),
)
raw = Table(
    "raw",
    metadata,
    Column("threat", BigInteger, primary_key=True, autoincrement=False),  # threat.seq
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("key_id", Text),
    Column("bytes", LargeBinary, nullable=False),
)
organisation = Table(
    "organisation",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("uuid", Text, nullable=False, unique=True),
)
"""The small numbers by which list entries name organisations; none is ever given up."""

listing = Table(
    "listing",
    metadata,
    Column("threat", BigInteger, primary_key=True, autoincrement=False),  # threat.seq
    Column("viewer", Integer, primary_key=True, autoincrement=False),
    Column("received_at", BigInteger, nullable=False),
    Column("rank", Integer, nullable=False),
    # the numbers of `entries`
    Column("status", SmallInteger, nullable=False),
    Column("execution", SmallInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("band", SmallInteger, nullable=False),
    Column("criticality", SmallInteger, nullable=False),
    Column("organisation", Integer, nullable=False),
    Column("change", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
# behind its key each index carries the other filters, so that a walk never leaves it
for _name, _key in {"newest": ("received_at", "threat"),
                    "rank": ("rank", "received_at", "threat")}.items():  # fmt: skip
    for _more, _columns in {
        "": (),
        "_status": ("status",),
        "_organisation": ("organisation",),
        "_organisation_status": ("organisation", "status"),
    }.items():
        Index(f"listing_{_name}{_more}", *(listing.c[one] for one in (
            "viewer", *_columns, *_key, "kind", "band", "criticality")))  # fmt: skip
Index("listing_change", listing.c.viewer, listing.c.change)


def _counts(*words: type[Kind] | type[Status] | type[Band]) -> tuple[Column[int], ...]:
    """Return one counter for each word of these axes: no chart needs one for their product."""
    names = [str(word) for axis in words for word in axis]
    return tuple(Column(name, Integer, nullable=False) for name in names)


tally = Table(
    "tally",
    metadata,
    Column("viewer", Text, primary_key=True),
    Column("span", Text, primary_key=True),  # hour or day
    Column("start", BigInteger, primary_key=True),
    Column("shard", Integer, primary_key=True),
    *_counts(Kind, Status, Band),
    sqlite_with_rowid=False,
)
origin_tally = Table(
    "origin_tally",
    metadata,
    Column("viewer", Text, primary_key=True),
    Column("organisation", Text, primary_key=True),
    Column("shard", Integer, primary_key=True),
    *_counts(Status),
    sqlite_with_rowid=False,
)
keyword_counted = Table(  # what `keyword_total` holds at this moment
    "keyword_counted",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("viewer", Text, primary_key=True),
    Column("start", BigInteger, nullable=False, index=True),
    Column("keyword", Text, nullable=False),
    sqlite_with_rowid=False,
)
keyword_total = Table(
    "keyword_total",
    metadata,
    Column("viewer", Text, primary_key=True),
    Column("keyword", Text, primary_key=True),
    Column("n", Integer, nullable=False),
    sqlite_with_rowid=False,
)
Index("keyword_total_most", keyword_total.c.viewer, keyword_total.c.n.desc(),
      keyword_total.c.keyword)  # fmt: skip
delivery = Table(
    "delivery",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("lane", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("threat_id", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("digest", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("lease_until", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("sent_at", Float),
    Column("settle_until", Float),
    Column("asking", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("receipt", Text, nullable=False),
    Column("threat", BigInteger),  # threat.seq
)
# on PostgreSQL too by migration 0001: said here, it would load that dialect at every start
Index("delivery_open", delivery.c.lane, delivery.c.id,
      sqlite_where=delivery.c.state.in_(("owed", "sending")))  # fmt: skip
Index("delivery_sending", delivery.c.lane,
      sqlite_where=delivery.c.state == "sending")  # fmt: skip
Index("delivery_threat", delivery.c.threat, delivery.c.lane)
Index("delivery_due", delivery.c.lane, delivery.c.next_at,
      sqlite_where=delivery.c.state.in_(("owed", "sending")))  # fmt: skip

audit = Table(
    "audit",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("threat_id", Text),
    Column("revision", Integer),
    Column("detail", Text, nullable=False),
    Column("leaf_index", BigInteger),
    Column("threat", BigInteger),  # threat.seq
)
Index("audit_threat", audit.c.threat)
audit_salt = Table(
    "audit_salt",
    metadata,
    Column("audit_id", _ID, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
)
policy_setting = Table(
    "policy_setting",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organisation", Text, nullable=False, index=True),
    Column("body", Text, nullable=False),
)
stop = Table(
    "stop",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("by", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
account = Table(
    "account",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("organisation", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled", Boolean, nullable=False),
)
token = Table(
    "token",
    metadata,
    Column("prefix", Text, primary_key=True),
    Column("secret_hash", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("rights", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("criticality_order", Text, nullable=False),
    Column("orchestrator", Text, nullable=False),
)
session = Table(
    "session",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, index=True),
    Column("data", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
peer = Table(
    "peer",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("revoked_at", BigInteger),
)
message = Table(
    "message",
    metadata,
    Column("sender", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("threat_id", Text, nullable=False),
    Column("jws", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)
sequence = Table(
    "sequence",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
directory = Table(
    "directory",
    metadata,
    Column("source", Text, primary_key=True),
    Column("kind", Text, primary_key=True),  # organisation, group or key
    Column("uuid", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)
Index("directory_kind", directory.c.kind, directory.c.uuid)
Index("directory_owner", directory.c.kind, directory.c.owner)
turn = Table(
    "turn",
    metadata,
    Column("job", Text, primary_key=True),
    Column("fence", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("succeeded_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
handshake = Table(
    "handshake",
    metadata,
    Column("code", Text, primary_key=True),
    Column("role", Text, primary_key=True),  # ours or theirs: who offered
    Column("organisation", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("offer", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("answer", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
)
relay_agreed = Table(
    "relay_agreed",
    metadata,
    Column("target", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("uuid", Text, primary_key=True),
    Column("body", Text, nullable=False),
)
relay_tombstone = Table(
    "relay_tombstone",
    metadata,
    Column("target", Text, primary_key=True),
    Column("group", Text, primary_key=True),
    Column("organisation", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("came_back", Integer, nullable=False),
)
relay_doubt = Table(
    "relay_doubt",
    metadata,
    Column("target", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("cycles", Integer, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
)
relay_unannounced = Table(
    "relay_unannounced",
    metadata,
    Column("target", Text, primary_key=True),
    Column("group", Text, primary_key=True),
)
relay_run = Table(
    "relay_run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("target", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("undoes", Text, nullable=False),
)
Index("relay_run_target", relay_run.c.target, relay_run.c.started_at)
relay_write = Table(
    "relay_write",
    metadata,
    Column("run", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("call", Integer, nullable=False),
    Column("word", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("member", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
relay_carried = Table(
    "relay_carried",
    metadata,
    Column("signer", Text, primary_key=True),
    Column("serial", BigInteger, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

misp_mark = Table(
    "misp_mark",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
    Column("threat_id", Text, nullable=False),
)
enrichment = Table(
    "enrichment",
    metadata,
    Column("threat_id", Text, primary_key=True),
    Column("body", Text, nullable=False),
)
