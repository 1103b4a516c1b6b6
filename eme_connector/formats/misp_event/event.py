"""A threat as a MISP event, and the event as the threat it was (C3).

What may leave is rendered as `disclosure` leaves it and inherits the event's distribution; what
may not (addresses, device names, account names, raw bytes) stands in objects of distribution 0,
which MISP strips on every push. `parse` reads both and gives back what it finds.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID, uuid5

from eme_connector.domain.risk import Band
from eme_connector.domain.threat import Detection, Status, Threat, Tlp
from eme_connector.errors import EmeError, Fault, InvalidMessage
from eme_connector.formats import iris_bundle, strict_json
from eme_connector.formats.disclosure import impersonal, without_assets
from eme_connector.formats.misp_event import decision, detection, report, tags
from eme_connector.formats.misp_event.objects import (
    INHERIT,
    OWN_ORGANISATION,
    Draft,
    FoundObject,
    Json,
    escape,
    file_name,
    overlay,
    read,
    split_home,
)
from eme_connector.formats.misp_event.objects import render as render_object
from eme_connector.formats.misp_event.others import Foreign, kept_home, within
from eme_connector.formats.misp_event.places import MAX_DEPTH, MAX_FILE

MAX_INFO = 500
_LEVELS = {Band.LOW: "3", Band.MEDIUM: "2", Band.HIGH: "1", Band.CRITICAL: "1"}
MAX_STEPS = 10_000
RAW = "as it was received (stays at home)"
REST = "rest"
REST_NAME = "What other attributes do not hold"


@dataclass(frozen=True, slots=True)
class Rests:
    """What no attribute holds: as all may see it, and as it is at home."""

    shared: Json
    home: Json


@dataclass(frozen=True, slots=True)
class Rendering:
    """How an event is made: *share_assets* lets addresses and device names leave with it."""

    organisation: str
    url: str | None = None
    share_assets: bool = False


def event_uuid(threat_id: str) -> str:
    """Return the uuid of a threat's event, the same in every MISP."""
    return str(uuid5(UUID(threat_id), "misp-event"))


def render(
    threat: Threat, how: Rendering, raw: bytes | None = None, others: Foreign | None = None
) -> Json:
    """Return *threat* as an event in MISP's core format, without its distribution.

    *raw* are the bytes that were received; they stay at home. *others* is what stood in the same
    bundle beside its detections (`others.beside`): what names an asset or is marked more strictly
    than the threat stays at home too.
    """
    namespace = UUID(threat.id)
    told = _told(threat, how)
    rests = Rests(detection.rest(told.detection), detection.rest(threat.detection))
    objects = render_objects(_drafts(told, how), _drafts(threat, how), namespace, rests)
    beside = within(others or Foreign(), threat.tlp)
    if not how.share_assets:
        beside = kept_home(beside, [threat.detection])
    attributes = [raw_attachment(raw, namespace)] if raw is not None else []
    return {
        "uuid": event_uuid(threat.id),
        "info": info(told.detection.name),
        "date": f"{datetime.fromtimestamp(threat.received_at / 1e6, UTC):%Y-%m-%d}",
        "timestamp": str(threat.updated_at // 1_000_000),
        "threat_level_id": _LEVELS[threat.rank.band],
        "analysis": _analysis(threat),
        "Tag": tags.of_threat(told, beside.tags),
        "Attribute": [*attributes, *beside.attributes],
        "Object": [*objects, *beside.objects],
        "EventReport": _reports(threat, told, how),
    }


def info(name: str) -> str:
    """Return an event's title: escaped, on one line, of a length that MISP keeps."""
    text = escape(" ".join(name.split()))
    return text if len(text) <= MAX_INFO else text[: MAX_INFO - 1] + "…"


def parse(event: Json) -> Threat:
    """Return the threat in *event*: what a MISP gave us, so nothing of it is trusted.

    Raises:
        InvalidMessage: it is no event of ours, or a value of it is not.
        InvalidBundle: the detection in it is not.
    """
    found, rest = exact(overlay(read(event)))
    first, stand = found.get("detection/0"), found.get(decision.PATH)
    if first is None or stand is None:
        raise InvalidMessage([Fault("/Object", "holds no iris-detection and response-decision")])
    return decision.read(
        stand,
        parse_detection(found, rest),
        threat_id=_threat_id(first),
        tlp=_tlp(event.get("Tag")) or Tlp.RED,
        bundle_id=first.first("bundle-id"),
    )


def _tlp(found: object) -> Tlp | None:
    return tags.tlp_of(found) if isinstance(found, list) else None


def sequence_of(event: Json) -> int:
    """Return which state of its threat *event* shows, 0 where it does not say."""
    said = [one.first("sequence") for one in read(event) if one.path == decision.PATH]
    return max((int(one) for one in said if re.fullmatch("[0-9]{1,18}", one)), default=0)


def parse_detection(found: Mapping[str, FoundObject], rest: Json) -> Detection:
    """Return the detection of a threat's event; its criticalities are on our scale.

    Raises:
        InvalidBundle
    """
    first = found["detection/0"]
    return replace(
        parse_detections(found, rest)[0],
        flags=tuple(first.values.get("flag", ())),
        pointer=first.first("pointer"),
        extra=detection.extra_text(first, rest),
    )


def parse_detections(
    found: Mapping[str, FoundObject], rest: Json, prefix: str = ""
) -> tuple[Detection, ...]:
    """Return the detections below *prefix*; their criticalities are on our scale.

    Raises:
        InvalidBundle
    """
    parsed = iris_bundle.parse(
        {"type": "bundle", "objects": [detection.carrier(found, rest, prefix)]},
        is_sender=lambda _: True,
        criticality_order="ascending",
        max_steps=MAX_STEPS,
    )
    return parsed.detections


def exact(found: Mapping[str, FoundObject], label: str = "") -> tuple[dict[str, FoundObject], Json]:
    """Return (the objects with the values that MISP could not hold, the rest beside them).

    *label* names the import that they belong to; a threat's own have none.
    """
    kept = found.get(label + REST)
    try:
        content = kept.files.get("rest", b"{}") if kept else b"{}"
        rest = strict_json.loads(content, max_bytes=MAX_FILE, max_depth=MAX_DEPTH)
    except EmeError:
        rest = {}
    rest = rest if isinstance(rest, dict) else {}
    objects = dict(found)
    values = rest.get("values")
    for path, relations in values.items() if isinstance(values, dict) else ():
        if path in objects and isinstance(relations, dict):
            objects[path] = objects[path].with_values(relations)
    return objects, rest


def render_objects(
    told: list[Draft], full: list[Draft], namespace: UUID, rests: Rests, label: str = ""
) -> list[Json]:
    """Return objects for what is *told* to all, and for what only *full* says, which stays at home.

    Beside them stand files with what MISP cannot hold as it is, and *rests*.
    """
    drafts = split_home(told, full)
    objects: list[Json] = []
    shared: dict[str, dict[str, list[str]]] = {}
    at_home: dict[str, dict[str, list[str]]] = {}
    for draft in drafts:
        one, inexact = render_object(draft, namespace)
        objects.append(one)
        kept = at_home.setdefault(draft.path, {})
        if draft.home:
            for relation, _ in draft.values:
                kept.pop(relation, None)
        else:
            shared.setdefault(draft.path, {}).update(inexact)
        kept.update(inexact)
    rest, own = _with_values(rests.shared, shared), _with_values(rests.home, at_home)
    if rest:
        objects.append(render_object(_rest_draft(rest, label, home=False), namespace)[0])
    if own != rest:
        objects.append(render_object(_rest_draft(own, label, home=True), namespace)[0])
    return objects


def _with_values(rest: Json, inexact: Mapping[str, Json]) -> Json:
    values = {path: relations for path, relations in inexact.items() if relations}
    return rest | ({"values": values} if values else {})


def _rest_draft(rest: Json, label: str, *, home: bool) -> Draft:
    content = strict_json.canonical(rest).encode()
    path = label + REST
    name = f"{'home-' if home else ''}{file_name(path)}"
    return Draft("iris-detection", path, [("name", REST_NAME)], [("rest", name, content)], home)


def _drafts(threat: Threat, how: Rendering) -> list[Draft]:
    told = detection.Told(threat.detection, how.organisation)
    found = detection.drafts(told)
    found[0].add("id", threat.id)
    found[0].add("bundle-id", threat.bundle_id)
    return [*found, *detection.vulnerabilities(threat.detection), decision.draft(threat)]


def _told(threat: Threat, how: Rendering) -> Threat:
    """Return *threat* as the members of its group may see it over MISP."""
    public = replace(impersonal(threat), recipients=(), group_sent=False)
    return public if how.share_assets else without_assets(public)


def _threat_id(first: FoundObject) -> str:
    try:
        return str(UUID(first.first("id")))
    except ValueError as exc:
        raise InvalidMessage([Fault("/detection/0/id", "must be a uuid")]) from exc


def _analysis(threat: Threat) -> str:
    if threat.status is Status.RESOLVED or threat.status is Status.DECLINED:
        return "2"
    return "1" if threat.status is Status.APPROVED else "0"


def raw_attachment(raw: bytes, namespace: UUID) -> Json:
    """Return the attribute that keeps the bytes as they were received, at home."""
    return {
        "uuid": str(uuid5(namespace, "raw")),
        "type": "attachment",
        "category": "External analysis",
        "value": "bundle.json",
        "data": base64.b64encode(raw).decode(),
        "comment": RAW,
        "to_ids": False,
        "disable_correlation": True,
        "distribution": OWN_ORGANISATION,
    }


def _reports(threat: Threat, told: Threat, how: Rendering) -> list[Json]:
    public = _report(told, how, "EME report", INHERIT)
    whole = _report(threat, how, "EME report with assets", OWN_ORGANISATION)
    return [public] if public["content"] == whole["content"] else [public, whole]


def _report(threat: Threat, how: Rendering, name: str, distribution: str) -> Json:
    return {
        "uuid": str(uuid5(UUID(threat.id), f"report/{distribution}")),
        "name": name,
        "content": escape(report.markdown(threat, how.organisation, how.url)),
        "distribution": distribution,
    }
