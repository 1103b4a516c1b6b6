"""How a delivery moves its threat on, and what is written down about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from eme_connector.domain import decision as moves
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.delivery import Delivery
from eme_connector.domain.threat import Execution, Status, Threat
from eme_connector.ports import Transaction
from eme_connector.usecases.obligations import owe_share


def settle_threats(settled: Iterable[tuple[Delivery, Execution]], at: int, tx: Transaction) -> None:
    """Move each threat's execution on, if its delivery still is what was decided."""
    pairs = list(settled)
    before = tx.find_threats(delivery.threat_id for delivery, _ in pairs)
    after = dict(before)
    for delivery, execution in pairs:
        threat = after.get(delivery.threat_id)
        if threat is not None and is_current(delivery, threat):
            after[threat.id] = moves.advance(threat, execution)
    moved = [(after[one], before[one]) for one in before if after[one] is not before[one]]
    _save([(_next(then, was, at), was) for then, was in moved], tx)


def save_moved(moved: Threat, before: Threat, at: int, tx: Transaction) -> Threat:
    """Save a threat that went on, owe its group the news, and return it."""
    moved = _next(moved, before, at)
    _save([(moved, before)], tx)
    return moved


def _next(moved: Threat, before: Threat, at: int) -> Threat:
    return replace(moved, sequence=before.sequence + 1, updated_at=at)


def _save(moved: list[tuple[Threat, Threat]], tx: Transaction) -> None:
    tx.save_threats(moved)
    for threat, _ in moved:
        owe_share(threat, tx)


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
