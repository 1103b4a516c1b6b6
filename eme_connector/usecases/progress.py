"""How a delivery moves its threat on, and what is written down about it."""

from __future__ import annotations

from dataclasses import replace

from eme_connector.domain import decision as moves
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.delivery import Delivery
from eme_connector.domain.threat import Execution, Status, Threat
from eme_connector.ports import Transaction
from eme_connector.usecases.obligations import owe_share


def settle_threat(delivery: Delivery, execution: Execution, at: int, tx: Transaction) -> None:
    """Move the threat's execution on, if this delivery still is what was decided."""
    threat = tx.find_threat(delivery.threat_id)
    if threat is None or not is_current(delivery, threat):
        return
    moved = moves.advance(threat, execution)
    if moved is not threat:
        save_moved(moved, threat, at, tx)


def save_moved(moved: Threat, before: Threat, at: int, tx: Transaction) -> Threat:
    """Save a threat that went on, owe its group the news, and return it."""
    moved = replace(moved, sequence=before.sequence + 1, updated_at=at)
    tx.save_threat(moved, before)
    owe_share(moved, tx)
    return moved


def is_current(delivery: Delivery, threat: Threat) -> bool:
    """Say whether *delivery* carries what is decided about *threat* now."""
    decision = threat.decision
    return decision.status is Status.APPROVED and decision.dispatch_digest == delivery.digest


def record(
    event: str, at: int, by: str, delivery: Delivery, detail: dict[str, object], tx: Transaction
) -> None:
    """Write a delivery's event on its threat's timeline: ids, states and reasons only."""
    known: dict[str, object] = {"delivery": delivery.key, "lane": delivery.lane}
    who, threat = delivery.organisation, delivery.threat_id
    tx.record(AuditRecord(event, at, by, who, threat, None, known | detail))
