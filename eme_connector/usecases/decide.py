"""Approve or decline a playbook as a person, close a threat, name its group (B3, B4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from eme_connector.domain import decision as moves
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.decision import Wish
from eme_connector.domain.rights import Caller, Right
from eme_connector.domain.sharing import Topology
from eme_connector.domain.threat import Status, Threat
from eme_connector.errors import Conflict, Fault, InvalidInput, NotAllowed, NotFound
from eme_connector.ports import Store, Transaction
from eme_connector.usecases.obligations import Lanes, owe_dispatch, owe_share
from eme_connector.usecases.system import micros


def decide(
    threat_id: str, wish: Wish, *, caller: Caller, lanes: Lanes, store: Store, now: float
) -> Threat:
    """Record the caller's decision; the same person may repeat the same one.

    Raises:
        NotAllowed, NotFound, StaleDigest, Conflict, InvalidPlaybook, StoreUnavailable
    """
    caller.need(Right.DECIDE)
    moment = datetime.fromtimestamp(now, UTC)
    at = micros(now)

    def work(tx: Transaction) -> Threat:
        threat = own_threat(threat_id, caller, tx)
        decided = moves.decide(threat, wish, by=caller.name, at=at, now=moment)
        if decided is threat:
            return threat
        decided = _moved_on(decided, at)
        tx.save_threat(decided, threat)
        tx.record(_record(decided, at, caller))
        if decided.decision.status is Status.APPROVED:
            owe_dispatch(decided, lanes, tx)
        owe_share(decided, tx)
        return decided

    return store.transact(work)


def close(threat_id: str, reason: str, *, caller: Caller, store: Store, now: float) -> Threat:
    """Resolve a threat by hand, with a reason; what is still owed to orchestrators is withdrawn.

    Raises:
        NotAllowed, NotFound, InvalidInput, StoreUnavailable
    """
    caller.need(Right.DECIDE)
    if not reason.strip():
        raise InvalidInput([Fault("/reason", "say why it is closed")])
    at = micros(now)

    def work(tx: Transaction) -> Threat:
        threat = own_threat(threat_id, caller, tx)
        closed = moves.resolve(threat, by=caller.name, at=at, reason=reason)
        if closed is threat:
            return threat
        closed = _moved_on(closed, at)
        tx.withdraw(threat.id, "dispatch", "closed")
        tx.save_threat(closed, threat)
        detail: dict[str, object] = {"reason": reason}
        tx.record(
            AuditRecord(
                "resolved", at, caller.name, closed.organisation, closed.id, closed.revision, detail
            )
        )
        owe_share(closed, tx)
        return closed

    return store.transact(work)


def set_sharing(
    threat_id: str,
    group: str | None,
    recipients: tuple[str, ...] | None,
    *,
    caller: Caller,
    topology: Topology,
    store: Store,
    now: float,
) -> Threat:
    """Choose the sharing group (until first sent) and the named recipients of a threat.

    None leaves the recipients as they are.

    Raises:
        NotAllowed, NotFound, InvalidInput, Conflict, StoreUnavailable
    """
    caller.need(Right.SHARE)
    _check_sharing(group, recipients, topology)
    at = micros(now)

    def work(tx: Transaction) -> Threat:
        threat = own_threat(threat_id, caller, tx)
        if group != threat.group and threat.group_sent:
            raise Conflict("it has been sent to its sharing group: the group stays")
        named = threat.recipients if recipients is None else recipients
        chosen = replace(threat, group=group, recipients=named)
        if chosen == threat:
            return threat
        chosen = _moved_on(chosen, at)
        tx.save_threat(chosen, threat)
        detail: dict[str, object] = {"group": group, "recipients": list(named)}
        tx.record(
            AuditRecord(
                "sharing", at, caller.name, chosen.organisation, chosen.id, chosen.revision, detail
            )
        )
        owe_share(chosen, tx)
        return chosen

    return store.transact(work)


def own_threat(threat_id: str, caller: Caller, tx: Transaction) -> Threat:
    """Return the caller's own threat, locked.

    Raises:
        NotFound: none that the caller may know of.
        NotAllowed: it is another organisation's, shared with the caller.
    """
    threat = tx.find_threat(threat_id)
    if threat is None or not tx.may_read(threat_id, caller.organisation):
        raise NotFound("there is no such threat")
    if threat.origin is not None or threat.organisation != caller.organisation:
        raise NotAllowed("only the organisation whose threat it is can do this")
    return threat


def _check_sharing(
    group: str | None, recipients: tuple[str, ...] | None, topology: Topology
) -> None:
    if group is not None and group not in topology.groups:
        raise InvalidInput([Fault("/group", "is not a sharing group we know")])
    members = topology.groups[group].members if group is not None else frozenset()
    if recipients and not set(recipients) <= members:
        raise InvalidInput([Fault("/recipients", "must be members of the sharing group")])


def _moved_on(threat: Threat, at: int) -> Threat:
    return replace(threat, sequence=threat.sequence + 1, updated_at=at)


def _record(threat: Threat, at: int, caller: Caller) -> AuditRecord:
    decision = threat.decision
    detail: dict[str, object] = {
        "digest": decision.digest,
        "dispatch_digest": decision.dispatch_digest,
        "steps": list(decision.steps),
        "valid_until": decision.valid_until,
        "reason": decision.reason,
    }
    return AuditRecord(
        str(decision.status),
        at,
        caller.name,
        threat.organisation,
        threat.id,
        threat.revision,
        detail,
    )
