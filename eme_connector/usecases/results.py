"""Take back what an orchestrator says about a playbook that we sent it (B5).

1. The caller has the right `result`, and its token belongs to an orchestrator that we configured.
2. The Standard Webhooks signature with that orchestrator's secret holds over the raw body.
3. The body has exactly the members that we know.
4. The delivery is ours, left for that orchestrator, and is about that threat.
5. It names the digest that was dispatched, and that is still what is decided.

`succeeded` is believed only with evidence of success for every approved step. Moves are monotone;
what says nothing new changes nothing. Evidence may settle an uncertain delivery, however late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from eme_connector.domain import decision as moves
from eme_connector.domain.delivery import Delivery, State
from eme_connector.domain.rights import Caller, Right
from eme_connector.domain.threat import Execution, Threat
from eme_connector.errors import (
    Conflict,
    Fault,
    InvalidMessage,
    NotAllowed,
    NotAuthenticated,
    NotFound,
)
from eme_connector.formats import standard_webhooks, strict_json
from eme_connector.ports import Transaction
from eme_connector.usecases.progress import is_current, record, save_moved
from eme_connector.usecases.system import System, micros

STATUSES = ("ongoing", "succeeded", "failed")
MAX_DETAIL = 500
_MEMBERS = {"delivery", "digest", "status", "steps"}
_STEP_MEMBERS = {"id", "status", "detail"}
_OVER = frozenset({"succeeded", "failed"})
_EVENTS = {
    Execution.ONGOING: "running",
    Execution.UNCERTAIN: "not-evidenced",
    Execution.SUCCEEDED: "succeeded",
    Execution.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What an orchestrator says: `steps` are step id -> {status, detail}."""

    delivery: str
    digest: str
    status: str
    steps: dict[str, dict[str, str]]


def record_results(
    threat_id: str, body: bytes, headers: Mapping[str, str], *, caller: Caller, system: System
) -> Threat:
    """Record an orchestrator's evidence and return the threat as it stands then.

    Raises:
        NotAllowed, NotAuthenticated, Malformed, TooLarge, InvalidMessage, NotFound, Conflict,
        StoreUnavailable
    """
    now = system.clock()
    caller.need(Right.RESULT)  # (1)
    keys = _keys_of(caller.orchestrator, system)
    lower = {name.lower(): value for name, value in headers.items()}
    standard_webhooks.verify(keys, lower, body, now=now)  # (2)
    result = parse(body, max_bytes=system.config.limits.body_bytes)  # (3)
    lane = f"orchestrator:{caller.orchestrator}"

    def work(tx: Transaction) -> Threat:
        delivery, threat = _addressed(threat_id, result, lane, caller, tx)  # (4) (5)
        return _apply(result, delivery, threat, micros(now), tx)

    return system.store.transact(work)


def parse(body: bytes, *, max_bytes: int) -> Result:
    """Return the result in *body*.

    Raises:
        Malformed, TooLarge, InvalidMessage
    """
    document: Any = strict_json.loads(body, max_bytes=max_bytes, max_depth=8)
    if not isinstance(document, dict):
        raise InvalidMessage([Fault("", "must be an object")])
    faults = [Fault(f"/{name}", "is missing") for name in sorted(_MEMBERS - document.keys())]
    faults += _unknown("", document, _MEMBERS)
    for name in ("delivery", "digest"):
        if not isinstance(document.get(name, ""), str):
            faults.append(Fault(f"/{name}", "must be text"))
    if document.get("status", "ongoing") not in STATUSES:
        faults.append(Fault("/status", f"must be one of {', '.join(STATUSES)}"))
    steps = document.get("steps", [])
    if not isinstance(steps, list):
        faults.append(Fault("/steps", "must be a list"))
        steps = []
    for index, step in enumerate(steps):
        faults += _step_faults(f"/steps/{index}", step)
    if faults:
        raise InvalidMessage(faults)
    known = {step["id"]: _evidence(step) for step in steps}
    return Result(document["delivery"], document["digest"], document["status"], known)


def _step_faults(at: str, step: Any) -> list[Fault]:
    if not isinstance(step, dict):
        return [Fault(at, "must be an object")]
    faults = _unknown(at, step, _STEP_MEMBERS)
    if not isinstance(step.get("id"), str):
        faults.append(Fault(f"{at}/id", "must be a step's id"))
    if step.get("status") not in STATUSES:
        faults.append(Fault(f"{at}/status", f"must be one of {', '.join(STATUSES)}"))
    detail = step.get("detail", "")
    if not isinstance(detail, str) or len(detail) > MAX_DETAIL:
        faults.append(Fault(f"{at}/detail", f"must be text of at most {MAX_DETAIL} characters"))
    return faults


def _unknown(at: str, document: dict[str, Any], known: set[str]) -> list[Fault]:
    # the names of unknown members are the sender's: only how many there are is said
    count = len(document.keys() - known)
    return [Fault(at, f"{count} unknown members")] if count else []


def _evidence(step: dict[str, Any]) -> dict[str, str]:
    detail = {"detail": str(step["detail"])} if step.get("detail") else {}
    return {"status": str(step["status"]), **detail}


def _keys_of(name: str, system: System) -> tuple[bytes, ...]:
    found = next((one for one in system.config.orchestrators if one.name == name), None)
    if not name or found is None:
        raise NotAllowed("this token does not belong to an orchestrator that is configured")
    try:
        return standard_webhooks.secrets(found.secret.get_secret_value())
    except ValueError as exc:
        raise NotAuthenticated("the orchestrator's secret cannot be used") from exc


def _addressed(
    threat_id: str, result: Result, lane: str, caller: Caller, tx: Transaction
) -> tuple[Delivery, Threat]:
    threat = tx.find_threat(threat_id)
    delivery = tx.find_delivery_by_key(result.delivery)
    if threat is None or not tx.may_read(threat_id, caller.organisation):
        raise NotFound("there is no such threat")
    ours = delivery is not None and delivery.lane == lane and delivery.threat_id == threat_id
    if delivery is None or not ours or delivery.sent_at is None:
        raise InvalidMessage([Fault("/delivery", "is not a delivery to you for this threat")])
    if result.digest != delivery.digest:
        raise InvalidMessage([Fault("/digest", "is not what was dispatched")])
    if not is_current(delivery, threat):
        raise Conflict("another response has been decided since")
    unknown = [one for one in result.steps if one not in threat.decision.steps]
    if unknown:
        raise InvalidMessage([Fault("/steps", f"{len(unknown)} are not approved steps")])
    return delivery, threat


def _apply(result: Result, delivery: Delivery, threat: Threat, at: int, tx: Transaction) -> Threat:
    evidence = _merge(delivery.receipt.get("steps", {}), result.steps)
    execution = _execution(result.status, evidence, threat)
    moved = moves.advance(threat, execution)
    told = replace(
        delivery,
        state=State.DELIVERED,
        receipt=delivery.receipt | {"steps": evidence},
        asking=False,
        lease_until=0.0,
        settle_until=None,
        reason="" if delivery.state is State.DELIVERED else "late-evidence",
        fence=delivery.fence + 1,
    )
    changed = moved is not threat or evidence != delivery.receipt.get("steps", {})
    if not changed and delivery.state is State.DELIVERED:
        return threat
    tx.save_delivery(told, fence=delivery.fence)
    statuses = {one: found["status"] for one, found in evidence.items()}
    detail: dict[str, object] = {"status": result.status, "steps": statuses}
    record(_EVENTS[execution], at, delivery.lane, delivery, detail, tx)
    return threat if moved is threat else _save(moved, threat, delivery, at, tx)


def _save(moved: Threat, before: Threat, delivery: Delivery, at: int, tx: Transaction) -> Threat:
    if moved.execution is Execution.SUCCEEDED and not moved.resolution:
        reason = "every approved step succeeded"
        moved = moves.resolve(moved, by=delivery.lane, at=at, reason=reason)
        record("resolved", at, delivery.lane, delivery, {"reason": reason}, tx)
    return save_moved(moved, before, at, tx)


def _merge(
    known: dict[str, dict[str, str]], told: dict[str, dict[str, str]]
) -> dict[str, dict[str, str]]:
    """Return the evidence with what is new; a step that is over stays as it ended."""
    news = {
        step: found
        for step, found in told.items()
        if known.get(step, {}).get("status") not in _OVER
    }
    return known | news


def _execution(status: str, evidence: dict[str, dict[str, str]], threat: Threat) -> Execution:
    """Return what the evidence shows; a summary word alone shows nothing."""
    if status == "ongoing":
        return Execution.ONGOING
    found = [evidence.get(step, {}).get("status", "") for step in threat.decision.steps]
    if status == "failed" or "failed" in found:
        return Execution.FAILED
    done = all(one == "succeeded" for one in found)
    return Execution.SUCCEEDED if done else Execution.UNCERTAIN
