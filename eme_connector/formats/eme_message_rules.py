"""What a threat from a peer must keep to, so that it cannot break a page or a chart here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from eme_connector.domain.playbook import ACTIONS, Playbook, instant
from eme_connector.domain.threat import Detection, Threat
from eme_connector.errors import EmeError, Fault
from eme_connector.formats import strict_json

_MOST = 2**53
_EXTRA_DEPTH = 64
_EXTRA_BYTES = 16 * 1024 * 1024


def check_threat(threat: Threat, *, max_steps: int) -> list[Fault]:
    """Return what is wrong with a peer's *threat*, each with its JSON pointer in the message."""
    found = [*_own(threat), *_detection(threat.detection), *_decision(threat)]
    if len(threat.detection.steps) > max_steps:
        found.append(Fault("/threat/detection/playbooks", f"more than {max_steps} steps"))
    return found


def _own(threat: Threat) -> Iterator[Fault]:
    for name, value in (("id", threat.id), ("organisation", threat.organisation)):
        if not _is_uuid(value):
            yield Fault(f"/threat/{name}", "must be a uuid")
    if not 1 <= threat.criticality <= 5:
        yield Fault("/threat/criticality", "must be 1-5")
    times = (threat.received_at, threat.updated_at)
    if not all(0 <= moment < _MOST for moment in times):
        yield Fault("/threat/received_at", "is not a time")


def _detection(detection: Detection) -> Iterator[Fault]:
    at = "/threat/detection"
    # a comparison with NaN is false, so it is refused here too
    if not 0 <= detection.risk_score <= 10:
        yield Fault(f"{at}/risk_score", "must be 0-10")
    if not 0 <= detection.confidence <= 100:
        yield Fault(f"{at}/confidence", "must be 0-100")
    for index, asset in enumerate(detection.assets):
        if asset.criticality is not None and not 1 <= asset.criticality <= 5:
            yield Fault(f"{at}/assets/{index}/criticality", "must be 1-5")
    for name in ("first_seen", "last_seen"):
        yield from _time(f"{at}/{name}", getattr(detection, name))
    for index, playbook in enumerate(detection.playbooks):
        yield from _playbook(f"{at}/playbooks/{index}", playbook)
    ids = [step.id for step in detection.steps]
    if len(set(ids)) != len(ids):
        yield Fault(f"{at}/playbooks", "two steps have the same id")
    yield from _extra(f"{at}/extra", detection.extra)


def _playbook(at: str, playbook: Playbook) -> Iterator[Fault]:
    for name in ("created", "modified", "valid_from", "valid_until"):
        yield from _time(f"{at}/{name}", getattr(playbook, name))
    for name in ("impact", "severity", "priority", "risk_score"):
        value = getattr(playbook, name)
        if value is not None and not 0 <= value <= 100:
            yield Fault(f"{at}/{name}", "must be 0-100")
    for index, step in enumerate(playbook.steps):
        if not 0 <= step.impact <= 100:
            yield Fault(f"{at}/steps/{index}/impact", "must be 0-100")
        if step.action is not None and step.action not in ACTIONS:
            yield Fault(f"{at}/steps/{index}/action", "is not an action")


def _decision(threat: Threat) -> Iterator[Fault]:
    decision, closed = threat.decision, threat.resolution
    known = {step.id for step in threat.detection.steps}
    if not set(decision.steps) <= known:
        yield Fault("/threat/decision/steps", "names a step that is not there")
    yield from _time("/threat/decision/valid_until", decision.valid_until or "")
    yield from _moments("/threat/decision/at", [decision.at])
    yield from _moments("/threat/resolution/at", [closed.at if closed else None])


def _moments(at: str, moments: Iterable[int | None]) -> Iterator[Fault]:
    if any(moment is not None and not 0 <= moment < _MOST for moment in moments):
        yield Fault(at, "is not a time")


def _time(at: str, text: str) -> Iterator[Fault]:
    try:
        if text and instant(text).tzinfo is None:
            yield Fault(at, "needs a time zone")
    except (ValueError, OverflowError):
        yield Fault(at, "is not an RFC 3339 time")


def _extra(at: str, text: str) -> Iterator[Fault]:
    try:
        if text:
            strict_json.loads(text.encode(), max_bytes=_EXTRA_BYTES, max_depth=_EXTRA_DEPTH)
    except EmeError:
        yield Fault(at, "is not JSON that we read")


def _is_uuid(value: str) -> bool:
    try:
        return str(UUID(value)) == value
    except ValueError:
        return False
