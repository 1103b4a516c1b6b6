"""MISP events as one STIX 2.1 bundle: ours in the IRIS extension with CACAO, others by misp-stix.

Events are converted one by one: what cannot be is named, and the others go on (D3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from eme_connector.domain.threat import Detection, Threat, Tlp
from eme_connector.errors import EmeError
from eme_connector.formats import stix_bundle, stix_playbook
from eme_connector.formats.cacao import Frame
from eme_connector.formats.misp_event import tags, to_stix
from eme_connector.formats.misp_event.bundle import CARRIERS, labels, prefixes
from eme_connector.formats.misp_event.decision import PATH
from eme_connector.formats.misp_event.event import RAW, REST, exact, parse, parse_detections
from eme_connector.formats.misp_event.objects import (
    OWN_ORGANISATION,
    FoundObject,
    Json,
    is_ours,
    overlay,
    read,
    split_comment,
)

_OWN_REPORTS = ("EME report", "EME report with assets", "EME accounting")
_HIDDEN = ("Attribute", "Object", "EventReport")


@dataclass(frozen=True, slots=True)
class Exported:
    """The bundle, and why by pointer (`/0/Attribute/3`: of the first event) what is not in it."""

    bundle: Json
    refused: dict[str, str] = field(default_factory=dict)


def render(events: Sequence[Any], *, base_url: str, at_home: bool = False) -> Exported:
    """Return *events* (`{"Event": …}` or bare) as one bundle.

    *at_home* includes what is of distribution 0: addresses, device names, account names.
    *base_url* is where the schema of our extension is published.
    """
    objects: dict[str, Json] = {}
    refused: dict[str, str] = {}
    ids = []
    for at, one in enumerate(events):
        event = one.get("Event", one) if isinstance(one, dict) else None
        if not isinstance(event, dict):
            refused[f"/{at}"] = "is no event"
            continue
        ids.append(f"{event.get('uuid')}/{event.get('timestamp')}")
        found, why = _event(event if at_home else _told(event), base_url)
        refused |= {f"/{at}{pointer}": text for pointer, text in why.items()}
        for each in found:
            objects.setdefault(str(each.get("id")), each)
    bundle_id = f"bundle--{uuid5(NAMESPACE_URL, ' '.join(ids))}"
    bundle = {"type": "bundle", "id": bundle_id, "objects": list(objects.values())}
    return Exported(bundle, refused)


def _event(event: Json, base_url: str) -> tuple[list[Json], dict[str, str]]:
    refused: dict[str, str] = {}
    found: list[Json] = []
    paths: set[str] = set()
    for threat, name, decided, own in _threats(event, refused):
        found += _iris(threat, name, base_url, decided=decided, labels=tags.labels(event))
        paths |= own
    rest, places = _without_own(event, paths)
    if found and not any(rest.get(key) for key in ("Attribute", "Object", "EventReport")):
        return found, refused
    others, why = to_stix.convert(rest)
    refused |= {places.get(pointer, pointer): text for pointer, text in why.items()}
    return [*found, *others], refused


def _threats(event: Json, refused: dict[str, str]) -> Iterator[tuple[Threat, str, bool, set[str]]]:
    """Yield (threat, organisation's name, whether it is decided upon, paths of its objects)."""
    plain = overlay(read(event))
    try:
        if "detection/0" in plain and PATH in plain:
            name = plain["detection/0"].first("organisation")
            own = {path for path in plain if ":" not in path}
            yield parse(event), name, True, own
    except EmeError as exc:
        refused["/Object"] = f"is no threat of ours: {exc}"
    for label in labels(plain):
        found, rest = exact(plain, label)
        for prefix in prefixes(found, label):
            try:
                yield from _of_bundle(event, found, rest, prefix)
            except EmeError as exc:
                refused["/Object"] = f"is no detection of ours: {exc}"


def _of_bundle(
    event: Json, found: Mapping[str, FoundObject], rest: Json, prefix: str
) -> Iterator[tuple[Threat, str, bool, set[str]]]:
    """Yield the detections below *prefix*: they were imported, nobody has decided on them here."""
    kept: Json = next((one for one in rest.get(CARRIERS, ()) if one.get("prefix") == prefix), {})
    own = {path for path in found if path.startswith(prefix) or path.endswith(REST)}
    for number, one in enumerate(parse_detections(found, kept, prefix)):
        name = found[f"{prefix}detection/{number}"].first("organisation")
        yield _threat(event, one, name, f"{prefix}{number}"), name, False, own


def _threat(event: Json, one: Detection, name: str, path: str) -> Threat:
    namespace = _uuid(event.get("uuid")) or uuid5(NAMESPACE_URL, str(event.get("info")))
    at = _micros(event.get("timestamp"))
    return Threat(
        id=str(uuid5(namespace, path)),
        organisation=str(uuid5(NAMESPACE_URL, name)),
        detection=one,
        received_at=at,
        updated_at=at,
        tlp=one.tlp or tags.tlp_of(event.get("Tag") or ()) or Tlp.RED,
        criticality=one.criticality,
    )


def _iris(
    threat: Threat, name: str, base_url: str, *, decided: bool, labels: list[str]
) -> list[Json]:
    """Return the incident with all that it needs, and a course of action for each playbook."""
    objects: list[Json] = stix_bundle.render(threat, name, base_url=base_url)["objects"]
    incident = objects[-1]
    if labels:
        incident["labels"] = labels
    if not decided:
        del incident["extensions"][stix_bundle.EXTENSION]["decision"]
    frame = Frame(
        UUID(threat.id),
        incident["created_by_ref"],
        name,
        threat.tlp,
        threat.detection.assets,
        threat.received_at,
    )
    for playbook in threat.detection.playbooks:
        if found := stix_playbook.course_of_action(playbook, frame):
            objects += [found, _relation(incident, found)]
    return objects


def _relation(incident: Json, action: Json) -> Json:
    namespace = UUID(incident["id"].partition("--")[2])
    return {
        "type": "relationship",
        "spec_version": "2.1",
        "id": f"relationship--{uuid5(namespace, action['id'])}",
        "created_by_ref": incident["created_by_ref"],
        "created": incident["created"],
        "modified": incident["modified"],
        "relationship_type": "related-to",
        "source_ref": incident["id"],
        "target_ref": action["id"],
        "object_marking_refs": incident["object_marking_refs"],
    }


def _told(value: Json) -> Json:
    """Return an event or object without what MISP would not let leave."""
    shown = dict(value)
    for name in _HIDDEN:
        several = value.get(name)
        if isinstance(several, list):
            shown[name] = [
                _told(one)
                for one in several
                if isinstance(one, dict) and str(one.get("distribution")) != OWN_ORGANISATION
            ]
    return shown


def _without_own(event: Json, paths: set[str]) -> tuple[Json, dict[str, str]]:
    """Return (the event without the objects at *paths* and what comes with them, old pointers)."""
    rest = dict(event)
    places: dict[str, str] = {}
    for name in _HIDDEN:
        several = event.get(name)
        kept = [
            (at, one)
            for at, one in enumerate(several if isinstance(several, list) else ())
            if isinstance(one, dict) and not (paths and _is_own(name, one, paths))
        ]
        rest[name] = [one for _, one in kept]
        places |= {f"/{name}/{new}": f"/{name}/{old}" for new, (old, _) in enumerate(kept)}
    return rest, places


def _is_own(kind: str, one: Json, paths: set[str]) -> bool:
    if kind == "Object":
        return is_ours(one) and split_comment(one["comment"])[0] in paths
    if kind == "Attribute":
        return one.get("type") == "attachment" and one.get("comment") == RAW
    return one.get("name") in _OWN_REPORTS


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None


def _micros(value: object) -> int:
    text = str(value)
    return int(text) * 1_000_000 if text.isascii() and text.isdigit() and len(text) < 11 else 0
