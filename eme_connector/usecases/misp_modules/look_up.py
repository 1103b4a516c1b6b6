"""Look a value, a CVE or a threat's id up in the sidecar: status, risk, playbook, decision (D2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from eme_connector.errors import NotAuthenticated
from eme_connector.formats.misp_event.objects import OWN_ORGANISATION, Draft, escape
from eme_connector.formats.misp_event.objects import render as render_object
from eme_connector.ports.sidecar import OpenSidecar
from eme_connector.usecases.misp_modules.answer import Json, Work, in_time, setting

LEAST, MOST = 3, 300
MAX_VALUES = 10
_HEAD = frozenset(
    {"module", "attribute", "object", "config", "event_id", "attribute_uuid", "persistent",
     "timeout"}
)  # fmt: skip


def look_up(open_sidecar: OpenSidecar) -> Work:
    """Return the work that answers an expansion or hover request."""
    return in_time(lambda request: _look_up(request, open_sidecar))


def _look_up(request: Json, open_sidecar: OpenSidecar) -> Json:
    url, token = setting(request, "eme_url"), setting(request, "eme_token")
    if not url or not token:
        raise NotAuthenticated("set eme_url and eme_token of this module in MISP's plugin settings")
    values = list(dict.fromkeys(_values(request)))[:MAX_VALUES]
    if not values:
        return {"results": {}}
    found = open_sidecar(url, token).look_up(values)
    threats = [one for one in found.get("threats", ()) if isinstance(one, dict)]
    if not threats:
        return {"results": {}}
    return {
        "results": {
            "Attribute": [_link(one) for one in threats],
            "Object": [_object(one) for one in threats],
        },
        "comment": "" if found.get("complete") else "there are more; see the sidecar",
    }


def _values(request: Json) -> Iterator[str]:
    attribute, one = request.get("attribute"), request.get("object")
    several = [attribute] if isinstance(attribute, dict) else []
    # the older form: the type is the key
    several += [{"value": value} for key, value in request.items() if key not in _HEAD]
    if isinstance(one, dict) and isinstance(one.get("Attribute"), list):
        several += one["Attribute"]
    for each in several:
        value = each.get("value") if isinstance(each, dict) else None
        if isinstance(value, str):
            yield from (
                part for text in value.split("|") if LEAST <= len(part := text.strip()) <= MOST
            )


def _link(threat: Json) -> Json:
    return {
        "uuid": str(uuid4()),
        "type": "link",
        "category": "External analysis",
        "value": str(threat["url"]),
        "comment": escape(f"EME: {_summary(threat)}")[:2000],
        "to_ids": False,
        "disable_correlation": True,
        "distribution": OWN_ORGANISATION,
    }


def _summary(threat: Json) -> str:
    risk = threat["risk"]
    return (
        f"{threat['status']}, risk {risk['rank']:g} ({risk['band']}), {threat['type']}: "
        f"{threat['name']} [{', '.join(threat['matched'])}]"
    )


def _object(threat: Json) -> Json:
    """Return where the threat stands, as an object that stays in our organisation."""
    made, risk = threat["decision"], threat["risk"]
    draft = Draft("response-decision", f"EME threat {threat['id']}", home=True)
    draft.add("status", threat["status"])
    draft.add("decision", made["status"])
    draft.add("execution", threat["execution"])
    draft.add("rank", f"{risk['rank']:g} {risk['band']}")
    draft.add("decided-by", made.get("by"))
    draft.add("decided-at", made.get("at"))
    draft.add("reason", made.get("reason"))
    for step in made.get("steps", ()):
        draft.add("approved-step", step)
    for line in _steps(threat.get("playbooks", ())):
        draft.add("step", line)
    draft.add("criticality", risk["factors"]["criticality"])
    # an id of its own each time: MISP drops what has the id of something in another event
    return render_object(draft, uuid4())[0]


def _steps(playbooks: Any) -> Iterator[str]:
    for playbook in playbooks:
        for step in playbook["steps"]:
            word = "approved" if step["approved"] else "not approved"
            on = f" on {step['actor']}" if step["actor"] else ""
            name = playbook["name"] or "playbook"
            yield f"{name}, {step['id']}: {step['action_text']}{on}, {word}"
