"""What the API answers: models for the document, rendered by `formats.threat_json`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from eme_connector.web.misp_shapes import ArrivalShape, EnrichmentShape
from eme_connector.web.routes import Shape

StatusWord = Literal["pending", "approved", "declined", "resolved"]
ExecutionWord = Literal["none", "dispatched", "ongoing", "uncertain", "succeeded", "failed"]
BandWord = Literal["low", "medium", "high", "critical"]
KindWord = Literal["attack", "vulnerability"]
TlpWord = Literal["clear", "green", "amber", "amber+strict", "red"]


class Accepted(Shape):
    """What became of one detection."""

    id: str = Field(description="Our id of the threat.")
    status: StatusWord
    pointer: str = Field(description="Where in the document the detection stood.")


class Refused(Shape):
    """A message that was not taken, by its HTTP status."""

    status: int


class AnswerList(Shape):
    """A receipt (compact JWS) or a refusal for each message, in their order."""

    answers: list[str | Refused]


class AcceptedList(Shape):
    """What became of each detection of a document."""

    threats: list[Accepted]


class Factors(Shape):
    """What a rank is made of."""

    risk_score: float = Field(ge=0, le=10)
    criticality: int = Field(ge=1, le=5, description="5 is the most critical.")
    confidence: int = Field(ge=0, le=100)


class Risk(Shape):
    """risk_score/10 x criticality/5 x confidence/100 x 100."""

    rank: float = Field(ge=0, le=100)
    band: BandWord
    factors: Factors


class AssetShape(Shape):
    """What is affected."""

    address: str
    device: str
    criticality: int | None = Field(ge=1, le=5)


class OrganisationShape(Shape):
    """Whose threat it is."""

    uuid: str
    name: str
    sector: str
    location: str


class WaitingShape(Shape):
    """Why a person is needed; `step` is null when it is about the whole playbook."""

    step: str | None
    code: str
    detail: str


class DecisionShape(Shape):
    """Who decided what, when and why."""

    status: StatusWord
    by: str | None
    at: str | None
    reason: str
    digest: str
    dispatch_digest: str
    steps: list[str]
    valid_until: str | None
    policies: list[str]
    waiting: list[WaitingShape]


class ResolutionShape(Shape):
    """Why a threat is closed."""

    by: str
    at: str
    reason: str


class ThreatShape(Shape):
    """A threat."""

    id: str
    etag: str
    type: KindWord
    status: StatusWord
    execution: ExecutionWord
    name: str
    description: str
    summary: str
    source: str
    actor: str
    first_seen: str | None
    last_seen: str | None
    received_at: str
    updated_at: str
    risk: Risk
    assets: list[AssetShape]
    organisation: OrganisationShape
    tlp: TlpWord
    group: str | None
    recipients: list[str]
    origin: str | None
    revision: int
    flags: list[str]
    decision: DecisionShape
    resolution: ResolutionShape | None
    bundle: str
    misp_url: str | None


class DeliveryShape(Shape):
    """Something owed to a target, without its content."""

    id: int
    key: str
    lane: str
    kind: str
    threat_id: str
    sequence: int
    state: str
    reason: str
    attempts: int
    created_at: str
    sent_at: str | None
    receipt: dict[str, Any]
    remedy: str


class RecordShape(Shape):
    """Something that happened."""

    event: str
    at: str
    by: str
    revision: int | None
    detail: dict[str, Any]


class ThreatDetail(ThreatShape):
    """A threat with its timeline and deliveries, who has its event in MISP, what MISP knows."""

    timeline: list[RecordShape]
    deliveries: list[DeliveryShape]
    arrivals: list[ArrivalShape]
    known: EnrichmentShape | None


class ThreatPage(Shape):
    """A page of threats; `next` is the cursor of the next one, empty at the end."""

    threats: list[ThreatShape]
    next: str
    walked: int = Field(description="Entries that were looked at for this page.")
    complete: bool = Field(description="False: the walk stopped at its bound; go on with `next`.")


class StepShape(Shape):
    """A step of a playbook."""

    id: str
    action: str | None
    action_text: str
    group: str | None
    actor: str
    description: str
    impact: int
    undo: str | None
    execution_api: str = Field(description="Text of the sender; never called.")
    approved: bool
    waiting: list[dict[str, str]]


class PlaybookPart(Shape):
    """One playbook of a threat."""

    name: str
    id: str
    created_by: str
    created: str | None
    modified: str | None
    valid_from: str | None
    valid_until: str | None
    type: str
    sector: str
    asset: str
    impact: int | None
    severity: int | None
    priority: int | None
    risk_score: float | None
    standard: str
    spec_version: str
    steps: list[StepShape]


class PlaybookShape(Shape):
    """The proposed response; its ETag is the decision digest."""

    threat_id: str
    status: StatusWord
    execution: ExecutionWord
    etag: str
    decision: DecisionShape
    playbooks: list[PlaybookPart]


class BucketShape(Shape):
    """One bar of a chart."""

    start: str
    total: int
    by_type: dict[str, int]
    by_status: dict[str, int]
    by_risk: dict[str, int]


class KeywordShape(Shape):
    """How often a description was seen in the last 7 days."""

    keyword: str
    count: int


class AggregateShape(Shape):
    """Counts: 24 hours, 7 days, 7 weeks, keywords of 7 days."""

    hours: list[BucketShape]
    days: list[BucketShape]
    weeks: list[BucketShape]
    keywords: list[KeywordShape]
    keyword_lag_s: float


class CiShape(OrganisationShape):
    """An operator whose threats the caller sees."""

    total: int
    statuses: dict[str, int]


class CiList(Shape):
    """The operators whose threats the caller sees."""

    cis: list[CiShape]


class ScopeShape(Shape):
    """What a policy is for; empty members match everything."""

    sector: str
    asset_type: str
    tag: str


class SettingShape(Shape):
    """A policy: per group and action, whether it may run unasked."""

    id: str
    etag: str
    organisation: str
    automatic: dict[str, dict[str, bool]]
    scope: ScopeShape
    version: int
    updated_by: str | None
    updated_at: str | None


class SettingList(Shape):
    """The policies of the caller's organisation, the general one first."""

    settings: list[SettingShape]


class NamedOrganisation(Shape):
    """An organisation; the name is empty where no register of ours knows it."""

    organisation: str
    name: str


class ViewerShape(NamedOrganisation):
    """Who will see a threat: the rules that let it in, and by which ways."""

    rules: list[Literal["member", "extend", "named", "roaming", "server", "all-orgs", "carrier"]]
    ways: list[Literal["sidecar", "misp"]]


class LeftOutShape(NamedOrganisation):
    """A member of the group that will not see it."""

    why: Literal["not-named", "tlp-cap", "group-inactive"]


class OdditiesShape(Shape):
    """What a person should know before sharing."""

    code: str
    organisations: list[NamedOrganisation]


class InMispShape(NamedOrganisation):
    """What a member has of the event in its MISP; `says` and `remedy`: what is wrong, if so."""

    status: Literal["arrived", "not-pushed", "hidden", "unknown"]
    reason: str
    detail: str
    says: str
    remedy: str


class GroupShape(Shape):
    """A sharing group."""

    uuid: str
    name: str


class AudienceShape(Shape):
    """Who will see a threat, by the function that the sender asks."""

    threat: str
    tlp: TlpWord
    group: GroupShape | None
    viewers: list[ViewerShape]
    left_out: list[LeftOutShape]
    warnings: list[OdditiesShape]
    in_misp: list[InMispShape]


class DeliveryList(Shape):
    """Deliveries, oldest first; go on with `after` = the last id."""

    deliveries: list[DeliveryShape]


class SessionShape(Shape):
    """Who is logged in."""

    name: str
    organisation: str
    rights: list[str]
    csrf_token: str


class StopShape(Shape):
    """Whether the kill switch is on."""

    stopped: bool


class HealthPart(Shape):
    """One part: `detail` says what is wrong."""

    part: str
    ok: bool
    detail: str


class Health(Shape):
    """The parts of the system."""

    ok: bool
    parts: list[HealthPart]
    open_deliveries: int
