"""Write a threat as a STIX 2.1 bundle in the proper form (A2).

An `incident` SDO carries our property-extension; the extension-definition, the organisation's
identity and the TLP 2.0 marking travel with it. Criticality is 1-5 with 5 highest.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid5

from eme_connector.domain.playbook import ACTIONS, Playbook, Step
from eme_connector.domain.threat import Detection, Threat
from eme_connector.formats.markings import marking_id, marking_object

EXTENSION = "extension-definition--7a0f4c1e-6d3b-4f52-9c8a-2b1e5d7f9a34"
AUTHOR = "identity--2f9d7b1c-5e34-4a86-b0c7-8d1f3e6a9b52"
SCHEMA_PATH = "/schemas/iris-response/1.0/schema.json"
_MADE = "2026-11-24T00:00:00.000Z"
Object = dict[str, Any]


def render(found: Threat, organisation_name: str, *, base_url: str) -> Object:
    """Return *found* as a bundle; *base_url* is where we publish the extension's schema."""
    identity = f"identity--{UUID(found.organisation)}"
    marking = marking_id(found.tlp)
    incident: Object = {
        "type": "incident",
        "spec_version": "2.1",
        "id": _id("incident", found, "incident"),
        "created_by_ref": identity,
        "created": _millis(found.received_at),
        "modified": _millis(found.updated_at),
        "name": found.detection.name,
        "object_marking_refs": [marking],
        "extensions": {EXTENSION: extension(found, organisation_name)},
    }
    if found.detection.summary:
        incident["description"] = found.detection.summary
    return {
        "type": "bundle",
        "id": _id("bundle", found, f"bundle/{found.sequence}"),
        "objects": [
            _identity(identity, organisation_name, found),
            _author(),
            marking_object(found.tlp),
            extension_definition(base_url),
            incident,
        ],
    }


def extension(found: Threat, organisation_name: str) -> Object:
    """Return the property-extension of *found*, as `load_schema` describes it."""
    decision = found.decision
    return {
        "extension_type": "property-extension",
        **blocks(found.detection, organisation_name, approved=decision.steps),
        "decision": _without_empty(
            {
                "status": str(found.status),
                "execution": str(found.execution),
                "by": "policy" if decision.by_policy else "person" if decision.by else "",
                "steps": list(decision.steps),
                "valid_until": decision.valid_until or "",
            }
        ),
    }


def blocks(
    detection: Detection, organisation_name: str, *, approved: Collection[str] | None = None
) -> Object:
    """Return the IRIS blocks of *detection*; with *approved*, each step says whether it is."""
    content: Object = {
        "detection": _without_empty(
            {
                "organisation": organisation_name,
                "detection_name": detection.name,
                "detection_summary": detection.summary,
                "source": detection.source,
                "classification": str(detection.kind),
                "first_seen": detection.first_seen,
                "last_seen": detection.last_seen,
                "actor": detection.actor,
                "confidence": detection.confidence,
                "risk_score": detection.risk_score,
                "threat": detection.threat,
                "iris_id": detection.iris_id,
            }
        ),
    }
    if detection.restrictions is not None:
        content["policies"] = {"action_policy": _policies(detection.restrictions)}
    if detection.assets:
        content["criticalities"] = [
            _without_empty(
                {
                    "asset_ip": asset.address,
                    "asset_device": asset.device,
                    "criticality": asset.criticality,
                    "criticality_scale": "1-5, 5 is the most critical",
                }
            )
            for asset in detection.assets
        ]
    if detection.playbooks:
        content["playbook_actions"] = [
            playbook_block(one, detection, approved) for one in detection.playbooks
        ]
    return content


def extension_definition(base_url: str) -> Object:
    """Return our extension-definition object."""
    return {
        "type": "extension-definition",
        "spec_version": "2.1",
        "id": EXTENSION,
        "created_by_ref": AUTHOR,
        "created": _MADE,
        "modified": _MADE,
        "name": "IRIS response",
        "description": "A detection, the assets it affects, the response proposed and decided.",
        "schema": f"{base_url}{SCHEMA_PATH}",
        "version": "1.0.0",
        "extension_types": ["property-extension"],
    }


@lru_cache
def load_schema() -> Object:
    """Return the JSON schema (2020-12) of our extension."""
    text = (files("eme_connector.formats") / "schemas" / "iris-response-1.0.schema.json").read_text(
        encoding="utf-8"
    )
    schema: Object = json.loads(text)
    return schema


def _identity(identity: str, name: str, found: Threat) -> Object:
    return {
        "type": "identity",
        "spec_version": "2.1",
        "id": identity,
        "created": _millis(found.received_at),
        "modified": _millis(found.received_at),
        "name": name,
        "identity_class": "organization",
    }


def _author() -> Object:
    return {
        "type": "identity",
        "spec_version": "2.1",
        "id": AUTHOR,
        "created": _MADE,
        "modified": _MADE,
        "name": "EME connector",
        "identity_class": "system",
    }


def group_of(restriction: str) -> tuple[str, str]:
    """Return (group, action) of a restriction's key: that of an action we know has no group."""
    if restriction in ACTIONS:
        return ACTIONS[restriction].group, restriction
    # its action is none that we know, so it is all after the first dot
    group, _, name = restriction.partition(".")
    return group, name


def _policies(restrictions: dict[str, bool]) -> dict[str, dict[str, str]]:
    groups: dict[str, dict[str, str]] = {}
    for key, allowed in restrictions.items():
        group, name = group_of(key)
        groups.setdefault(group, {})[name] = "enabled" if allowed else "disabled"
    return groups


def playbook_block(
    one: Playbook, detection: Detection, approved: Collection[str] | None = None
) -> Object:
    """Return *one* playbook of *detection* as an IRIS `playbook_actions` block."""
    prefix = _prefix(one, detection)
    return _without_empty(
        {
            "playbook_id": one.source_id,
            "name": one.name,
            "created_by": one.created_by,
            "created": one.created,
            "modified": one.modified,
            "playbook_valid_from": one.valid_from,
            "playbook_valid_until": one.valid_until,
            "playbook_type": one.kind,
            "organization_type": one.sector,
            "asset": one.asset,
            "playbook_impact": one.impact,
            "playbook_severity": one.severity,
            "playbook_priority": one.priority,
            "risk_score": one.risk_score,
            "playbook_standard": one.standard,
            "spec_version": one.spec_version,
            "workflow_start": one.start,
        }
    ) | {"workflow": [_step(step, prefix, approved) for step in one.as_listed]}


def _prefix(one: Playbook, detection: Detection) -> str:
    playbooks = detection.playbooks
    return f"{playbooks.index(one) + 1}." if len(playbooks) > 1 else ""


def _step(step: Step, prefix: str, approved: Collection[str] | None) -> Object:
    content = _without_empty(
        {
            "id": step.id.removeprefix(prefix),
            "impacted_actor": step.actor,
            "action": step.action_text,
            "description": step.description,
            "execution_api": step.execution_api,
            "action_impact": step.impact,
        }
    )
    return content if approved is None else content | {"approved": step.id in approved}


def _without_empty(content: Object) -> Object:
    return {key: value for key, value in content.items() if value not in ("", None, [])}


def _id(kind: str, found: Threat, path: str) -> str:
    return f"{kind}--{uuid5(UUID(found.id), path)}"


def _millis(at: int) -> str:
    moment = datetime.fromtimestamp(at / 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
