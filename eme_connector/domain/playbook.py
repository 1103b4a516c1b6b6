"""Playbooks, their steps, and the digest that a decision is bound to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
StepOrder = Literal["start-first", "wait"]


@dataclass(frozen=True, slots=True)
class Action:
    """One of the eight response actions of D4.7 section 3.9.2.

    `impact` is 0-100 (CACAO's scale): the least that we take it for, whatever a message says.
    """

    key: str
    group: Literal["contain", "harden", "recover"]
    label: str
    impact: int
    explanation: str
    undo: str


ACTIONS: dict[str, Action] = {
    action.key: action
    for action in (
        Action("isolate", "contain", "Isolate host", 60,
               "Cuts the host off the network; what runs on it goes on, but reaches nobody.",
               "Put the host back on the network."),
        Action("block_service", "contain", "Block service", 30,
               "Drops the traffic of one service to or from the host.",
               "Delete the blocking rule."),
        Action("shutdown", "contain", "Shut down host", 90,
               "Switches the host off; somebody may have to go there to start it again.",
               "Start the host by hand; not always possible from afar."),
        Action("install_patches", "harden", "Install patches", 40,
               "Installs the updates that close the weakness; services may restart.",
               "Install the previous version."),
        Action("disable_service", "harden", "Disable service", 40,
               "Stops a service and keeps it from starting again.",
               "Enable and start the service."),
        Action("implement_access_control", "harden", "Implement access control", 20,
               "Allows only named accounts or addresses to reach the asset.",
               "Take the rule or the account setting back."),
        Action("restore", "recover", "Restore", 50,
               "Brings the asset back to a known good state, such as a backup or signed image.",
               "None: what was overwritten is gone unless it was saved first."),
        Action("reconfigure", "recover", "Reconfigure", 30,
               "Changes settings of the asset.",
               "Bring the saved settings back."),
    )
}  # fmt: skip

_WORDS = {
    "isolate": "isolate",
    "isolate host": "isolate",
    "block host service": "block_service",
    "block service": "block_service",
    "block_service": "block_service",
    "shutdown": "shutdown",
    "shutdown host": "shutdown",
    "shut down host": "shutdown",
    "install patches": "install_patches",
    "install_patches": "install_patches",
    "disable service": "disable_service",
    "disable_service": "disable_service",
    "implement access control": "implement_access_control",
    "implement_access_control": "implement_access_control",
    "restore": "restore",
    "reconfigure": "reconfigure",
}


def action_of(text: str) -> str | None:
    """Return the key of the action that *text* names, or None for a word we do not know."""
    return _WORDS.get(" ".join(text.lower().split()))


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a playbook.

    `action_text` is as it was sent, `action` our key or None; `actor` is the device the step
    acts upon; `impact` is 0-100, never below the number of our action table. `execution_api` is
    text for people: it is never called.
    """

    id: str
    action_text: str
    action: str | None
    actor: str = ""
    description: str = ""
    impact: int = 0
    execution_api: str = ""


@dataclass(frozen=True, slots=True)
class Playbook:
    """A proposed response: its steps in the order in which they would run.

    `valid_from` and `valid_until` are RFC 3339 in UTC or empty (none given). `start_found` is
    False when `workflow_start` is missing or names no step; `reordered` says that the start was
    not the first entry of the list; `listed` are the ids in the order of the list where it was.
    """

    name: str
    steps: tuple[Step, ...]
    source_id: str = ""
    created_by: str = ""
    created: str = ""
    modified: str = ""
    valid_from: str = ""
    valid_until: str = ""
    kind: str = ""
    sector: str = ""
    asset: str = ""
    impact: int | None = None
    severity: int | None = None
    priority: int | None = None
    risk_score: float | None = None
    standard: str = ""
    spec_version: str = ""
    start: str = ""
    start_found: bool = True
    reordered: bool = False
    listed: tuple[str, ...] = ()

    @property
    def as_listed(self) -> tuple[Step, ...]:
        """The steps in the order in which they were sent."""
        place = {step: at for at, step in enumerate(self.listed)}
        return tuple(sorted(self.steps, key=lambda step: place.get(step.id, len(place))))

    def is_valid_at(self, now: datetime) -> bool:
        """Say whether *now* lies inside the validity; a missing end or start does not limit."""
        starts = not self.valid_from or instant(self.valid_from) <= now
        return starts and (not self.valid_until or now < instant(self.valid_until))


def instant(text: str) -> datetime:
    """Return the moment that our own normalised RFC 3339 text names."""
    return datetime.fromisoformat(text)


def order_steps(steps: Sequence[Step], start: str) -> tuple[tuple[Step, ...], bool, bool]:
    """Return (steps with *start* first and the rest as listed, start found, reordered)."""
    first = next((step for step in steps if step.id == start), None)
    if first is None:
        return tuple(steps), False, False
    rest = [step for step in steps if step is not first]
    return (first, *rest), True, first is not steps[0]


def keep_steps(
    playbooks: Iterable[Playbook], steps: Collection[str], valid_until: str | None
) -> tuple[Playbook, ...]:
    """Return what may leave: only the named steps, with the new end where one was given."""
    kept = []
    for playbook in playbooks:
        chosen = tuple(step for step in playbook.steps if step.id in steps)
        if chosen:
            end = playbook.valid_until if valid_until is None else valid_until
            kept.append(replace(playbook, steps=chosen, valid_until=end))
    return tuple(kept)


def document(playbooks: Iterable[Playbook], assets: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the canonical form of all that an orchestrator is sent about the response.

    *assets* are (address, device). A step's `address` is that of the asset whose device is the
    step's actor; where no device is named it is the only asset's. An actor that is not an asset
    of this threat gets no address, because ours would be the wrong one.
    """
    targets = list(assets)
    return {
        "assets": [{"address": address, "device": device} for address, device in targets],
        "playbooks": [
            {
                "name": playbook.name,
                "valid_from": playbook.valid_from,
                "valid_until": playbook.valid_until,
                "steps": [_step_document(step, targets) for step in playbook.steps],
            }
            for playbook in playbooks
        ],
    }


def digest(content: dict[str, Any]) -> str:
    """Return the SHA-256 (hex) over the canonical JSON of *content*."""
    return hashlib.sha256(_CANONICAL.encode(content).encode()).hexdigest()


def _step_document(step: Step, targets: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "id": step.id,
        "action": step.action,
        "action_text": step.action_text,
        "actor": step.actor,
        "address": _address_of(step.actor, targets),
        "description": step.description,
        "impact": step.impact,
    }


def _address_of(actor: str, targets: list[tuple[str, str]]) -> str:
    if not actor:
        return targets[0][0] if len(targets) == 1 else ""
    return next((address for address, device in targets if device == actor), "")
