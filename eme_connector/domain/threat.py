"""A threat: what was detected, the response proposed against it, and where that stands.

States are those of ARCHITECTURE section 3. The *decision* is pending, approved or declined; the
*execution* of an approved playbook moves on beside it; a threat is *resolved* when the execution
succeeded or a person closed it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from eme_connector.domain import playbook as response
from eme_connector.domain.playbook import Playbook, Step
from eme_connector.domain.risk import Rank, rank

DEFAULT_CRITICALITY = 3
DEFAULT_CONFIDENCE = 50


class Kind(StrEnum):
    """What was detected (A4)."""

    ATTACK = "attack"
    VULNERABILITY = "vulnerability"


class Status(StrEnum):
    """What people see: the decision, or resolved."""

    PENDING = "pending"
    APPROVED = "approved"
    DECLINED = "declined"
    RESOLVED = "resolved"


class Execution(StrEnum):
    """How far the approved playbook has come, in the order in which it may move."""

    NONE = "none"
    DISPATCHED = "dispatched"
    ONGOING = "ongoing"
    UNCERTAIN = "uncertain"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Tlp(StrEnum):
    """Traffic Light Protocol 2.0, from least to most restricted."""

    CLEAR = "clear"
    GREEN = "green"
    AMBER = "amber"
    AMBER_STRICT = "amber+strict"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Asset:
    """What is affected. `criticality` is 1-5 with 5 highest, None when nobody said."""

    address: str = ""
    device: str = ""
    criticality: int | None = None


@dataclass(frozen=True, slots=True)
class Detection:
    """What a sender told us about one detection: its ids are its own, never ours.

    `risk_score` is 0-10 with one decimal, `confidence` 0-100. Times are RFC 3339 in UTC or empty.
    `restrictions` are the bundle's policies: action key -> may run unasked; None = not limited.
    `extra` is canonical JSON text of the properties we have no field for. `flags` are short
    words about what a person should know (`future-date`, `no-zone`, `unknown-marking`, ...).
    `pointer` is where in the document it stood.
    """

    carrier_id: str
    iris_id: str
    name: str
    kind: Kind
    threat: str = ""
    summary: str = ""
    source: str = ""
    actor: str = ""
    first_seen: str = ""
    last_seen: str = ""
    risk_score: float = 0.0
    confidence: int = DEFAULT_CONFIDENCE
    assets: tuple[Asset, ...] = ()
    playbooks: tuple[Playbook, ...] = ()
    restrictions: dict[str, bool] | None = None
    tlp: Tlp | None = None
    extra: str = ""
    flags: tuple[str, ...] = ()
    pointer: str = ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step of every playbook, in order; ids are unique over all of them."""
        return tuple(step for playbook in self.playbooks for step in playbook.steps)

    @property
    def criticality(self) -> int:
        """The highest criticality of its assets, or the middle of the scale."""
        known = [asset.criticality for asset in self.assets if asset.criticality is not None]
        return max(known, default=DEFAULT_CRITICALITY)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a person is needed: for one step (`step` is its id), or for the whole playbook."""

    step: str | None
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what about a playbook, when and why; pending until somebody has.

    `by` is a person's account name or `policy`. `at` is µs since 1970. `digest` is that of the
    proposal which was decided upon, `dispatch_digest` that of what leaves: the approved `steps`
    with the new end (`valid_until`) where a person gave one. `policies` are `id@version` of the
    policy settings that approved.
    """

    status: Status = Status.PENDING
    by: str = ""
    at: int | None = None
    reason: str = ""
    digest: str = ""
    steps: tuple[str, ...] = ()
    valid_until: str | None = None
    dispatch_digest: str = ""
    policies: tuple[str, ...] = ()
    waiting: tuple[Waiting, ...] = ()

    @property
    def by_policy(self) -> bool:
        """Say whether the policy decided, and no person."""
        return bool(self.policies) and self.by == "policy"


@dataclass(frozen=True, slots=True)
class Resolution:
    """Why a threat is closed: `by` is a person or the orchestrator that showed success."""

    by: str
    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class Threat:
    """One detection of one organisation, under an id that we minted.

    `organisation` is the uuid of whose threat it is; `origin` that of the peer we had it from, or
    None for our own. `revision` counts what the sender changed, `sequence` everything a peer must
    be told. Times are µs since 1970 by our own clock. `group` is the sharing group's uuid or None
    (nobody). `recipients` are organisations a person named for AMBER+STRICT and RED. `bundle_id`
    ties the threats of one bundle.
    """

    id: str
    organisation: str
    detection: Detection
    received_at: int
    updated_at: int
    tlp: Tlp
    criticality: int
    origin: str | None = None
    revision: int = 1
    sequence: int = 1
    group: str | None = None
    group_sent: bool = False
    recipients: tuple[str, ...] = ()
    decision: Decision = field(default_factory=Decision)
    execution: Execution = Execution.NONE
    resolution: Resolution | None = None
    bundle_id: str = ""
    content_digest: str = ""
    flags: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """The one word that lists show."""
        return Status.RESOLVED if self.resolution else self.decision.status

    @property
    def rank(self) -> Rank:
        """The rank with its factors."""
        return rank(self.detection.risk_score, self.criticality, self.detection.confidence)

    @property
    def proposal(self) -> dict[str, Any]:
        """Canonical form of the whole proposed response; its digest is the playbook's ETag."""
        return response.document(self.detection.playbooks, self._targets)

    @property
    def digest(self) -> str:
        """Decision digest (ARCHITECTURE section 3): SHA-256, hex."""
        return response.digest(self.proposal)

    def dispatch_document(self, steps: tuple[str, ...], valid_until: str | None) -> dict[str, Any]:
        """Return the canonical form of what leaves when just *steps* are approved."""
        kept = response.keep_steps(self.detection.playbooks, steps, valid_until)
        return response.document(kept, self._targets)

    @property
    def _targets(self) -> list[tuple[str, str]]:
        return [(asset.address, asset.device) for asset in self.detection.assets]
