"""A CACAO playbook in STIX 2.1: a course-of-action with the playbook extension.

The extension is the one that CACAO's own tools write; MISP's `security-playbook` has its fields.
"""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import uuid5

from eme_connector.domain.playbook import ACTIONS, Playbook
from eme_connector.formats.cacao import CacaoPlaybook, Frame, render
from eme_connector.formats.markings import marking_id

EXTENSION = "extension-definition--1e1c1bd7-c527-4215-8e18-e199e74da57c"
Object = dict[str, Any]


def course_of_action(one: Playbook, frame: Frame) -> Object | None:
    """Return *one* as a STIX object, or None where it has no step."""
    playbook = render(one, frame)
    if playbook is None:
        return None
    return {
        "type": "course-of-action",
        "spec_version": "2.1",
        "id": f"course-of-action--{uuid5(frame.namespace, playbook['id'])}",
        "created_by_ref": frame.identity,
        "created": playbook["created"],
        "modified": playbook["modified"],
        "name": playbook["name"],
        "object_marking_refs": [marking_id(frame.tlp)],
        "extensions": {EXTENSION: _extension(playbook, one)},
    }


def _extension(playbook: CacaoPlaybook, one: Playbook) -> Object:
    content = json.dumps(playbook, ensure_ascii=False, separators=(",", ":")).encode()
    labels = dict.fromkeys(
        f"{ACTIONS[step.action].group}/{step.action}" for step in one.steps if step.action
    )
    found: Object = {
        "extension_type": "property-extension",
        "playbook_id": playbook["id"],
        "created": playbook["created"],
        "modified": playbook["modified"],
        "playbook_creation_time": playbook["created"],
        "playbook_modification_time": playbook["modified"],
        "playbook_creator": playbook["created_by"],
        "revoked": False,
        "labels": list(labels),
        "playbook_valid_from": playbook.get("valid_from"),
        "playbook_valid_until": playbook.get("valid_until"),
        "playbook_impact": playbook.get("impact"),
        "playbook_severity": playbook.get("severity"),
        "playbook_priority": playbook.get("priority"),
        "organization_type": playbook.get("industry_sectors"),
        "playbook_type": playbook.get("playbook_types"),
        "playbook_standard": "cacao",
        "playbook_abstraction": "template",
        "playbook_bin": base64.b64encode(content).decode(),
    }
    return {key: value for key, value in found.items() if value not in (None, [])}
