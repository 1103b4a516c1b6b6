"""Read the IRIS extension of a STIX 2.1 bundle (D4.7 section 3.4; A1, A2, A4).

Two carriers are read: the data directly on an `extension-definition` object, and `extensions` on
any object (property-extension) or the blocks at its top level. `criticalities` and
`playbook_actions` stand beside `policies` or inside it. What has no field of ours is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eme_connector.domain.playbook import ACTIONS, Playbook, Step, action_of, order_steps
from eme_connector.domain.risk import CriticalityOrder, normalise_criticality
from eme_connector.domain.threat import Asset, Detection, Kind, Tlp
from eme_connector.errors import Fault, InvalidBundle
from eme_connector.formats.fields import Reader, Trace, in_document_order, step_into
from eme_connector.formats.markings import tlp_of
from eme_connector.formats.strict_json import canonical

BLOCKS = ("detection", "policies", "criticalities", "playbook_actions")
_KINDS = {str(kind): kind for kind in Kind}
_WORDS = {"enabled": True, "disabled": False, True: True, False: False}


@dataclass(frozen=True, slots=True)
class ParsedBundle:
    """The detections of one document, in its order."""

    bundle_id: str
    detections: tuple[Detection, ...]


@dataclass(frozen=True, slots=True)
class _Rules:
    is_sender: Callable[[str], bool]
    order: CriticalityOrder
    max_steps: int


def parse(
    document: Any,
    *,
    is_sender: Callable[[str], bool],
    criticality_order: CriticalityOrder,
    max_steps: int = 256,
) -> ParsedBundle:
    """Return the detections of *document*, which must speak for the sender alone.

    Raises:
        InvalidBundle: with every fault and its JSON pointer; values are not echoed.
    """
    trace = Trace()
    faults = trace.faults
    objects = _objects(document, faults)
    rules = _Rules(is_sender, criticality_order, max_steps)
    carriers = [
        found for index, one in enumerate(objects) for found in _carriers(one, index, trace)
    ]
    if not carriers and not faults:
        faults.append(Fault("/objects", "no object carries a detection"))
    _refuse_doubles(carriers, faults)
    detections = [d for carrier in carriers for d in _detections(carrier, rules)]
    _refuse_same_identity(detections, faults)
    if sum(len(one.steps) for one in detections) > max_steps:
        faults.append(Fault("/objects", f"more than {max_steps} steps"))
    if faults:
        raise InvalidBundle(in_document_order(faults, document))
    bundle_id = document.get("id")
    return ParsedBundle(bundle_id if isinstance(bundle_id, str) else "", tuple(detections))


@dataclass(frozen=True, slots=True)
class _Carrier:
    """One object with IRIS data: *blocks* is where the blocks stand."""

    object: Reader
    blocks: Reader


def _objects(document: Any, faults: list[Fault]) -> list[Any]:
    if not isinstance(document, dict) or document.get("type") != "bundle":
        faults.append(Fault("/type" if isinstance(document, dict) else "", "expected a bundle"))
        return []
    objects = document.get("objects")
    if not isinstance(objects, list):
        faults.append(Fault("/objects", "expected a list of objects"))
        return []
    return objects


def carriers_of(one: Any) -> list[str]:
    """Return where in the STIX object *one* IRIS blocks stand, as pointers: "" is its top."""
    if not isinstance(one, dict):
        return []
    inside = [
        step_into("/extensions", key)
        for key, extension in _extensions(one)
        if any(block in extension for block in BLOCKS)
    ]
    return ([""] if any(block in one for block in BLOCKS) else []) + inside


def _carriers(one: Any, index: int, trace: Trace) -> Iterable[_Carrier]:
    at = step_into("/objects", index)
    if not isinstance(one, dict):
        trace.faults.append(Fault(at, "expected an object"))
        return
    reader = Reader(one, at, trace)
    if any(block in one for block in BLOCKS):
        yield _Carrier(reader, reader)
    for key, extension in _extensions(one):
        if any(block in extension for block in BLOCKS):
            inner = reader.object("extensions")
            found = inner.object(key) if inner else None
            if found:
                yield _Carrier(reader, found)


def _extensions(one: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    extensions = one.get("extensions")
    if isinstance(extensions, dict):
        for key, extension in extensions.items():
            if isinstance(extension, dict):
                yield key, extension


def _refuse_doubles(carriers: list[_Carrier], faults: list[Fault]) -> None:
    seen: dict[str, str] = {}
    for carrier in carriers:
        one = carrier.object
        known = one.value.get("id")
        if isinstance(known, str) and seen.setdefault(known, one.pointer) != one.pointer:
            one.fault("id", "is the id of another object of this bundle")


def _refuse_same_identity(detections: list[Detection], faults: list[Fault]) -> None:
    seen = set()
    for one in detections:
        identity = (one.carrier_id, one.iris_id)
        if identity in seen:
            faults.append(Fault(one.pointer, "has the iris_id of another detection"))
        seen.add(identity)


def _detections(carrier: _Carrier, rules: _Rules) -> list[Detection]:
    blocks, flags = carrier.blocks, set[str]()
    carrier_id = carrier.object.text("id", required=True)
    policies = blocks.object("policies")
    place = _place(blocks, policies)
    restrictions = _restrictions(policies, rules) if policies else None
    assets = tuple(_asset(one, rules) for one in place("criticalities"))
    playbooks = _playbooks(list(place("playbook_actions")), rules, flags)
    tlp = _tlp(carrier.object, flags)
    common = {"assets": assets, "playbooks": playbooks, "restrictions": restrictions, "tlp": tlp}
    found = [
        _detection(one, carrier_id, rules, flags, common)
        for one in blocks.objects("detection", required=True)
    ]
    extra = canonical(carrier.object.trace.leftovers(carrier.object.pointer))
    return [Detection(**one, extra=extra) for one in found]


def _place(blocks: Reader, policies: Reader | None) -> Callable[[str], list[Reader]]:
    """Return how to read a block that stands beside `policies` or inside it."""

    def read(name: str) -> list[Reader]:
        inside = policies.objects(name) if policies and policies.has(name) else []
        if inside and blocks.has(name):
            blocks.fault(name, "stands beside policies and inside it")
        return inside or blocks.objects(name)

    return read


def _detection(
    one: Reader, carrier_id: str, rules: _Rules, flags: set[str], common: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the members of a Detection but for `extra`, which is known when all was read."""
    _check_sender(one, rules, required=True)
    own = set(flags)
    word = one.text("classification", required=True).strip().lower()
    kind = _KINDS.get(word)
    if kind is None:
        one.fault("classification", "expected attack or vulnerability")
    first, last = one.time("first_seen", own), one.time("last_seen", own)
    if first and last and last < first:
        own.add("seen-reversed")
    risk = one.number("risk_score", 0, 10)
    confidence = one.integer("confidence", 0, 100)
    fields: dict[str, Any] = {} if confidence is None else {"confidence": confidence}
    return dict(
        carrier_id=carrier_id,
        iris_id=one.label("iris_id", required=True),
        name=one.text("detection_name", required=True),
        kind=kind or Kind.ATTACK,
        threat=one.text("threat"),
        summary=one.text("detection_summary"),
        source=one.text("source"),
        actor=one.text("actor"),
        first_seen=first,
        last_seen=last,
        risk_score=0.0 if risk is None else round(risk, 1),
        flags=tuple(sorted(own)),
        pointer=one.pointer,
        **common,
        **fields,
    )


def _check_sender(one: Reader, rules: _Rules, *, required: bool = False) -> None:
    name = one.text("organisation", required=required)
    if name and not rules.is_sender(name):
        one.fault("organisation", "is not the sender's organisation")


def _asset(one: Reader, rules: _Rules) -> Asset:
    _check_sender(one, rules)
    value = one.integer("criticality", 1, 5)
    criticality = None if value is None else normalise_criticality(value, rules.order)
    return Asset(one.address("asset_ip"), one.text("asset_device"), criticality)


def _restrictions(policies: Reader, rules: _Rules) -> dict[str, bool] | None:
    _check_sender(policies, rules)
    groups = policies.object("action_policy")
    if groups is None:
        return None
    found: dict[str, bool] = {}
    for group in list(groups.value):
        actions = groups.object(group)
        for name in list(actions.value) if actions else ():
            assert actions is not None
            value = actions.take(name)
            word = value.strip().lower() if isinstance(value, str) else value
            if not isinstance(word, str | bool) or word not in _WORDS:
                actions.fault(name, "expected enabled or disabled")
            else:
                key = name if name in ACTIONS else f"{group}.{name}"
                found[key] = _WORDS[word]
    return found


def _playbooks(blocks: list[Reader], rules: _Rules, flags: set[str]) -> tuple[Playbook, ...]:
    return tuple(
        _playbook(one, f"{number}." if len(blocks) > 1 else "", rules, flags)
        for number, one in enumerate(blocks, start=1)
    )


def _playbook(one: Reader, prefix: str, rules: _Rules, flags: set[str]) -> Playbook:
    start = one.label("workflow_start")
    steps = _steps(one, prefix, rules)
    ordered, found, reordered = order_steps(steps, prefix + start)
    risk = one.number("risk_score", 0, 10)
    valid_from, valid_until = (
        one.time("playbook_valid_from", flags),
        one.time("playbook_valid_until", flags),
    )
    if valid_from and valid_until and valid_until <= valid_from:
        one.fault("playbook_valid_until", "is not after playbook_valid_from")
    return Playbook(
        name=one.text("name"),
        steps=ordered,
        source_id=one.text("playbook_id"),
        created_by=one.text("created_by"),
        created=one.time("created", flags),
        modified=one.time("modified", flags),
        valid_from=valid_from,
        valid_until=valid_until,
        kind=one.text("playbook_type"),
        sector=one.text("organization_type"),
        asset=one.text("asset"),
        impact=one.integer("playbook_impact", 0, 100),
        severity=one.integer("playbook_severity", 0, 100),
        priority=one.integer("playbook_priority", 0, 100),
        risk_score=None if risk is None else round(risk, 1),
        standard=one.text("playbook_standard"),
        spec_version=one.text("spec_version"),
        start=start,
        start_found=found,
        reordered=reordered,
        listed=tuple(step.id for step in steps) if reordered else (),
    )


def _steps(playbook: Reader, prefix: str, rules: _Rules) -> list[Step]:
    if not isinstance(playbook.value.get("workflow"), list):
        playbook.take("workflow")
        playbook.fault("workflow", "expected a list of steps")
        return []
    if not playbook.value["workflow"]:
        playbook.take("workflow")
        return []
    readers = playbook.objects("workflow")
    if len(readers) > rules.max_steps:
        playbook.fault("workflow", f"has more than {rules.max_steps} steps")
        return []
    steps = [_step(one, prefix) for one in readers]
    seen: set[str] = set()
    for reader, step in zip(readers, steps, strict=True):
        if step.id in seen:
            reader.fault("id", "is the id of another step")
        seen.add(step.id)
    return steps


def _step(one: Reader, prefix: str) -> Step:
    text = one.text("action", required=True)
    action = action_of(text)
    said = one.integer("action_impact", 0, 100) or 0
    return Step(
        id=prefix + one.label("id", required=True),
        action_text=text,
        action=action,
        actor=one.text("impacted_actor"),
        description=one.text("description"),
        impact=max(said, ACTIONS[action].impact if action else 0),
        execution_api=one.text("execution_api"),
    )


def _tlp(one: Reader, flags: set[str]) -> Tlp | None:
    refs = one.take("object_marking_refs")
    if refs is None:
        return None
    if not isinstance(refs, list) or not all(isinstance(ref, str) for ref in refs):
        one.fault("object_marking_refs", "expected a list of ids")
        return None
    tlp, all_known = tlp_of(refs)
    if all_known:
        return tlp
    flags.add("unknown-marking")
    return Tlp.RED if tlp is Tlp.RED else Tlp.AMBER_STRICT
