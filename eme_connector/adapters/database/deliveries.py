"""Deliveries inside a transaction: owed, leased, finished."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.pending import Pending
from eme_connector.adapters.database.seqs import Seqs
from eme_connector.adapters.database.statements import Connection, Statement
from eme_connector.domain.delivery import Delivery, DeliveryKind, State
from eme_connector.ports import Owed

_P = bindparam
_D = t.delivery.c
_NAMES = [field.name for field in fields(Delivery)]
COLUMNS = [_D[name] for name in _NAMES]
_SEQ = select(t.threat.c.seq).where(t.threat.c.id == _P("of_threat"))
_OF_THREAT = _D.threat == _SEQ.scalar_subquery()

# written into the text: a partial index cannot be used for a state that comes as a parameter
_OWED: ColumnElement[str] = literal_column("'owed'")
_SENDING: ColumnElement[str] = literal_column("'sending'")
_IS_OPEN = or_(_D.state == _OWED, _D.state == _SENDING)

_earlier = t.delivery.alias("earlier")
_held_up = exists().where(
    and_(
        _earlier.c.lane == _D.lane,
        _earlier.c.threat == _D.threat,
        _earlier.c.id < _D.id,
        or_(_earlier.c.state == _OWED, _earlier.c.state == _SENDING),
    )
)
# a range of lanes, and their order: only the index of what is open gives it, so that neither
# database sorts a whole backlog, nor walks all that was ever delivered, for the next few
_DUE = Statement(
    select(*COLUMNS)
    .where(
        and_(
            _D.lane.between(_P("lane"), _P("lane")),
            _IS_OPEN,
            _D.next_at <= _P("now"),
            _D.lease_until <= _P("now"),
            ~_held_up,
        )
    )
    .order_by(_D.lane, _D.id)
    .limit(_P("most"))
    .with_for_update(skip_locked=True)
)
# two workers that count the leases of one lane at the same time would both find room
_LOCK_LANE = Statement(select(func.pg_advisory_xact_lock(func.hashtext(_P("lane")))))
_UNDER_LEASE = Statement(
    select(func.count())
    .select_from(t.delivery)
    .where(and_(_D.lane == _P("lane"), _D.state == _SENDING, _D.lease_until > _P("now")))
)
_BY_ID = Statement(select(*COLUMNS).where(_D.id == _P("id")).with_for_update())
_BY_KEY = Statement(select(*COLUMNS).where(_D.key == _P("key")).with_for_update())
_NEW: dict[str, Any] = {
    "state": "owed",
    "attempts": 0,
    "fence": 0,
    "lease_until": 0.0,
    "sent_at": None,
    "settle_until": None,
    "asking": False,
    "receipt": "{}",
}
_WITHDRAW = Statement(
    update(t.delivery)
    .where(and_(_OF_THREAT, _D.kind == _P("of_kind"), _D.state == "owed"))
    .values(state="withdrawn", reason=_P("reason"))
)
_RENEWED = and_(_D.lane == _P("of_lane"), _OF_THREAT, _D.state == _OWED)
_RENEW = Statement(update(t.delivery).where(_RENEWED).values(sequence=_P("newer")))
_RENEW_AT = Statement(
    update(t.delivery)
    .where(_RENEWED)
    .values(sequence=_P("newer"), next_at=_P("at"), attempts=0, reason="")
)
_VOID = Statement(
    update(t.delivery).where(_D.state == "sending").values(lease_until=0.0, next_at=0.0)
)
_FIXED = (
    "id",
    "key",
    "lane",
    "kind",
    "threat_id",
    "organisation",
    "payload",
    "digest",
    "created_at",
)
_CHANGING = tuple(name for name in _NAMES if name not in _FIXED)


class DeliveryRows:
    """`ports.DeliveryWrites`."""

    _db: Connection
    _pending: Pending
    _seqs: Seqs
    _touched: set[str]
    _clock: Callable[[], float]

    def owe(self, owed: Owed) -> Delivery:
        now = self._clock()
        number, key = self._pending.new_id(t.delivery), _new_key(now)
        self._db.later(t.delivery, _NEW | {
            "id": number,
            "key": key,
            "lane": owed.lane,
            "kind": owed.kind,
            "threat_id": owed.threat_id,
            "organisation": owed.organisation,
            "sequence": owed.sequence,
            "payload": owed.payload,
            "digest": owed.digest,
            "created_at": now,
            "next_at": owed.next_at,
            "reason": owed.reason,
            "threat": self._seqs.get(owed.threat_id),
        })  # fmt: skip
        self._touched.add("delivery")
        return Delivery(
            id=number,
            key=key,
            lane=owed.lane,
            kind=owed.kind,
            threat_id=owed.threat_id,
            sequence=owed.sequence,
            payload=owed.payload,
            digest=owed.digest,
            organisation=owed.organisation,
            next_at=owed.next_at,
            reason=owed.reason,
            created_at=now,
        )

    def withdraw(self, threat_id: str, kind: DeliveryKind, reason: str) -> int:
        where = {"of_threat": threat_id, "of_kind": kind, "reason": reason}
        return self._db.run(_WITHDRAW, where)

    def renew(
        self, lane: str, threat_id: str, sequence: int, *, next_at: float | None = None
    ) -> bool:
        where: dict[str, Any] = {"of_lane": lane, "of_threat": threat_id, "newer": sequence}
        if next_at is None:
            return self._db.run(_RENEW, where) > 0
        self._touched.add("delivery")
        return self._db.run(_RENEW_AT, where | {"at": next_at}) > 0

    def void_leases(self) -> int:
        """Make every delivery in `sending` due at once; return how many there were."""
        self._touched.add("delivery")
        return self._db.run(_VOID, {})

    def due(self, lane: str, now: float, *, width: int, limit: int) -> tuple[Delivery, ...]:
        if self._db.dialect.name == "postgresql":
            self._db.one(_LOCK_LANE, {"lane": lane})
        busy = self._db.one(_UNDER_LEASE, {"lane": lane, "now": now})
        free = min(limit, width - (busy[0] if busy else 0))
        if free <= 0:
            return ()
        rows = self._db.all(_DUE, {"lane": lane, "now": now, "most": free})
        return tuple(delivery_of(row) for row in rows)

    def find_delivery(self, delivery_id: int) -> Delivery | None:
        row = self._db.one(_BY_ID, {"id": delivery_id})
        return delivery_of(row) if row else None

    def find_delivery_by_key(self, key: str) -> Delivery | None:
        row = self._db.one(_BY_KEY, {"key": key})
        return delivery_of(row) if row else None

    def save_delivery(self, delivery: Delivery, *, fence: int) -> bool:
        return bool(self.save_deliveries([(delivery, fence)]))

    def save_deliveries(self, moved: Iterable[tuple[Delivery, int]]) -> set[int]:
        rows = [(one.id, fence, *_changing(one)) for one, fence in moved]
        if rows:
            self._touched.add("delivery")
        return self._db.update_many(t.delivery, ("id", "fence"), _CHANGING, rows)


def _changing(one: Delivery) -> tuple[Any, ...]:
    kept = {"state": str(one.state), "receipt": json.dumps(one.receipt)}
    return tuple(kept[name] if name in kept else getattr(one, name) for name in _CHANGING)


def _new_key(now: float) -> str:
    """Return a uuid7 (RFC 9562): in the order of time, so that its index grows at one end."""
    made = int(now * 1000) << 80 | 7 << 76 | secrets.randbits(76)
    return str(UUID(int=made & ~(3 << 62) | 2 << 62))


def delivery_of(row: tuple[Any, ...]) -> Delivery:
    """Return the delivery in *row*, whose columns are `COLUMNS`."""
    return Delivery(**_values(dict(zip(_NAMES, row, strict=True))))


def _values(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "state": State(row["state"]),
        "payload": bytes(row["payload"]),
        "asking": bool(row["asking"]),
        "receipt": json.loads(row["receipt"]),
    }
