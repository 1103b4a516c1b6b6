"""Move a threat's decision and execution on; an illegal move raises (ARCHITECTURE section 3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from eme_connector.domain import playbook as response
from eme_connector.domain.playbook import instant
from eme_connector.domain.policy import Verdict
from eme_connector.domain.threat import (
    Decision,
    Execution,
    Resolution,
    Status,
    Threat,
)
from eme_connector.errors import Conflict, Fault, InvalidPlaybook, StaleDigest

POLICY = "policy"
_ORDER = list(Execution)
_FINAL = {Execution.SUCCEEDED, Execution.FAILED}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants: the whole playbook or the named steps, approved or declined.

    `digest` is the proposal that the person has seen (If-Match). `valid_until` is a new end
    (RFC 3339 UTC) for a playbook outside its validity; None leaves it.
    """

    status: Status
    digest: str
    reason: str = ""
    steps: tuple[str, ...] | None = None
    valid_until: str | None = None


def decide(threat: Threat, wish: Wish, *, by: str, at: int, now: datetime) -> Threat:
    """Return the threat as *by* decided it; the same person may repeat the same decision.

    Raises:
        StaleDigest: the playbook changed since the person read it.
        Conflict: it was decided before, or is closed.
        InvalidPlaybook: an unknown step, no step left, or outside validity without a new end.
    """
    if wish.digest != threat.digest:
        raise StaleDigest("the playbook has changed since you read it; read it again")
    wanted = _decision(threat, wish, by, at)
    if threat.decision.status is not Status.PENDING:
        if _same(threat.decision, wanted):
            return threat
        raise Conflict(f"this was {threat.decision.status} by {threat.decision.by} already")
    if threat.resolution:
        raise Conflict("this threat is closed")
    if wanted.status is Status.APPROVED:
        _check_validity(threat, wanted, now)
    return replace(threat, decision=wanted)


def approve_by_policy(threat: Threat, verdict: Verdict, *, at: int) -> Threat:
    """Return the threat approved in full by the policy settings of *verdict*."""
    steps = tuple(step.id for step in threat.detection.steps)
    digest = leaving = threat.digest
    if not all(playbook.steps for playbook in threat.detection.playbooks):
        leaving = response.digest(threat.dispatch_document(steps, None))
    decision = Decision(
        status=Status.APPROVED,
        by=POLICY,
        at=at,
        reason="every step is covered by policy",
        digest=digest,
        steps=steps,
        dispatch_digest=leaving,
        policies=verdict.policies,
    )
    return replace(threat, decision=decision)


def waiting(verdict: Verdict) -> Decision:
    """Return the decision that is still to be made, with the reasons why a person is needed."""
    return Decision(waiting=verdict.waiting)


def advance(threat: Threat, execution: Execution) -> Threat:
    """Return the threat with its execution moved on; a move back changes nothing."""
    if _ORDER.index(execution) <= _ORDER.index(threat.execution) or threat.execution in _FINAL:
        return threat
    return replace(threat, execution=execution)


def resolve(threat: Threat, *, by: str, at: int, reason: str) -> Threat:
    """Return the threat closed; closing it again changes nothing."""
    return threat if threat.resolution else replace(threat, resolution=Resolution(by, at, reason))


def why_not_dispatch(
    threat: Threat, digest: str, *, now: datetime, stopped: bool, verdict: Verdict | None
) -> str | None:
    """Return why a dispatch that is owed must not leave now, or None when it may.

    The last check, made in the transaction that leases it. *verdict* is policy asked anew,
    needed only for what policy approved.
    """
    decision = threat.decision
    if stopped:
        return "stopped"
    if threat.resolution:
        return "closed"
    if decision.status is not Status.APPROVED:
        return "not-approved"
    if digest != decision.dispatch_digest or decision.digest != threat.digest:
        return "digest-changed"
    if _outside_validity(threat, decision.steps, decision.valid_until, now):
        return "expired"
    if decision.by_policy and (verdict is None or not verdict.approves):
        return "policy-changed"
    return None


def _decision(threat: Threat, wish: Wish, by: str, at: int) -> Decision:
    known = [step.id for step in threat.detection.steps]
    if wish.status not in (Status.APPROVED, Status.DECLINED):
        raise InvalidPlaybook([Fault("/status", "must be approved or declined")])
    if unknown := set(wish.steps or ()) - set(known):
        raise InvalidPlaybook([Fault("/steps", f"{len(unknown)} of these steps do not exist")])
    named = known if wish.steps is None else [step for step in known if step in wish.steps]
    if wish.status is Status.DECLINED and wish.steps is not None:
        named = [step for step in known if step not in named]
        status = Status.APPROVED if named else Status.DECLINED
    else:
        status = wish.status
    if status is Status.DECLINED:
        return Decision(status=status, by=by, at=at, reason=wish.reason, digest=wish.digest)
    if not named:
        raise InvalidPlaybook([Fault("/steps", "name at least one step to approve")])
    steps = tuple(named)
    leaving = response.digest(threat.dispatch_document(steps, wish.valid_until))
    return Decision(
        status=status,
        by=by,
        at=at,
        reason=wish.reason,
        digest=wish.digest,
        steps=steps,
        valid_until=wish.valid_until,
        dispatch_digest=leaving,
    )


def _same(made: Decision, wanted: Decision) -> bool:
    return (made.status, made.by, made.steps, made.dispatch_digest) == (
        wanted.status,
        wanted.by,
        wanted.steps,
        wanted.dispatch_digest,
    )


def _check_validity(threat: Threat, wanted: Decision, now: datetime) -> None:
    if wanted.valid_until is not None and instant(wanted.valid_until) <= now:
        raise InvalidPlaybook([Fault("/valid_until", "lies in the past")])
    if _outside_validity(threat, wanted.steps, wanted.valid_until, now):
        detail = "the playbook is outside its validity: approving it needs a new end"
        raise InvalidPlaybook([Fault("/valid_until", detail)])


def _outside_validity(
    threat: Threat, steps: Collection[str], valid_until: str | None, now: datetime
) -> bool:
    leaving = response.keep_steps(threat.detection.playbooks, steps, valid_until)
    return any(not playbook.is_valid_at(now) for playbook in leaving)
