"""Write an IRIS playbook as CACAO 2.0 (OASIS, B6): its steps in order, each a task for people.

What has no place in CACAO without an extension (a step's impact, its execution_api, the IRIS ids)
stays in the IRIS extension that travels beside it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NotRequired, TypedDict
from uuid import UUID, uuid5

from eme_connector.domain.playbook import ACTIONS, Playbook, Step
from eme_connector.domain.threat import Asset, Tlp
from eme_connector.formats.fields import parse_time
from eme_connector.formats.markings import tlp_uuid

MEDIA_TYPE = "application/cacao+json"
_TLP_AUTHOR = "identity--5abe695c-7bd5-4c31-8824-2528696cdbf1"
_TLP_MADE = "2022-10-01T00:00:00.000Z"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_PLAYBOOK_ID = re.compile(f"playbook--{_UUID}")
_IDENTITY = re.compile(f"identity--{_UUID}")
_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
TYPES = (
    "attack", "detection", "engagement", "investigation", "mitigation", "notification",
    "prevention", "remediation",
)  # fmt: skip
_TYPE_OF_GROUP = {"contain": "mitigation", "harden": "prevention", "recover": "remediation"}
_ACTIVITY = {
    "isolate": "disconnect-system",
    "block_service": "restrict-access",
    "shutdown": "disconnect-system",
    "install_patches": "configure-systems",
    "disable_service": "configure-systems",
    "implement_access_control": "restrict-access",
    "restore": "restore-data",
    "reconfigure": "configure-systems",
}
_SECTORS = {
    "transport": "transportation", "transportation": "transportation", "energy": "energy",
    "electricity": "energy", "water": "water", "drinking water": "water", "waste water": "water",
    "health": "healthcare", "healthcare": "healthcare", "banking": "financial",
    "finance": "financial", "telecommunications": "telecommunications", "telecom":
    "telecommunications", "digital infrastructure": "information-communications-technology",
    "public administration": "government", "government": "government",
    "local government": "local-government", "space": "aerospace", "food": "food",
    "manufacturing": "manufacturing", "critical infrastructure": "critical-infrastructure",
}  # fmt: skip


class Command(TypedDict):
    """A task that a person carries out."""

    type: Literal["manual"]
    command: str
    playbook_activity: NotRequired[str]


class WorkflowStep(TypedDict):
    """A start, action or end step."""

    type: Literal["start", "action", "end"]
    name: NotRequired[str]
    description: NotRequired[str]
    on_completion: NotRequired[str]
    commands: NotRequired[list[Command]]
    agent: NotRequired[str]
    targets: NotRequired[list[str]]


class Party(TypedDict):
    """An agent (an organisation) or a target (a network address)."""

    type: Literal["organization", "net-address"]
    name: str
    address: NotRequired[dict[str, list[str]]]


class TlpMarking(TypedDict):
    """The marking definition of a TLP 2.0 level."""

    type: Literal["marking-tlp"]
    id: str
    created_by: str
    created: str
    tlpv2_level: str


class CacaoPlaybook(TypedDict):
    """A playbook of CACAO 2.0."""

    type: Literal["playbook"]
    spec_version: Literal["cacao-2.0"]
    id: str
    name: str
    description: NotRequired[str]
    playbook_types: NotRequired[list[str]]
    playbook_activities: NotRequired[list[str]]
    playbook_processing_summary: dict[str, bool]
    created_by: str
    created: str
    modified: str
    valid_from: NotRequired[str]
    valid_until: NotRequired[str]
    priority: NotRequired[int]
    severity: NotRequired[int]
    impact: NotRequired[int]
    industry_sectors: NotRequired[list[str]]
    markings: list[str]
    workflow_start: str
    workflow: dict[str, WorkflowStep]
    agent_definitions: dict[str, Party]
    target_definitions: NotRequired[dict[str, Party]]
    data_marking_definitions: dict[str, TlpMarking]


@dataclass(frozen=True, slots=True)
class Frame:
    """Whose playbook it is: ids are derived from `namespace`; `at` is µs since 1970.

    `identity` is the organisation's in STIX, `organisation` its name.
    """

    namespace: UUID
    identity: str
    organisation: str
    tlp: Tlp
    assets: tuple[Asset, ...]
    at: int


def render(one: Playbook, frame: Frame) -> CacaoPlaybook | None:
    """Return *one* as CACAO 2.0, or None where it has no step, which CACAO does not allow."""
    if not one.steps:
        return None
    parts = _Parts(frame, one)
    created = stamp(one.created) or _of_micros(frame.at)
    found: CacaoPlaybook = {
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": parts.playbook_id,
        "name": one.name or "Response",
        "playbook_processing_summary": {"manual_playbook": True, "data_markings": True},
        "created_by": parts.author,
        "created": created,
        "modified": max(created, stamp(one.modified) or created),
        "markings": [f"marking-tlp--{tlp_uuid(frame.tlp)}"],
        "workflow_start": parts.id("start", "start"),
        "workflow": parts.workflow(),
        "agent_definitions": {
            parts.agent: {"type": "organization", "name": frame.organisation or "The operator"}
        },
        "data_marking_definitions": {f"marking-tlp--{tlp_uuid(frame.tlp)}": _marking(frame.tlp)},
    }
    if targets := parts.targets():
        found["target_definitions"] = targets
    _describe(found, one)
    return found


def stamp(text: str) -> str:
    """Return a time as CACAO wants it, with exactly three digits of a second; "" for none."""
    moment = parse_time(text)
    return _written(moment[0]) if moment else ""


def _describe(found: CacaoPlaybook, one: Playbook) -> None:
    if activities := _once(_ACTIVITY[step.action] for step in one.steps if step.action):
        found["playbook_activities"] = activities
        found["playbook_types"] = _types(one)
    if sector := _SECTORS.get(one.sector.strip().lower()):
        found["industry_sectors"] = [sector]
    if valid_from := stamp(one.valid_from):
        found["valid_from"] = valid_from
    if valid_until := stamp(one.valid_until):
        found["valid_until"] = valid_until
    if one.priority is not None:
        found["priority"] = one.priority
    if one.severity is not None:
        found["severity"] = one.severity
    if one.impact is not None:
        found["impact"] = one.impact


class _Parts:
    """The workflow and its parties, under ids derived from the playbook's own."""

    def __init__(self, frame: Frame, one: Playbook) -> None:
        self._frame, self._one = frame, one
        told = one.source_id.strip().lower()
        self._namespace = uuid5(frame.namespace, f"cacao/{one.steps[0].id}")
        known = _PLAYBOOK_ID.fullmatch(told)
        self.playbook_id = told if known else f"playbook--{self._namespace}"
        # CACAO knows the uuids of versions 1 to 5 only
        known = _IDENTITY.fullmatch(frame.identity)
        self.author = frame.identity if known else self.id("identity", frame.identity)
        self.agent = self.id("organization", "agent")

    def id(self, kind: str, path: str) -> str:
        return f"{kind}--{uuid5(self._namespace, path)}"

    def workflow(self) -> dict[str, WorkflowStep]:
        """Return start, the steps in their order, and end, each leading to the next."""
        steps = self._one.steps
        keys = [self.id("action", f"step/{step.id}") for step in steps]
        following = [*keys[1:], self.id("end", "end")]
        start: WorkflowStep = {"type": "start", "on_completion": keys[0]}
        found = {self.id("start", "start"): start}
        for key, step, then in zip(keys, steps, following, strict=True):
            found[key] = self._action(step, then)
        found[following[-1]] = {"type": "end"}
        return found

    def targets(self) -> dict[str, Party]:
        """Return the assets that can be addressed."""
        found: dict[str, Party] = {}
        for asset in self._frame.assets:
            if address := _address(asset):
                found[self._target(asset)] = {
                    "type": "net-address",
                    "name": asset.device or asset.address,
                    "address": address,
                }
        return found

    def _action(self, step: Step, then: str) -> WorkflowStep:
        command: Command = {"type": "manual", "command": step.action_text}
        if step.action:
            command["playbook_activity"] = _ACTIVITY[step.action]
        found: WorkflowStep = {
            "type": "action",
            "name": step.action_text,
            "on_completion": then,
            "commands": [command],
            "agent": self.agent,
        }
        if step.description:
            found["description"] = step.description
        if targets := [self._target(one) for one in self._hit(step) if _address(one)]:
            found["targets"] = _once(targets)
        return found

    def _hit(self, step: Step) -> Sequence[Asset]:
        """Return the assets that the step acts upon: by its actor, else the only one."""
        assets = self._frame.assets
        if step.actor:
            return [one for one in assets if one.device == step.actor]
        return assets if len(assets) == 1 else ()

    def _target(self, asset: Asset) -> str:
        return self.id("net-address", f"asset/{asset.address}/{asset.device}")


def _types(one: Playbook) -> list[str]:
    told = one.kind.strip().lower()
    if told in TYPES:
        return [told]
    return _once(_TYPE_OF_GROUP[ACTIONS[step.action].group] for step in one.steps if step.action)


def _address(asset: Asset) -> dict[str, list[str]]:
    if asset.address:
        version = ipaddress.ip_address(asset.address).version
        return {f"ipv{version}": [asset.address]}
    return {"dname": [asset.device]} if _HOST_NAME.fullmatch(asset.device) else {}


def _marking(tlp: Tlp) -> TlpMarking:
    return {
        "type": "marking-tlp",
        "id": f"marking-tlp--{tlp_uuid(tlp)}",
        "created_by": _TLP_AUTHOR,
        "created": _TLP_MADE,
        "tlpv2_level": f"TLP:{tlp.upper()}",
    }


def _of_micros(at: int) -> str:
    return _written(datetime.fromtimestamp(at / 1_000_000, UTC))


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _once(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))
