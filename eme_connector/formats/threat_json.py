"""Threats and what belongs to them as the API shows them: plain dictionaries.

Times are RFC 3339 in UTC; scales are those of ARCHITECTURE section 3 and are named.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from eme_connector.domain import misp_reasons
from eme_connector.domain.arrival import Arrival
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.delivery import Delivery
from eme_connector.domain.listing import Aggregate, Bucket
from eme_connector.domain.misp import Enrichment, Known
from eme_connector.domain.playbook import ACTIONS, Playbook, Step
from eme_connector.domain.policy import Setting
from eme_connector.domain.sharing import Organisation
from eme_connector.domain.threat import Decision, Threat

Document = dict[str, Any]


def time_text(at: int | None) -> str | None:
    """Return µs since 1970 as RFC 3339, None as None."""
    if at is None:
        return None
    return datetime.fromtimestamp(at / 1_000_000, UTC).isoformat()


def threat(found: Threat, organisation: Organisation, misp_url: str | None = None) -> Document:
    """Return one threat; *organisation* is whose it is, *misp_url* where its event is."""
    detection, rank = found.detection, found.rank
    return {
        "id": found.id,
        "etag": found.digest,
        "type": str(detection.kind),
        "status": str(found.status),
        "execution": str(found.execution),
        "name": detection.name,
        "description": detection.threat,
        "summary": detection.summary,
        "source": detection.source,
        "actor": detection.actor,
        "first_seen": detection.first_seen or None,
        "last_seen": detection.last_seen or None,
        "received_at": time_text(found.received_at),
        "updated_at": time_text(found.updated_at),
        "risk": {
            "rank": rank.value,
            "band": str(rank.band),
            "factors": {
                "risk_score": rank.risk_score,
                "criticality": rank.criticality,
                "confidence": rank.confidence,
            },
        },
        "assets": [
            {"address": one.address, "device": one.device, "criticality": one.criticality}
            for one in detection.assets
        ],
        "organisation": organisation_document(organisation),
        "tlp": str(found.tlp),
        "group": found.group,
        "recipients": list(found.recipients),
        "origin": found.origin,
        "revision": found.revision,
        "flags": sorted({*found.flags, *detection.flags}),
        "decision": decision(found.decision),
        "resolution": _resolution(found),
        "bundle": found.bundle_id,
        "misp_url": misp_url,
    }


def organisation_document(found: Organisation) -> Document:
    """Return what is told of an organisation."""
    return {
        "uuid": found.uuid,
        "name": found.name,
        "sector": found.sector,
        "location": found.location,
    }


def decision(made: Decision) -> Document:
    """Return a decision: who, when, why, and what a pending one waits for."""
    return {
        "status": str(made.status),
        "by": made.by or None,
        "at": time_text(made.at),
        "reason": made.reason,
        "digest": made.digest,
        "dispatch_digest": made.dispatch_digest,
        "steps": list(made.steps),
        "valid_until": made.valid_until,
        "policies": list(made.policies),
        "waiting": [
            {"step": one.step, "code": one.code, "detail": one.detail} for one in made.waiting
        ],
    }


def playbook(found: Threat) -> Document:
    """Return the proposed response with what is decided and awaited for each step."""
    return {
        "threat_id": found.id,
        "status": str(found.status),
        "execution": str(found.execution),
        "etag": found.digest,
        "decision": decision(found.decision),
        "playbooks": [_playbook(one, found) for one in found.detection.playbooks],
    }


def setting(found: Setting) -> Document:
    """Return a policy setting; every action is named, automatic or not."""
    groups: dict[str, dict[str, bool]] = {}
    for action in ACTIONS.values():
        groups.setdefault(action.group, {})[action.key] = action.key in found.automatic
    return {
        "id": found.id,
        "etag": found.etag,
        "organisation": found.organisation,
        "automatic": groups,
        "scope": {
            "sector": found.scope.sector,
            "asset_type": found.scope.asset_type,
            "tag": found.scope.tag,
        },
        "version": found.version,
        "updated_by": found.updated_by or None,
        "updated_at": time_text(found.updated_at or None),
    }


def delivery(found: Delivery) -> Document:
    """Return a delivery without its content."""
    return {
        "id": found.id,
        "key": found.key,
        "lane": found.lane,
        "kind": found.kind,
        "threat_id": found.threat_id,
        "sequence": found.sequence,
        "state": str(found.state),
        "reason": found.reason,
        "attempts": found.attempts,
        "created_at": time_text(round(found.created_at * 1_000_000)),
        "sent_at": None if found.sent_at is None else time_text(round(found.sent_at * 1_000_000)),
        "receipt": found.receipt,
        "remedy": misp_reasons.remedy(found.reason),
    }


def arrival(found: Arrival) -> Document:
    """Return what one member has of an event, and what to do where something is wrong."""
    return {
        "organisation": found.organisation,
        "status": found.status,
        "reason": found.reason,
        "detail": found.detail,
        "says": found.says,
        "remedy": found.remedy,
    }


def enrichment(found: Enrichment | None) -> Document | None:
    """Return what our MISP knew of a threat's values."""
    if found is None:
        return None
    return {
        "at": time_text(found.at),
        "asked": found.asked,
        "values": [_known(one) for one in found.known],
        "cut": found.cut,
    }


def record(found: AuditRecord) -> Document:
    """Return an entry of the timeline."""
    return {
        "event": found.event,
        "at": time_text(found.at),
        "by": found.by,
        "revision": found.revision,
        "detail": found.detail,
    }


def aggregate(found: Aggregate) -> Document:
    """Return the counts behind the charts."""
    return {
        "hours": [_bucket(one) for one in found.hours],
        "days": [_bucket(one) for one in found.days],
        "weeks": [_bucket(one) for one in found.weeks],
        "keywords": [{"keyword": word, "count": count} for word, count in found.keywords],
        "keyword_lag_s": round(found.keyword_lag_s, 3),
    }


def _known(found: Known) -> Document:
    return {
        "value": found.value,
        "events": [
            {
                "uuid": one.uuid,
                "info": one.info,
                "organisation": one.organisation,
                "url": one.url,
                "sightings": dict(one.sightings),
            }
            for one in found.events
        ],
        "warnings": list(found.warnings),
    }


def _bucket(one: Bucket) -> Document:
    return {
        "start": time_text(one.start),
        "total": one.total,
        "by_type": one.by_type,
        "by_status": one.by_status,
        "by_risk": one.by_band,
    }


def _resolution(found: Threat) -> Document | None:
    made = found.resolution
    if made is None:
        return None
    return {"by": made.by, "at": time_text(made.at), "reason": made.reason}


def _playbook(one: Playbook, found: Threat) -> Document:
    return {
        "name": one.name,
        "id": one.source_id,
        "created_by": one.created_by,
        "created": one.created or None,
        "modified": one.modified or None,
        "valid_from": one.valid_from or None,
        "valid_until": one.valid_until or None,
        "type": one.kind,
        "sector": one.sector,
        "asset": one.asset,
        "impact": one.impact,
        "severity": one.severity,
        "priority": one.priority,
        "risk_score": one.risk_score,
        "standard": one.standard,
        "spec_version": one.spec_version,
        "steps": [_step(step, found) for step in one.steps],
    }


def _step(one: Step, found: Threat) -> Document:
    made = found.decision
    action = ACTIONS.get(one.action or "")
    return {
        "id": one.id,
        "action": one.action,
        "action_text": one.action_text,
        "group": action.group if action else None,
        "actor": one.actor,
        "description": one.description,
        "impact": one.impact,
        "undo": action.undo if action else None,
        "execution_api": one.execution_api,
        "approved": one.id in made.steps,
        "waiting": [
            {"code": w.code, "detail": w.detail} for w in made.waiting if w.step in (None, one.id)
        ],
    }
