"""A detection as MISP objects, and the objects as the IRIS carrier that they came from.

The way back builds the carrier and gives it to `iris_bundle`, the one reader of detections there
is, so that what a MISP tells us is checked like anything else from outside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eme_connector.domain.playbook import ACTIONS, Playbook
from eme_connector.domain.threat import Asset, Detection, Tlp
from eme_connector.formats import stix_bundle, strict_json
from eme_connector.formats.markings import marking_id
from eme_connector.formats.misp_event.objects import (
    Draft,
    FoundObject,
    Json,
    file_name,
    iso,
)
from eme_connector.formats.misp_event.tables import tables
from eme_connector.formats.strict_json import canonical

CVE = re.compile(r"\bCVE-(?:19|20)\d{2}-\d{4,7}\b", re.IGNORECASE)
MAX_CVES = 20
NO_ACTIONS = "none"
CRITICALITY = re.compile(r"criticality ([1-5]) of 5")
_EXTENSION_TYPES = "/extension_types"
_TIMES = frozenset({"first-seen", "last-seen"})


@dataclass(frozen=True, slots=True)
class Told:
    """A detection as it stands in a bundle: `blocks` are the playbooks' own JSON, where known."""

    detection: Detection
    organisation: str
    blocks: Sequence[Json] = ()
    number: int = 0


def drafts(told: Told, prefix: str = "") -> list[Draft]:
    """Return the objects of one detection; those of its carrier (playbooks, assets) with it."""
    detection = told.detection
    found = [_detection(told, prefix)]
    if told.number == 0:
        found += [
            _playbook(one, told, at, prefix) for at, one in enumerate(detection.playbooks)
        ] + [
            _asset(one, f"{prefix}asset/{at}")
            for at, one in enumerate(detection.assets)
            if one.address or one.device
        ]
    return found


def vulnerabilities(detection: Detection, prefix: str = "", first: int = 0) -> list[Draft]:
    """Return an object for each CVE that the detection names; MISP correlates them.

    Their numbers start at *first*.
    """
    text = f"{detection.threat} {detection.name} {detection.summary}"
    names = list(dict.fromkeys(one.upper() for one in CVE.findall(text)))
    return [
        Draft(
            "vulnerability",
            f"{prefix}vulnerability/{at}",
            [("id", name), ("summary", detection.name)],
        )
        for at, name in enumerate(names[:MAX_CVES], start=first)
    ]


def _detection(told: Told, prefix: str) -> Draft:
    detection = told.detection
    block = stix_bundle.blocks(detection, told.organisation)["detection"]
    draft = Draft("iris-detection", f"{prefix}detection/{told.number}")
    for relation, member in tables().detection.items():
        draft.add(relation, block.get(member))
    draft.add("carrier-id", detection.carrier_id)
    draft.add("pointer", detection.pointer)
    draft.add("tlp", detection.tlp)
    for flag in detection.flags:
        draft.add("flag", flag)
    for line in _restrictions(detection.restrictions):
        draft.add("restriction", line)
    extra = json.loads(detection.extra) if detection.extra else {}
    for relation, pointer in tables().carrier.items():
        value = extra.get(pointer)
        if _is_written(pointer, value):
            for one in value if isinstance(value, list) else [value]:
                draft.add(relation, one)
    return draft


def rest(detection: Detection) -> Json:
    """Return what no relation holds: other members of the carrier, assets without a name."""
    found: Json = {}
    if detection.extra:
        known = set(tables().carrier.values())
        extra: Json = json.loads(detection.extra)
        other = {
            pointer: value
            for pointer, value in extra.items()
            if pointer not in known or not _is_written(pointer, value)
        }
        if other or not extra:
            found["extra"] = other
    if nameless := _nameless_assets(detection):
        found["assets"] = nameless
    return found


def extra_text(first: FoundObject, rest: Json) -> str:
    """Return `Detection.extra` again: members of the carrier by pointer, as canonical JSON."""
    extra: Json = {}
    for relation, pointer in tables().carrier.items():
        if values := first.values.get(relation):
            extra[pointer] = values if pointer == _EXTENSION_TYPES else values[0]
    other = rest.get("extra")
    extra |= other if isinstance(other, dict) else {}
    return canonical(extra) if extra or other == {} else ""


def _is_written(pointer: str, value: object) -> bool:
    if pointer != _EXTENSION_TYPES:
        return isinstance(value, str) and bool(value)
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, str) and one for one in value)
    )


def _restrictions(restrictions: Mapping[str, bool] | None) -> list[str]:
    if restrictions is None:
        return []
    return [
        f"{group}/{name} {'enabled' if allowed else 'disabled'}"
        for group, name, allowed in _grouped(restrictions)
    ] or [NO_ACTIONS]


def _grouped(restrictions: Mapping[str, bool]) -> Iterable[tuple[str, str, bool]]:
    for key, allowed in restrictions.items():
        group, name = stix_bundle.group_of(key)
        yield group.replace("~", "~0").replace("/", "~1"), name, allowed


def _playbook(one: Playbook, told: Told, at: int, prefix: str) -> Draft:
    block = (
        told.blocks[at]
        if at < len(told.blocks)
        else stix_bundle.playbook_block(one, told.detection)
    )
    path = f"{prefix}playbook/{at}"
    draft = Draft("security-playbook", path)
    plain = stix_bundle.playbook_block(one, told.detection)
    for relation, member in tables().playbook.items():
        draft.add(relation, plain.get(member))
    for action in dict.fromkeys(step.action for step in one.steps):
        if action:
            draft.add("labels", f"{ACTIONS[action].group}/{action}")
    content = json.dumps(block, ensure_ascii=False, separators=(",", ":")).encode()
    draft.files.append(("playbook-file", file_name(path), content))
    return draft


def _asset(one: Asset, path: str) -> Draft:
    text = f"{path}: criticality {one.criticality} of 5" if one.criticality else path
    if not one.device:
        draft = Draft("ip-port", path, [("ip", one.address)])
        draft.add("text", text)
        return draft
    draft = Draft("device", path, [("name", one.device)])
    draft.add("ip-address", one.address)
    draft.add("description", text)
    return draft


def carrier(found: Mapping[str, FoundObject], rest: Json, prefix: str = "") -> Json:
    """Return the STIX object that carries the detections below *prefix*, blocks at its top."""
    detections = _numbered(found, f"{prefix}detection")
    first = detections[0]
    content: Json = {"id": first.first("carrier-id")}
    for relation, pointer in tables().carrier.items():
        if values := first.values.get(relation):
            content[pointer[1:]] = values if pointer == _EXTENSION_TYPES else values[0]
    if (tlp := first.first("tlp")) in set(Tlp):
        content["object_marking_refs"] = [marking_id(Tlp(tlp))]
    members = [_detection_block(one) for one in detections]
    content["detection"] = _one_or_all(members)
    if (lines := first.values.get("restriction")) is not None:
        content["policies"] = _policies(lines)
    if assets := _assets(found, rest, prefix):
        content["criticalities"] = _one_or_all(assets)
    if playbooks := [_file(one) for one in _numbered(found, f"{prefix}playbook")]:
        content["playbook_actions"] = _one_or_all(playbooks)
    return content


def _one_or_all(blocks: list[Json]) -> Json | list[Json]:
    return blocks[0] if len(blocks) == 1 else blocks


def _detection_block(one: FoundObject) -> Json:
    block = {}
    for relation, member in tables().detection.items():
        value = one.first(relation)
        if value:
            block[member] = iso(value) if relation in _TIMES else value
    return block


def _policies(lines: list[str]) -> Json:
    groups: dict[str, dict[str, str]] = {}
    for line in lines:
        path, _, word = line.rpartition(" ")
        group, _, name = path.partition("/")
        if name:
            groups.setdefault(group.replace("~1", "/").replace("~0", "~"), {})[name] = word
    return {"action_policy": groups}


def _assets(found: Mapping[str, FoundObject], rest: Json, prefix: str) -> list[Json]:
    kept = rest.get("assets")
    nameless: Json = kept if isinstance(kept, dict) else {}
    objects = {
        int(path.rpartition("/")[2]): one
        for path, one in found.items()
        if re.fullmatch(rf"{re.escape(prefix)}asset/\d{{1,4}}", path)
    }
    places = sorted({*objects, *(int(at) for at in nameless if at.isdigit())})
    return [_asset_block(objects[at]) if at in objects else nameless[str(at)] for at in places]


def _asset_block(one: FoundObject) -> Json:
    block = {"asset_ip": one.first("ip-address") or one.first("ip")}
    if name := one.first("name"):
        block["asset_device"] = name
    if said := CRITICALITY.search(one.first("description") or one.first("text")):
        block["criticality"] = said[1]
    return {key: value for key, value in block.items() if value}


def _nameless_assets(detection: Detection) -> Json:
    """Return what an asset without address and device says, by its place."""
    return {
        str(at): {} if one.criticality is None else {"criticality": one.criticality}
        for at, one in enumerate(detection.assets)
        if not (one.address or one.device)
    }


def _numbered(found: Mapping[str, FoundObject], stem: str) -> list[FoundObject]:
    objects: list[FoundObject] = []
    while (one := found.get(f"{stem}/{len(objects)}")) is not None:
        objects.append(one)
    return objects


def _file(one: FoundObject) -> Json:
    # what is no object is refused where it is read, with its pointer
    found: Json = strict_json.loads(one.files.get("playbook-file", b"{}"))
    return found
