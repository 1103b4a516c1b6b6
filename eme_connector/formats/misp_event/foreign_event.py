"""An event that no sidecar made, as a threat: what it says of itself, and nothing invented."""

from __future__ import annotations

from eme_connector.domain.threat import Detection, Kind, Threat, Tlp
from eme_connector.errors import Fault, InvalidMessage
from eme_connector.formats.misp_event import tags
from eme_connector.formats.misp_event.detection import CVE
from eme_connector.formats.misp_event.objects import Json, unescape

MAX_NAME, MAX_SUMMARY = 500, 4_000
_RISK = {"1": 8.0, "2": 5.0, "3": 2.5}
"""MISP's threat level (high, medium, low); undefined is 0."""


def threat(event: Json, default: Tlp, *, at: int) -> Threat:
    """Return *event* as a threat without a playbook; its id and origin are the caller's to give.

    Raises:
        InvalidMessage: it is no event.
    """
    creator = event.get("Orgc")
    organisation = creator.get("uuid") if isinstance(creator, dict) else None
    if not organisation or not event.get("uuid"):
        raise InvalidMessage([Fault("/Event/Orgc", "an event has a uuid and a creator")])
    found = _detection(event, str((creator or {}).get("name", "")))
    return Threat(
        id="",
        organisation=str(organisation).lower(),
        detection=found,
        received_at=at,
        updated_at=at,
        tlp=tags.tlp_of(event.get("Tag") or ()) or default,
        criticality=found.criticality,
    )


def _detection(event: Json, source: str) -> Detection:
    name = unescape(" ".join(str(event.get("info", "")).split()))[:MAX_NAME]
    return Detection(
        carrier_id=f"misp-event--{event['uuid']}",
        iris_id="",
        name=name,
        kind=Kind.VULNERABILITY if _is_vulnerability(event, name) else Kind.ATTACK,
        threat=name,
        summary=_summary(event),
        source=source,
        risk_score=_RISK.get(str(event.get("threat_level_id")), 0.0),
    )


def _is_vulnerability(event: Json, name: str) -> bool:
    if CVE.search(name):
        return True
    rows = [*(event.get("Attribute") or ()), *(event.get("Object") or ())]
    words = {str(one.get("type") or one.get("name")) for one in rows if isinstance(one, dict)}
    return bool(words) and words <= {"vulnerability", "weakness", "link", "comment", "text"}


def _summary(event: Json) -> str:
    for one in event.get("EventReport") or ():
        if isinstance(one, dict) and one.get("content"):
            return unescape(str(one["content"]))[:MAX_SUMMARY]
    return ""
