"""Take detections in: judge by policy, store, and write down what is owed (A1, B1, B2).

Parsing and hashing come before the transaction; within it there is only reading and writing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from eme_connector.domain import decision as moves
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.playbook import StepOrder, instant
from eme_connector.domain.policy import Context, Verdict, judge
from eme_connector.domain.rights import Caller, Right
from eme_connector.domain.sharing import Organisation, RegisteredAsset, choose_group
from eme_connector.domain.threat import Detection, Execution, Status, Threat, Tlp
from eme_connector.errors import NotAllowed
from eme_connector.formats import iris_bundle, iris_event
from eme_connector.formats.codec import content_digest
from eme_connector.formats.iris_bundle import ParsedBundle
from eme_connector.ports import Store, Transaction
from eme_connector.usecases.obligations import Lanes, owe_dispatch, owe_share

AHEAD = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Rules:
    """What receiving depends on besides the message: all of it is our own configuration."""

    organisation: Organisation
    lanes: Lanes
    default_tlp: Tlp = Tlp.AMBER
    step_order: StepOrder = "start-first"
    max_steps: int = 256


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one detection: `new` is False when we had exactly this already."""

    threat: Threat
    pointer: str
    new: bool


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A detection with all that can be said of it before the transaction."""

    detection: Detection
    digest: str
    registered: tuple[RegisteredAsset, ...]
    context: Context


Parser = Callable[..., ParsedBundle]


def receive_bundle(
    document: object, raw: bytes, *, caller: Caller, rules: Rules, store: Store, now: float
) -> list[Received]:
    """Store every detection of an IRIS bundle for the caller's organisation, all or none.

    Raises:
        InvalidBundle, NotAllowed, StoreUnavailable
    """
    parsed = iris_bundle.parse(
        document,
        is_sender=rules.organisation.is_called,
        criticality_order=caller.criticality_order,
        max_steps=rules.max_steps,
    )
    return _receive(parsed, raw, caller=caller, rules=rules, store=store, now=now)


def receive_event(
    document: object, raw: bytes, *, caller: Caller, rules: Rules, store: Store, now: float
) -> list[Received]:
    """Store one event without a playbook, of any detector (A3)."""
    parsed = iris_event.parse(
        document,
        is_sender=rules.organisation.is_called,
        criticality_order=caller.criticality_order,
    )
    return _receive(parsed, raw, caller=caller, rules=rules, store=store, now=now)


def _receive(
    parsed: ParsedBundle, raw: bytes, *, caller: Caller, rules: Rules, store: Store, now: float
) -> list[Received]:
    caller.need(Right.INGEST)
    if caller.organisation != rules.organisation.uuid:
        raise NotAllowed("this token belongs to another organisation")
    moment = datetime.fromtimestamp(now, UTC)
    prepared = [_prepare(one, rules.organisation, moment) for one in parsed.detections]

    def work(tx: Transaction) -> list[Received]:
        return [_take_in(one, parsed.bundle_id, raw, caller, rules, moment, tx) for one in prepared]

    return store.transact(work)


def _prepare(detection: Detection, organisation: Organisation, now: datetime) -> _Prepared:
    registered = registered_assets(detection, organisation)
    return _Prepared(
        _flag_future(detection, now),
        content_digest(detection),
        registered,
        _context(organisation, registered),
    )


def _take_in(
    one: _Prepared,
    bundle_id: str,
    raw: bytes,
    caller: Caller,
    rules: Rules,
    now: datetime,
    tx: Transaction,
) -> Received:
    detection = one.detection
    threat = _first_seen(one, bundle_id, rules, now, _judge(one, rules, now, tx))
    if tx.add_threat(threat, raw, viewers=[threat.organisation]):
        _write_down(threat, "received", caller, rules, now, tx)
        return Received(threat, detection.pointer, new=True)
    known = tx.find_own_threat(rules.organisation.uuid, detection.carrier_id, detection.iris_id)
    assert known is not None  # it holds the identity that could not be added
    if known.content_digest == one.digest:
        # senders re-send; a decision already taken must survive
        return Received(known, detection.pointer, new=False)
    threat = _revise(known, one, bundle_id, rules, now, tx)
    tx.save_threat(threat, known, raw)
    _write_down(threat, "revised", caller, rules, now, tx, before=known)
    return Received(threat, detection.pointer, new=True)


def _first_seen(
    one: _Prepared, bundle_id: str, rules: Rules, now: datetime, verdict: Verdict
) -> Threat:
    detection = one.detection
    tlp = detection.tlp or rules.default_tlp
    at = _micros(now)
    threat = Threat(
        id=str(uuid4()),
        organisation=rules.organisation.uuid,
        detection=detection,
        received_at=at,
        updated_at=at,
        tlp=tlp,
        criticality=_criticality(detection, one.registered),
        group=choose_group(rules.organisation, detection.kind, one.context.tags, tlp),
        decision=moves.waiting(verdict),
        bundle_id=bundle_id,
        content_digest=one.digest,
    )
    return moves.approve_by_policy(threat, verdict, at=at) if verdict.approves else threat


def _revise(
    known: Threat, one: _Prepared, bundle_id: str, rules: Rules, now: datetime, tx: Transaction
) -> Threat:
    """Return revision n+1: the decision stays only where what would be sent is the same."""
    detection = one.detection
    revised = replace(
        known,
        detection=detection,
        revision=known.revision + 1,
        sequence=known.sequence + 1,
        updated_at=_micros(now),
        tlp=detection.tlp or rules.default_tlp,
        criticality=_criticality(detection, one.registered),
        bundle_id=bundle_id,
        content_digest=one.digest,
    )
    if revised.digest == known.digest:
        return revised
    tx.withdraw(known.id, "dispatch", "digest-changed")
    # what has left is another attempt's, and what was closed was another response
    verdict = _judge(one, rules, now, tx)
    anew = replace(
        revised, execution=Execution.NONE, resolution=None, decision=moves.waiting(verdict)
    )
    return moves.approve_by_policy(anew, verdict, at=_micros(now)) if verdict.approves else anew


def _judge(one: _Prepared, rules: Rules, now: datetime, tx: Transaction) -> Verdict:
    settings = tx.policy_settings(rules.organisation.uuid)
    return judge(one.detection, settings, one.context, now=now, step_order=rules.step_order)


def judge_now(
    threat: Threat,
    organisation: Organisation,
    step_order: StepOrder,
    now: datetime,
    tx: Transaction,
) -> Verdict:
    """Ask the policy that is stored now about *threat*; used again at the lease."""
    context = _context(organisation, registered_assets(threat.detection, organisation))
    settings = tx.policy_settings(threat.organisation)
    return judge(threat.detection, settings, context, now=now, step_order=step_order)


def _context(organisation: Organisation, registered: tuple[RegisteredAsset, ...]) -> Context:
    return Context(
        sector=organisation.sector,
        asset_types=frozenset(asset.type for asset in registered if asset.type),
        tags=frozenset(tag for asset in registered for tag in asset.tags),
    )


def _write_down(
    threat: Threat,
    event: str,
    caller: Caller,
    rules: Rules,
    now: datetime,
    tx: Transaction,
    before: Threat | None = None,
) -> None:
    at, decision = _micros(now), threat.decision
    detail: dict[str, object] = {
        "kind": threat.detection.kind,
        "group": threat.group,
        "digest": decision.digest or threat.digest,
    }
    tx.record(_record(event, at, caller.name, threat, detail))
    decided_now = before is None or before.decision != decision
    if decided_now and decision.status is Status.APPROVED:
        detail = {"steps": list(decision.steps), "policies": list(decision.policies)}
        tx.record(_record("approved", at, decision.by, threat, detail))
        owe_dispatch(threat, rules.lanes, tx)
    elif decided_now:
        reasons = [{"step": one.step, "code": one.code} for one in decision.waiting]
        tx.record(_record("waiting", at, "policy", threat, {"reasons": reasons}))
    owe_share(threat, tx)


def _record(event: str, at: int, by: str, threat: Threat, detail: dict[str, object]) -> AuditRecord:
    return AuditRecord(event, at, by, threat.organisation, threat.id, threat.revision, detail)


def registered_assets(
    detection: Detection, organisation: Organisation
) -> tuple[RegisteredAsset, ...]:
    """Return the entries of the asset register that this detection is about."""
    if not organisation.assets:
        return ()
    addresses = {asset.address for asset in detection.assets if asset.address}
    devices = {asset.device for asset in detection.assets if asset.device}
    return tuple(
        entry
        for entry in organisation.assets
        if entry.address in addresses or entry.device in devices
    )


def _criticality(detection: Detection, registered: tuple[RegisteredAsset, ...]) -> int:
    said = [asset.criticality for asset in detection.assets if asset.criticality is not None]
    known = [entry.criticality for entry in registered]
    return max([*said, *known], default=detection.criticality)


def _flag_future(detection: Detection, now: datetime) -> Detection:
    limit = now + AHEAD
    times = (detection.first_seen, detection.last_seen)
    if any(text and instant(text) > limit for text in times):
        return replace(detection, flags=(*detection.flags, "future-date"))
    return detection


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
