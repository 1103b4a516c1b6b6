"""Read one event of any detector, without a playbook (`POST /ci/threats/event`, A3).

A flat JSON object; docs/events.md describes it. What has no field of ours is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eme_connector.domain.risk import CriticalityOrder, normalise_criticality
from eme_connector.domain.threat import Asset, Detection, Kind, Tlp
from eme_connector.errors import Fault, InvalidBundle
from eme_connector.formats.fields import Reader, Trace, in_document_order
from eme_connector.formats.iris_bundle import ParsedBundle
from eme_connector.formats.strict_json import canonical

CARRIER = "event"


def parse(
    document: Any, *, is_sender: Callable[[str], bool], criticality_order: CriticalityOrder
) -> ParsedBundle:
    """Return the one detection in *document*; its `id` is the sender's own and names a re-send.

    Raises:
        InvalidBundle: with every fault and its JSON pointer; values are not echoed.
    """
    trace = Trace()
    if not isinstance(document, dict):
        raise InvalidBundle([Fault("", "expected an object")])
    event = Reader(document, "", trace)
    detection = _detection(event, is_sender, criticality_order)
    if trace.faults:
        raise InvalidBundle(in_document_order(trace.faults, document))
    return ParsedBundle("", (detection,))


def _detection(
    event: Reader, is_sender: Callable[[str], bool], order: CriticalityOrder
) -> Detection:
    organisation = event.text("organisation")
    if organisation and not is_sender(organisation):
        event.fault("organisation", "is not the sender's organisation")
    flags: set[str] = set()
    first, last = event.time("first_seen", flags), event.time("last_seen", flags)
    if first and last and last < first:
        flags.add("seen-reversed")
    risk, confidence = event.number("risk_score", 0, 10), event.integer("confidence", 0, 100)
    given: dict[str, Any] = {} if confidence is None else {"confidence": confidence}
    return Detection(
        carrier_id=CARRIER,
        iris_id=event.label("id", required=True),
        name=event.text("name", required=True),
        kind=_kind(event),
        threat=event.text("threat"),
        summary=event.text("summary"),
        source=event.text("source"),
        actor=event.text("actor"),
        first_seen=first,
        last_seen=last,
        risk_score=0.0 if risk is None else round(risk, 1),
        assets=tuple(_asset(one, order) for one in event.objects("asset")),
        tlp=_tlp(event),
        flags=tuple(sorted(flags)),
        extra=_extra(event),
        **given,
    )


def _kind(event: Reader) -> Kind:
    word = event.text("classification").strip().lower() or Kind.ATTACK
    if word not in set(Kind):
        event.fault("classification", "expected attack or vulnerability")
        return Kind.ATTACK
    return Kind(word)


def _tlp(event: Reader) -> Tlp | None:
    word = event.text("tlp").strip().lower().removeprefix("tlp:")
    if not word:
        return None
    if word not in set(Tlp):
        event.fault("tlp", "expected clear, green, amber, amber+strict or red")
        return None
    return Tlp(word)


def _asset(one: Reader, order: CriticalityOrder) -> Asset:
    value = one.integer("criticality", 1, 5)
    criticality = None if value is None else normalise_criticality(value, order)
    return Asset(one.address("address"), one.text("device"), criticality)


def _extra(event: Reader) -> str:
    unread = event.trace.leftovers("")
    return canonical(unread) if unread else ""
