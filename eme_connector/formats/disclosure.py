"""What is left out of a threat before it leaves: names of people, and of assets."""

from __future__ import annotations

from dataclasses import replace

from eme_connector.domain.playbook import Playbook, Step
from eme_connector.domain.threat import Asset, Detection, Threat

HIDDEN = "[asset]"
_LEAST_HIDDEN = 3


def without_assets(threat: Threat) -> Threat:
    """Return *threat* without what names an asset: addresses, devices, actors, step texts.

    What we know by its field is left out; where free text repeats a name it is hidden there.
    """
    names = asset_names(threat.detection)
    decision = replace(
        threat.decision,
        reason=_hide(threat.decision.reason, names),
        waiting=tuple(
            replace(one, detail=_hide(one.detail, names)) for one in threat.decision.waiting
        ),
    )
    closed = threat.resolution
    return replace(
        threat,
        detection=_detection_without(threat.detection, names),
        decision=decision,
        resolution=closed and replace(closed, reason=_hide(closed.reason, names)),
    )


def detection_without_assets(detection: Detection) -> Detection:
    """Return *detection* without what names an asset, as `without_assets` leaves it."""
    return _detection_without(detection, asset_names(detection))


def _detection_without(detection: Detection, names: list[str]) -> Detection:
    return replace(
        detection,
        name=_hide(detection.name, names),
        threat=_hide(detection.threat, names),
        summary=_hide(detection.summary, names),
        source=_hide(detection.source, names),
        actor=_hide(detection.actor, names),
        assets=tuple(Asset(criticality=one.criticality) for one in detection.assets),
        playbooks=tuple(_playbook_without(one, names) for one in detection.playbooks),
        extra="",
    )


def _playbook_without(playbook: Playbook, names: list[str]) -> Playbook:
    return replace(
        playbook,
        name=_hide(playbook.name, names),
        created_by=_hide(playbook.created_by, names),
        asset="",
        steps=tuple(_step_without(step, names) for step in playbook.steps),
    )


def _step_without(step: Step, names: list[str]) -> Step:
    text = _hide(step.action_text, names)
    return replace(step, action_text=text, actor="", description="", execution_api="")


def asset_names(detection: Detection) -> list[str]:
    """Return what names an asset of *detection*, the longest first."""
    found = {name for asset in detection.assets for name in (asset.address, asset.device)}
    found |= {step.actor for step in detection.steps}
    found |= {playbook.asset for playbook in detection.playbooks}
    # so that no name is left standing inside another
    return sorted((one for one in found if len(one) >= _LEAST_HIDDEN), key=len, reverse=True)


def _hide(text: str, names: list[str]) -> str:
    for name in names:
        text = text.replace(name, HIDDEN)
    return text


def impersonal(threat: Threat) -> Threat:
    """Account names are nobody's business outside: a person is `person`."""
    decision, closed = threat.decision, threat.resolution
    if decision.by and not decision.by_policy:
        decision = replace(decision, by="person")
    if closed and not closed.by.startswith("orchestrator:"):
        closed = replace(closed, by="person")
    return replace(threat, decision=decision, resolution=closed)
