"""Entries of lists: what `listing` holds of a threat, as small numbers.

An entry stands in ten indexes, and a walk reads thousands of them: each byte is paid for often.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, bindparam, select

from eme_connector.adapters.database import tables as t
from eme_connector.adapters.database.statements import Connection, Statement
from eme_connector.domain.listing import Change
from eme_connector.domain.risk import Band
from eme_connector.domain.threat import Execution, Kind, Status, Threat

# the database keeps these numbers: a new word gets a new one, and none is ever changed
STATUS = {Status.PENDING: 0, Status.APPROVED: 1, Status.DECLINED: 2, Status.RESOLVED: 3}
KIND = {Kind.ATTACK: 0, Kind.VULNERABILITY: 1}
BAND = {Band.LOW: 0, Band.MEDIUM: 1, Band.HIGH: 2, Band.CRITICAL: 3}
EXECUTION = {
    Execution.NONE: 0, Execution.DISPATCHED: 1, Execution.ONGOING: 2, Execution.UNCERTAIN: 3,
    Execution.SUCCEEDED: 4, Execution.FAILED: 5,
}  # fmt: skip
_STATUSES = {number: word for word, number in STATUS.items()}
_EXECUTIONS = {number: word for word, number in EXECUTION.items()}

_L = t.listing.c
NUMBER = Statement(
    select(t.organisation.c.number).where(t.organisation.c.uuid == bindparam("uuid"))
)
CHANGES = Statement(
    select(_L.change, t.threat.c.id, _L.status, _L.execution, _L.changed_at)
    .join_from(t.listing, t.threat, t.threat.c.seq == _L.threat)
    .where(_L.viewer == bindparam("viewer"))
    .where(and_(_L.change > bindparam("after"), _L.change <= bindparam("settled")))
    .order_by(_L.change)
    .limit(bindparam("most"))
)
_NEW_NUMBER = Statement(
    lambda m: (
        m.insert(t.organisation)
        .values(uuid=bindparam("uuid"))
        # on PostgreSQL another transaction may give it at the same moment
        .on_conflict_do_update(index_elements=["uuid"], set_={"uuid": bindparam("uuid")})
        .returning(t.organisation.c.number)
    )
)


class Numbers:
    """The numbers of organisations inside one transaction.

    `kept` are those that were committed before, shared by all transactions of a process.
    """

    def __init__(self, connection: Connection, kept: dict[str, int]) -> None:
        self._db, self._kept = connection, kept
        self._made: set[str] = set()

    def find(self, uuid: str) -> int | None:
        """Return the number of an organisation that has one."""
        number = self._kept.get(uuid)
        if number is not None:
            return number
        row = self._db.one(NUMBER, {"uuid": uuid})
        if row and uuid not in self._made:
            self._kept[uuid] = row[0]
        return row[0] if row else None

    def get(self, uuid: str) -> int:
        """Return the number of an organisation, a new one where it has none."""
        number = self.find(uuid)
        if number is not None:
            return number
        self._made.add(uuid)
        row = self._db.one(_NEW_NUMBER, {"uuid": uuid})
        assert row is not None, "RETURNING gives the row"
        return int(row[0])


def entry(threat: Threat, seq: int, viewer: int, organisation: int) -> dict[str, Any]:
    """Return the list entry of *threat*, without its change number."""
    rank = threat.rank
    return {
        "threat": seq,
        "viewer": viewer,
        "received_at": threat.received_at,
        "rank": round(rank.value * 10),
        "status": STATUS[threat.status],
        "execution": EXECUTION[threat.execution],
        "kind": KIND[threat.detection.kind],
        "band": BAND[rank.band],
        "criticality": threat.criticality,
        "organisation": organisation,
        "changed_at": threat.updated_at,
    }


def change_of(row: tuple[Any, ...]) -> Change:
    """Return what a list entry tells a live page; *row* is what CHANGES selects."""
    number, threat_id, status, execution, at = row
    word = str(_STATUSES[status])
    return Change(number, threat_id, word, word, str(_EXECUTIONS[execution]), at)
