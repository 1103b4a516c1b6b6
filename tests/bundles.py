"""IRIS bundles for tests, as the orchestrator sends them; written for this project."""

from __future__ import annotations

import copy
from typing import Any

ENABLED = {
    "contain": {"isolate": "enabled", "block_service": "enabled", "shutdown": "disabled"},
    "harden": {
        "install_patches": "enabled",
        "disable_service": "disabled",
        "implement_access_control": "enabled",
    },
    "recover": {"restore": "enabled", "reconfigure": "enabled"},
}


def step(number: int, action: str = "Isolate Host", **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "impacted_actor": "PLC-9",
        "action": action,
        "description": "Cut it off",
        "execution_api": "",
        "action_impact": 10,
    } | fields


def carrier(
    organisation: str = "CI-1",
    iris_id: object = 7,
    number: int = 1,
    steps: list[dict[str, Any]] | None = None,
    **blocks: Any,
) -> dict[str, Any]:
    """Return one carrier object; *blocks* replace or (None) remove whole IRIS blocks."""
    steps = steps if steps is not None else [step(1), step(2, "Block Host Service")]
    found = {
        "type": "extension-definition",
        "spec_version": "2.1",
        "id": f"extension-definition--0d1f2e3c-4b5a-4697-8879-{number:012d}",
        "created_by_ref": "identity--6f1d2c3b-8a79-4e5f-9d0c-1b2a3c4d5e6f",
        "created": "2026-02-03T04:05:06.789Z",
        "modified": "2026-02-03T04:05:06.789Z",
        "name": "Response action definition",
        "schema": "https://example.org/schema.json",
        "version": "1.0",
        "extension_types": ["property-extension"],
        "detection": {
            "organisation": organisation,
            "detection_name": "Modbus write from an unknown master",
            "detection_summary": "Function code 6 to 40 registers within 3 s",
            "source": "sensor-4",
            "classification": "attack",
            "first_seen": "2026-02-03T04:00:00Z",
            "last_seen": "2026-02-03T04:05:00Z",
            "actor": "unknown",
            "confidence": "80",
            "risk_score": "7.5",
            "threat": "Unauthorised command (T0855)",
            "iris_id": iris_id,
        },
        "policies": {"organisation": organisation, "action_policy": copy.deepcopy(ENABLED)},
        "criticalities": {
            "organisation": organisation,
            "asset_ip": "10.1.2.9",
            "asset_device": "PLC-9",
            "criticality": "2",
        },
        "playbook_actions": {
            "type": "playbook",
            "playbook_id": "",
            "spec_version": "cacao-2.0",
            "playbook_standard": "CACAO",
            "name": "Contain the master",
            "created_by": "RRR",
            "created": "2026-02-03T04:05:06.789Z",
            "modified": "2026-02-03T04:05:06.789Z",
            "playbook_valid_from": "",
            "playbook_valid_until": "",
            "organization_type": "Transport",
            "asset": "PLC-9",
            "risk_score": "7.5",
            "playbook_impact": "40",
            "playbook_severity": "75",
            "playbook_priority": "10",
            "playbook_type": "mitigation",
            "workflow_start": str(steps[0]["id"]) if steps else "",
            "workflow": steps,
        },
    }
    found.update(blocks)
    return {key: value for key, value in found.items() if value is not None}


def bundle(*carriers: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "bundle",
        "id": "bundle--3c1d2e4f-5a6b-4c7d-8e9f-0a1b2c3d4e5f",
        "objects": list(carriers) or [carrier()],
    }
