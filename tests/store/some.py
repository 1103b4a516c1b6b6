"""Threats and deliveries for the stores' contract."""

from __future__ import annotations

import time
from dataclasses import replace
from uuid import uuid4

from eme_connector.domain.threat import Decision
from eme_connector.ports import Owed
from tests.build import AT, CI, detection, threat

HOUR = 3_600_000_000
DAY = 24 * HOUR
LANE = "orchestrator:a"


def some(number=0, **fields):
    """Return a threat of its own identity, received *number* µs after the others."""
    found = fields.pop("detection", None) or detection(iris_id=str(uuid4()))
    return threat(**{"id": str(uuid4()), "detection": found, "received_at": AT + number} | fields)


def put(store, found, viewers=(CI,)):
    store.transact(lambda tx: tx.add_threat(found, b"{}", viewers=list(viewers)))
    return found


def owe(store, threat_id="t", lane=LANE, kind="dispatch"):
    """Owe a delivery of a threat, which is made where there is none."""

    def work(tx):
        if tx.find_threat(threat_id) is None:
            tx.add_threat(some(id=threat_id), b"", viewers=[])
        return tx.owe(Owed(lane, kind, threat_id, CI, 1, b"x", "d"))

    return store.transact(work)


def due(store, lane=LANE, now=None, width=8, limit=8):
    now = time.time() + 1 if now is None else now
    return store.transact(lambda tx: tx.due(lane, now, width=width, limit=limit))


def update(store, delivery, at_fence=None, **fields):
    changed = replace(delivery, **fields)
    expected = delivery.fence if at_fence is None else at_fence
    return store.transact(lambda tx: tx.save_delivery(changed, fence=expected))


def decided(found, status):
    return replace(found, sequence=found.sequence + 1, decision=Decision(status=status))
