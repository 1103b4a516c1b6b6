"""What a database that comes from a backup does not know, and how it is made careful.

It is older than the world: what it owes may have left since, and what it told its peers may be
outdated there or newer.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    create_engine,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from eme_connector.adapters.database import tables as t
from eme_connector.errors import StoreUnavailable

STEP = 1_000_000
_D = t.delivery.c


@dataclass(frozen=True, slots=True)
class Settled:
    """How much was made careful."""

    asked: int
    open: int
    sessions: int


def settle(
    url: str,
    *,
    organisation: str,
    safe: Collection[str],
    made_at: float,
    now: float,
    settle_s: float,
) -> Settled:
    """Make a restored database careful, in one transaction.

    * What was being sent is free to be asked about or sent again, as after a crash.
    * What is owed to an orchestrator that is not among the *safe* lanes is asked about first.
    * Threats of ours go on from a higher sequence, so that peers and MISP take news from us.
    * Everybody has to log in again.

    Raises:
        StoreUnavailable
    """
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            asked = _ask_first(connection, safe, made_at, now + settle_s)
            free = _run(
                connection,
                update(t.delivery)
                .where(_D.state.in_(("owed", "sending")))
                .values(lease_until=0.0, next_at=0.0, fence=_D.fence + 1),
            )
            _lift_sequences(connection)
            sessions = _run(connection, t.session.delete())
            settled = Settled(asked, free, sessions)
            _record(connection, organisation, made_at, now, settled)
            return settled
    except SQLAlchemyError as exc:
        raise StoreUnavailable("the restored database cannot be written") from exc
    finally:
        engine.dispose()


def _ask_first(connection: Connection, safe: Collection[str], made_at: float, until: float) -> int:
    doubtful = and_(_D.lane.startswith("orchestrator:"), _D.lane.not_in(list(safe)))
    return _run(
        connection,
        update(t.delivery)
        .where(and_(_D.state == "owed", doubtful))
        .values(
            state="sending", asking=True, sent_at=made_at, settle_until=until, reason="restored"
        ),
    )


def _lift_sequences(connection: Connection) -> None:
    """Add to the sequence of each threat of ours, and to what is open of it."""
    own = t.threat.c.origin.is_(None)
    body = t.threat.c.body
    if connection.dialect.name == "sqlite":
        there = func.json_extract(body, "$.sequence")
        lifted: ColumnElement[str] = func.json_set(body, "$.sequence", there + STEP)
    else:
        from sqlalchemy import BigInteger, Text, cast
        from sqlalchemy.dialects.postgresql import ARRAY, JSONB

        document = cast(body, JSONB)
        number = cast(document["sequence"].astext, BigInteger) + STEP
        path = cast(["sequence"], ARRAY(Text))
        lifted = cast(func.jsonb_set(document, path, func.to_jsonb(number)), Text)
    _run(connection, update(t.threat).where(own).values(body=lifted))
    mine = _D.threat.in_(select(t.threat.c.seq).where(own))
    is_open = or_(_D.state == "owed", _D.state == "sending")
    moving = and_(is_open, mine, _D.kind != literal("peer"))
    _run(connection, update(t.delivery).where(moving).values(sequence=_D.sequence + STEP))


def _record(
    connection: Connection, organisation: str, made_at: float, now: float, settled: Settled
) -> None:
    detail = {"made_at": made_at, "asked": settled.asked, "open": settled.open}
    row = {
        "at": round(now * 1_000_000), "event": "restored", "by": "cli",
        "organisation": organisation, "detail": json.dumps(detail),
    }  # fmt: skip
    made = connection.execute(insert(t.audit).values(row)).inserted_primary_key
    salt = {"audit_id": made[0] if made else 0, "salt": secrets.token_bytes(32)}
    connection.execute(insert(t.audit_salt).values(salt))


def _run(connection: Connection, statement: object) -> int:
    return int(connection.execute(statement).rowcount)  # type: ignore[call-overload]
