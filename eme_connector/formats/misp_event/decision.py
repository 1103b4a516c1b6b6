"""Where a threat stands, as the MISP object `response-decision` and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from eme_connector.domain.threat import (
    Decision,
    Detection,
    Execution,
    Resolution,
    Status,
    Threat,
    Tlp,
    Waiting,
)
from eme_connector.errors import Fault, InvalidMessage
from eme_connector.formats.misp_event import tags
from eme_connector.formats.misp_event.objects import Draft, FoundObject

PATH = "decision"
E = TypeVar("E")


def draft(threat: Threat) -> Draft:
    """Return everything about *threat* that its detection does not say."""
    made, closed, rank = threat.decision, threat.resolution, threat.rank
    one = Draft("response-decision", PATH)
    one.add("status", threat.status)
    one.tags["status"] = tags.of_state(threat)
    one.add("decision", made.status)
    one.add("execution", threat.execution)
    one.add("decided-by", made.by)
    one.add("decided-at", _time(made.at))
    one.add("reason", made.reason)
    for step in made.steps:
        one.add("approved-step", step)
    one.add("valid-until", made.valid_until)
    for policy in made.policies:
        one.add("policy", policy)
    for why in made.waiting:
        one.add("waiting", json.dumps([why.step, why.code, why.detail], ensure_ascii=False))
    one.add("digest", made.digest)
    one.add("dispatch-digest", made.dispatch_digest)
    if closed:
        one.add("resolved-by", closed.by)
        one.add("resolved-at", _time(closed.at))
        one.add("resolution", closed.reason)
    one.add("rank", f"{rank.value:g} {rank.band}")
    _identity(one, threat)
    return one


def _identity(one: Draft, threat: Threat) -> None:
    one.add("organisation-id", threat.organisation)
    one.add("origin", threat.origin)
    one.add("sharing-group", threat.group)
    for recipient in threat.recipients:
        one.add("recipient", recipient)
    one.add("criticality", threat.criticality)
    one.add("received-at", threat.received_at)
    one.add("updated-at", threat.updated_at)
    one.add("revision", threat.revision)
    one.add("sequence", threat.sequence)
    one.add("group-sent", int(threat.group_sent))
    one.add("content-digest", threat.content_digest)
    for flag in threat.flags:
        one.add("flag", flag)


def read(
    found: FoundObject, detection: Detection, *, threat_id: str, tlp: Tlp, bundle_id: str
) -> Threat:
    """Return the threat that *found* and its *detection* describe.

    Raises:
        InvalidMessage: a value is none of ours; its place is the object's relation.
    """
    reader = _Values(found)
    threat = Threat(
        id=threat_id,
        organisation=found.first("organisation-id"),
        detection=detection,
        received_at=reader.number("received-at") or 0,
        updated_at=reader.number("updated-at") or 0,
        tlp=tlp,
        criticality=reader.number("criticality") or 0,
        origin=found.first("origin") or None,
        revision=reader.number("revision") or 1,
        sequence=reader.number("sequence") or 1,
        group=found.first("sharing-group") or None,
        group_sent=found.first("group-sent") == "1",
        recipients=tuple(found.values.get("recipient", ())),
        decision=_decision(found, reader),
        execution=reader.one_of("execution", Execution, Execution.NONE),
        resolution=_resolution(found, reader),
        bundle_id=bundle_id,
        content_digest=found.first("content-digest"),
        flags=tuple(found.values.get("flag", ())),
    )
    if reader.faults:
        raise InvalidMessage(reader.faults)
    return threat


def _decision(found: FoundObject, reader: _Values) -> Decision:
    return Decision(
        status=reader.one_of("decision", Status, Status.PENDING),
        by=found.first("decided-by"),
        at=reader.moment("decided-at"),
        reason=found.first("reason"),
        digest=found.first("digest"),
        steps=tuple(found.values.get("approved-step", ())),
        valid_until=found.first("valid-until") or None,
        dispatch_digest=found.first("dispatch-digest"),
        policies=tuple(found.values.get("policy", ())),
        waiting=tuple(reader.waiting()),
    )


def _resolution(found: FoundObject, reader: _Values) -> Resolution | None:
    at = reader.moment("resolved-at")
    return (
        None
        if at is None
        else Resolution(found.first("resolved-by"), at, found.first("resolution"))
    )


def _time(at: int | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at / 1_000_000, UTC).isoformat()


class _Values:
    """Reads values of one object, collecting faults; a value is never echoed."""

    def __init__(self, found: FoundObject) -> None:
        self._found = found
        self.faults: list[Fault] = []

    def number(self, relation: str) -> int | None:
        text = self._found.first(relation)
        if text and not (text.isascii() and text.isdigit() and len(text) <= 18):
            self._fault(relation, "expected a whole number")
            return None
        return int(text) if text else None

    def moment(self, relation: str) -> int | None:
        text = self._found.first(relation)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self._fault(relation, "expected a date and time")
            return None
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        since = zoned - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds

    def one_of(self, relation: str, kind: Callable[[str], E], default: E) -> E:
        text = self._found.first(relation)
        try:
            return kind(text) if text else default
        except ValueError:
            self._fault(relation, "is not a word of ours")
            return default

    def waiting(self) -> list[Waiting]:
        found = []
        for text in self._found.values.get("waiting", ()):
            try:
                step, code, detail = json.loads(text)
                found.append(Waiting(None if step is None else str(step), str(code), str(detail)))
            except (ValueError, TypeError, RecursionError):
                self._fault("waiting", "is not a reason of ours")
        return found

    def _fault(self, relation: str, detail: str) -> None:
        self.faults.append(Fault(f"/{PATH}/{relation}", detail))
