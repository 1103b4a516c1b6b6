"""A STIX 2.1 bundle as the content of a MISP event, with every leaf of it accounted for (D1).

IRIS carriers are mapped here; all other objects are given to `foreign`. What has no place of its
own in MISP is kept in a file of distribution 0, so that `as_received` gives the bundle back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from eme_connector.domain.risk import CriticalityOrder
from eme_connector.domain.threat import Detection
from eme_connector.errors import Fault, InvalidBundle, InvalidMessage
from eme_connector.formats import iris_bundle
from eme_connector.formats.disclosure import detection_without_assets
from eme_connector.formats.misp_event import detection as detections
from eme_connector.formats.misp_event import tags
from eme_connector.formats.misp_event.event import REST, Rests, exact, info, render_objects
from eme_connector.formats.misp_event.forms import differences, mend
from eme_connector.formats.misp_event.objects import Draft, FoundObject, Json, overlay, read
from eme_connector.formats.misp_event.others import Convert, Foreign, kept_home

CARRIERS, OTHERS = "carriers", "others"
_LABEL = re.compile(rf"([0-9a-f]{{6}}\.)?(?:\d+:detection/0|{REST})")
_NESTED = ("criticalities", "playbook_actions")


@dataclass(frozen=True, slots=True)
class Options:
    """How a bundle is read: whose criticality scale, how many steps, and what may be shared.

    With `several`, objects are labelled by the bundle, so that an event can hold more than one.
    """

    criticality_order: CriticalityOrder = "descending"
    max_steps: int = 256
    share_assets: bool = False
    several: bool = False


@dataclass(frozen=True, slots=True)
class Mapped:
    """The event's content; `carriers` by object index, `refused` are faults by object index."""

    event: Json
    carriers: dict[int, list[Carrier]]
    refused: dict[int, list[Fault]]
    foreign: Foreign
    label: str = ""


@dataclass(frozen=True, slots=True)
class Carrier:
    """The detections at one place of one object; *blocks* is the pointer within the object."""

    index: int
    blocks: str
    prefix: str
    detections: tuple[Detection, ...]


def render(document: Any, namespace: UUID, options: Options, convert: Convert) -> Mapped:
    """Return *document* as MISP content under ids derived from *namespace*.

    A carrier with faults is refused by itself; the others are mapped all the same.

    Raises:
        InvalidBundle: it is no bundle at all.
    """
    objects = _objects(document)
    label = f"{namespace.hex[:6]}." if options.several else ""
    carriers, refused = _carriers(document, options, label)
    others = [(at, one) for at, one in enumerate(objects) if at not in carriers]
    foreign_ones = [(at, one) for at, one in others if at not in refused and isinstance(one, dict)]
    foreign = convert(foreign_ones) if foreign_ones else Foreign()
    full = [one for each in carriers.values() for one in each]
    drafts = [draft for one in full for draft in _drafts(one, document, hide=False)]
    told = drafts
    if not options.share_assets:
        told = [draft for one in full for draft in _drafts(one, document, hide=True)]
        foreign = kept_home(foreign, [each for one in full for each in one.detections])
    rests = _rests(full, document, drafts, others)
    event = {
        "info": info(_title(full, document)),
        "Tag": [{"name": name} for name in _tags(full, foreign)],
        "Attribute": foreign.attributes,
        "Object": [*render_objects(told, drafts, namespace, rests, label), *foreign.objects],
    }
    return Mapped(event, carriers, refused, foreign, label)


def as_received(event: Json) -> Json:
    """Return the bundle that *event* was rendered from, the first where it holds several.

    Raises:
        InvalidMessage: the event holds no bundle that we mapped.
    """
    if received := every_received(event):
        return received[0]
    raise InvalidMessage([Fault("/Object", "holds no bundle that was mapped here")])


def every_received(event: Json) -> list[Json]:
    """Return every bundle that was imported into *event*, in no particular order."""
    found = overlay(read(event))
    rebuilt = (_rebuilt(*exact(found, label)) for label in labels(found))
    return [document for document in rebuilt if document is not None]


def labels(found: Mapping[str, FoundObject]) -> list[str]:
    """Return the labels of the imports that *found* came by; that of a single one is empty."""
    parts = (_LABEL.fullmatch(path) for path in found)
    return list(dict.fromkeys(part[1] or "" for part in parts if part))


def _rebuilt(found: Mapping[str, FoundObject], rest: Json) -> Json | None:
    kept = rest.get(CARRIERS)
    if not isinstance(kept, list):
        return None
    objects: dict[int, Json] = {int(at): one for at, one in rest.get(OTHERS, {}).items()}
    for one in kept:
        rebuilt = detections.carrier(found, one, one["prefix"])
        _arrange(rebuilt, one["blocks"], one.get("nested", ()))
        mend(rebuilt, one.get("set", {}), one.get("gone", ()))
        objects[one["index"]] = rebuilt
    document = {"type": "bundle", **rest.get("bundle", {})}
    return document | {"objects": [objects[at] for at in sorted(objects)]}


def prefixes(found: Mapping[str, FoundObject], label: str = "") -> list[str]:
    """Return the prefixes below which detections of the bundle called *label* stand."""
    ends = (path.removesuffix("detection/0") for path in found if path.endswith("detection/0"))
    return [one for one in ends if re.fullmatch(r"\d+:", one.removeprefix(label))]


def _objects(document: Any) -> list[Any]:
    if not isinstance(document, dict) or document.get("type") != "bundle":
        raise InvalidBundle([Fault("/type", "expected a bundle")])
    objects = document.get("objects")
    if not isinstance(objects, list):
        raise InvalidBundle([Fault("/objects", "expected a list of objects")])
    return objects


def _carriers(
    document: Json, options: Options, label: str
) -> tuple[dict[int, list[Carrier]], dict[int, list[Fault]]]:
    places = {
        at: found
        for at, one in enumerate(document["objects"])
        if (found := iris_bundle.carriers_of(one))
    }
    refused: dict[int, list[Fault]] = {}
    left = dict(places)
    parsed: tuple[Detection, ...] = ()
    while left:
        kept = [one if at in left else {} for at, one in enumerate(document["objects"])]
        try:
            parsed = iris_bundle.parse(
                document | {"objects": kept},
                is_sender=lambda _: True,
                criticality_order=options.criticality_order,
                max_steps=options.max_steps,
            ).detections
            break
        except InvalidBundle as exc:
            for at, faults in _by_object(exc.faults, left).items():
                refused[at] = faults
                del left[at]
    return _grouped(left, parsed, label), refused


def _by_object(faults: Iterable[Fault], left: Mapping[int, Any]) -> dict[int, list[Fault]]:
    """Return the faults by object; one that names no carrier (a limit) refuses all of them."""
    found: dict[int, list[Fault]] = {}
    for fault in faults:
        part = fault.pointer.split("/")[2:3]
        at = int(part[0]) if part and part[0].isdigit() else -1
        for index in [at] if at in left else left:
            found.setdefault(index, []).append(fault)
    return found


def _grouped(
    places: Mapping[int, list[str]], parsed: tuple[Detection, ...], label: str
) -> dict[int, list[Carrier]]:
    groups: dict[int, list[Carrier]] = {}
    number = 0
    for at, found in places.items():
        for blocks in found:
            base = f"/objects/{at}{blocks}/detection"
            own = tuple(one for one in parsed if one.pointer == base or _below(one.pointer, base))
            if own:
                carrier = Carrier(at, blocks, f"{label}{number}:", own)
                groups.setdefault(at, []).append(carrier)
                number += 1
    return groups


def _below(pointer: str, base: str) -> bool:
    return pointer.startswith(f"{base}/")


def _drafts(one: Carrier, document: Json, *, hide: bool) -> list[Draft]:
    """Return the objects of one carrier; with *hide* as others may see them."""
    source = document["objects"][one.index]
    blocks, _ = playbook_blocks(source, one.blocks)
    names = _organisations(source, one.blocks)
    # an importing MISP takes an object for one that has all its values: none may be without its own
    label = one.prefix[: one.prefix.find(".") + 1]
    found, count = [], 0
    for number, detection in enumerate(one.detections):
        shown = detection_without_assets(detection) if hide else detection
        shown = replace(shown, pointer=label + detection.pointer)
        told = detections.Told(shown, names[number], () if hide else blocks, number)
        found += detections.drafts(told, one.prefix)
        found += detections.vulnerabilities(shown, one.prefix, count)
        count += detections.MAX_CVES
    _add_bundle_id(found, document)
    return found


def _add_bundle_id(found: list[Draft], document: Json) -> None:
    bundle_id = document.get("id")
    for draft in found:
        if draft.name == "iris-detection" and isinstance(bundle_id, str):
            draft.add("bundle-id", bundle_id)


def place_of(one: Json, blocks: str) -> Json:
    """Return the member of the STIX object *one* that holds the IRIS blocks."""
    inside: Json = one
    for part in blocks.split("/")[1:]:
        inside = inside[part.replace("~1", "/").replace("~0", "~")]
    return inside


def playbook_blocks(one: Json, blocks: str) -> tuple[list[Json], tuple[str, ...]]:
    """Return (the playbooks as they were sent, which blocks stood inside `policies`)."""
    inside = place_of(one, blocks)
    policies = inside.get("policies")
    nested = tuple(
        name for name in _NESTED if isinstance(policies, dict) and policies.get(name) is not None
    )
    holder = policies if "playbook_actions" in nested else inside
    found = (holder or {}).get("playbook_actions")
    return (found if isinstance(found, list) else [found] if found else []), nested


def _organisations(one: Json, blocks: str) -> list[str]:
    found = place_of(one, blocks)["detection"]
    return [str(each["organisation"]) for each in (found if isinstance(found, list) else [found])]


def _rests(
    carriers: list[Carrier],
    document: Json,
    drafts: list[Draft],
    others: list[tuple[int, Any]],
) -> Rests:
    objects = document["objects"]
    found = {draft.path: _as_found(draft) for draft in drafts}
    head = {key: value for key, value in document.items() if key not in ("type", "objects")}
    home = {
        CARRIERS: [_rest_of(one, objects, found) for one in carriers],
        OTHERS: {str(at): one for at, one in others},
        "bundle": head,
    }
    return Rests({}, home)


def _rest_of(one: Carrier, objects: list[Any], found: Mapping[str, FoundObject]) -> Json:
    """Return what is needed beside the attributes to write the carrier again as it was sent."""
    rest = detections.rest(one.detections[0])
    rebuilt = detections.carrier(found, rest, one.prefix)
    nested = playbook_blocks(objects[one.index], one.blocks)[1]
    _arrange(rebuilt, one.blocks, nested)
    changed, gone = differences(objects[one.index], rebuilt)
    kept: Json = {"index": one.index, "blocks": one.blocks, "prefix": one.prefix}
    parts = {"nested": nested, "assets": rest.get("assets"), "set": changed, "gone": gone}
    return kept | {name: part for name, part in parts.items() if part}


def _arrange(rebuilt: Json, blocks: str, nested: Iterable[str]) -> None:
    """Move the IRIS blocks from the top of the object to where they stood."""
    for name in nested:
        if name in rebuilt:
            rebuilt.setdefault("policies", {})[name] = rebuilt.pop(name)
    if blocks:
        moved = {name: rebuilt.pop(name) for name in iris_bundle.BLOCKS if name in rebuilt}
        key = blocks.split("/")[2].replace("~1", "/").replace("~0", "~")
        rebuilt["extensions"] = {key: moved}


def _as_found(draft: Draft) -> FoundObject:
    values: dict[str, list[str]] = {}
    for relation, value in draft.values:
        values.setdefault(relation, []).append(value)
    files = {relation: data for relation, _, data in draft.files}
    return FoundObject(draft.name, draft.path, False, values, files)


def _tags(carriers: list[Carrier], foreign: Foreign) -> list[str]:
    several = [each for one in carriers for each in one.detections]
    own = [name for each in several for name in tags.of_detection(each)]
    marked = [f"tlp:{each.tlp}" for each in several if each.tlp]
    return tags.strictest([*marked, *own, *foreign.tags])


def _title(carriers: list[Carrier], document: Json) -> str:
    names = [each.name for one in carriers for each in one.detections]
    return names[0] if names else str(document.get("id", "STIX bundle"))
