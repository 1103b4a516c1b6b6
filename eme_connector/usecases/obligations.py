"""Write down what a change of a threat makes us owe, in the same transaction."""

from __future__ import annotations

import json
from collections.abc import Callable

from eme_connector.domain.delivery import MISP_LANE, SHARE_LANE
from eme_connector.domain.threat import Threat
from eme_connector.ports import Owed, Transaction

Lanes = Callable[[str], str | None]
"""Organisation uuid -> the lane of its orchestrator, or None when it has none."""


def owe_dispatch(threat: Threat, lanes: Lanes, tx: Transaction) -> bool:
    """Owe the approved playbook to the orchestrator; False when there is none."""
    lane = lanes(threat.organisation)
    if lane is None:
        return False
    decision = threat.decision
    tx.owe(
        Owed(
            lane=lane,
            kind="dispatch",
            threat_id=threat.id,
            organisation=threat.organisation,
            sequence=threat.sequence,
            payload=_dispatch_body(threat),
            digest=decision.dispatch_digest,
        )
    )
    return True


def owe_share(threat: Threat, tx: Transaction) -> None:
    """Owe the threat's present state to its sharing group; who that is, is asked when it leaves.

    A threat of a peer is never passed on: only its own sidecar shares it.
    """
    if threat.origin is None and threat.group is not None:
        tx.owe(
            Owed(
                lane=SHARE_LANE,
                kind="share",
                threat_id=threat.id,
                organisation=threat.organisation,
                sequence=threat.sequence,
            )
        )


def owe_misp(threat: Threat, at: float, tx: Transaction) -> None:
    """Owe our MISP the newest state, from *at* on; what waits already takes it along."""
    if tx.renew(MISP_LANE, threat.id, threat.sequence):
        return
    tx.owe(
        Owed(
            lane=MISP_LANE,
            kind="misp",
            threat_id=threat.id,
            organisation=threat.organisation,
            sequence=threat.sequence,
            next_at=at,
        )
    )


def _dispatch_body(threat: Threat) -> bytes:
    decision = threat.decision
    body = {
        "threat_id": threat.id,
        "organisation": threat.organisation,
        "digest": decision.dispatch_digest,
        "approved_by": "policy" if decision.by_policy else "person",
        "playbook": threat.dispatch_document(decision.steps, decision.valid_until),
    }
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
