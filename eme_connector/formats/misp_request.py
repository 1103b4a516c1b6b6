"""An event of MISP as something to ask a sidecar: a threat without playbook, or an approval."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from eme_connector.errors import Fault, InvalidMessage
from eme_connector.formats.misp_event import tags
from eme_connector.formats.misp_event.decision import PATH
from eme_connector.formats.misp_event.objects import overlay, read, unescape
from eme_connector.formats.strict_json import canonical

Json = dict[str, Any]
MAX_VALUES = 50
PUBLISH = "Publish in MISP"
_RISK = {"1": 8, "2": 5, "3": 3}
"""MISP's threat level as a risk score; 4 (undefined) is none."""
_CONTENT = ("type", "category", "value", "to_ids", "distribution", "deleted", "comment",
            "sharing_group_id", "name", "object_relation", "content")  # fmt: skip


def event_of(request: Json) -> Json:
    """Return the event of a workflow's request.

    Raises:
        InvalidMessage: there is none.
    """
    data = request.get("data")
    event = data.get("Event") if isinstance(data, dict) else None
    if not isinstance(event, dict) or not _is_uuid(event.get("uuid")):
        raise InvalidMessage([Fault("/data/Event", "expected an event with its uuid")])
    return event


def threat_id(event: Json) -> str:
    """Return the id of the threat that the event shows, empty where it is none of a sidecar's."""
    found = overlay(read(event))
    first = found.get("detection/0")
    return first.first("id") if first and PATH in found and _is_uuid(first.first("id")) else ""


def as_event(event: Json, params: Json) -> Json:
    """Return the event as one event of a detector (`POST /ci/threats/event`)."""
    values = [unescape(one) for one in _values(event)]
    more = f" and {len(values) - MAX_VALUES} more" if len(values) > MAX_VALUES else ""
    document = {
        "id": f"misp-event/{event['uuid']}",
        "name": _title(event),
        "source": f"MISP event of {_organisation(event)}",
        "classification": str(params.get("classification") or "").strip().lower() or None,
        "threat": ", ".join(tags.techniques(event)) or None,
        "summary": f"Holds {', '.join(values[:MAX_VALUES])}{more}" if values else None,
        "risk_score": _RISK.get(str(event.get("threat_level_id"))),
        "tlp": str(tlp) if (tlp := tags.tlp_of(event.get("Tag") or ())) else None,
    }
    return {key: value for key, value in document.items() if value is not None}


def approval(event: Json, organisation: str) -> Json:
    """Return a bundle that asks a person of *organisation* whether the event may be published.

    Its one step is none that a policy can cover. What would be published is in it by digest, so
    that a decision counts for exactly that.
    """
    count = len(list(_values(event)))
    digest = hashlib.sha256(canonical(_content(event)).encode()).hexdigest()
    detection = {
        "organisation": organisation,
        "detection_name": f"Publish in MISP? {_title(event)}",
        "detection_summary": f"A workflow of MISP asks before the event leaves: {count} values.",
        "classification": "attack",
        "source": f"MISP event of {_organisation(event)}",
        "confidence": 100,
        "iris_id": event["uuid"],
    }
    step = {"id": 1, "action": PUBLISH, "description": f"event {event['uuid']}, content {digest}"}
    return {
        "type": "bundle",
        "objects": [
            {
                "type": "x-misp-event",
                "id": f"x-misp-event--{event['uuid']}",
                "detection": detection,
                "playbook_actions": {"name": PUBLISH, "workflow_start": 1, "workflow": [step]},
            }
        ],
    }


def _content(event: Json) -> Json:
    """Return what of an event others would get, in one form."""
    return {
        "info": event.get("info"),
        "distribution": str(event.get("distribution")),
        "sharing_group": str((event.get("SharingGroup") or {}).get("uuid", "")),
        "tags": sorted(str(one.get("name")) for one in _dicts(event.get("Tag"))),
        "parts": sorted(
            canonical([one.get("uuid"), {key: str(one.get(key)) for key in _CONTENT}])
            for one in _parts(event)
        ),
    }


def _parts(event: Json) -> Iterator[Json]:
    for name in ("Attribute", "Object", "EventReport"):
        for one in _dicts(event.get(name)):
            yield one
            yield from _dicts(one.get("Attribute"))


def _values(event: Json) -> Iterator[str]:
    for one in _parts(event):
        if isinstance(value := one.get("value"), str) and value:
            yield value


def _dicts(value: Any) -> Iterable[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _title(event: Json) -> str:
    return unescape(" ".join(str(event.get("info") or "").split())) or f"event {event['uuid']}"


def _organisation(event: Json) -> str:
    owner = event.get("Orgc")
    name = owner.get("name") if isinstance(owner, dict) else None
    return str(name or "an unknown organisation")


def _is_uuid(value: object) -> bool:
    try:
        return str(UUID(str(value))) == str(value).lower()
    except ValueError:
        return False
