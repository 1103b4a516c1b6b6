"""Take deliveries under a lease, record what became of them, and let people step in.

Everything here is a transaction without network; `attempt.attempt` is the network without a
transaction; `work` brings the two together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from eme_connector.domain import decision as moves
from eme_connector.domain.arrival import check_lane, is_missed
from eme_connector.domain.audience import by_sidecar
from eme_connector.domain.delivery import MISP_LANE, OPEN, Delivery, State
from eme_connector.domain.rights import Caller, Right
from eme_connector.domain.threat import Execution, Threat
from eme_connector.errors import Conflict, Fault, InvalidInput, NotFound
from eme_connector.formats import eme_message
from eme_connector.ports import Owed, Transaction
from eme_connector.usecases.attempt import (
    NO_ANSWER,
    Done,
    Outcome,
    Slots,
    Terms,
    after,
    lease_seconds,
    room,
    start_asking,
)
from eme_connector.usecases.obligations import owe_misp
from eme_connector.usecases.progress import is_current, record, save_moved, settle_threats
from eme_connector.usecases.receive import judge_now
from eme_connector.usecases.system import System, micros

SWEEP = 500
ROUNDS = 64
_EXECUTIONS = {State.DELIVERED: Execution.DISPATCHED, State.UNCERTAIN: Execution.UNCERTAIN}
_WORDS = {
    ("dispatch", State.DELIVERED): "dispatched",
    ("peer", State.DELIVERED): "shared",
    ("misp", State.DELIVERED): "in-misp",
    ("misp-check", State.DELIVERED): "seen",
    ("misp-feedback", State.DELIVERED): "answered",
}
_OF_NO_THREAT = frozenset({"share", "misp", "misp-check", "misp-feedback"})
_WRITTEN_DOWN = frozenset({State.DELIVERED, State.UNCERTAIN, State.REFUSED, State.DEAD})


def take(lane: str, channel: Slots, system: System, now: float) -> list[Delivery]:
    """Lease what may leave now, up to the channel's free width.

    Raises:
        StoreUnavailable
    """
    return turn(lane, channel, (), system, now)


def finish(
    delivery: Delivery, outcome: Outcome, channel: Slots, system: System, now: float
) -> Delivery | None:
    """Record what became of a leased delivery; None when its lease has gone to another.

    Raises:
        StoreUnavailable
    """
    work = _finishing([(delivery, outcome)], channel, system, now)
    return system.store.transact(work)[0]


def turn(
    lane: str,
    channel: Slots,
    done: Iterable[Done],
    system: System,
    now: float,
    *,
    most: int | None = None,
) -> list[Delivery]:
    """Record what is *done* and lease what comes next (at most *most*), in one transaction.

    Raises:
        StoreUnavailable: neither was kept; *done* can be given again.
    """
    finishing = _finishing(list(done), channel, system, now)
    terms = _terms(channel, system, now)
    width = room(channel)
    limit = width if most is None else min(most, width)

    def work(tx: Transaction) -> list[Delivery]:
        finishing(tx)
        leased: list[Delivery] = []
        for _ in range(ROUNDS):  # what is withdrawn or parked makes room for the next
            due = tx.due(lane, now, width=width, limit=limit - len(leased))
            if len(leased) >= limit or not due:
                break
            leased += _lease(due, channel, terms, system, tx)
        return leased

    return system.store.transact(work)


def note_absent_channel(lane: str, system: System, now: float) -> None:
    """Say on what is owed to a target that does not exist (any more) why it waits, or end it.

    Raises:
        StoreUnavailable
    """
    reason = "no-peer" if lane.startswith("peer:") else "no-channel"
    give_up = system.config.delivery.give_up_s

    def work(tx: Transaction) -> None:
        for one in tx.due(lane, now, width=SWEEP, limit=SWEEP):
            old = now - one.created_at > give_up
            if old and one.state is State.OWED:
                dead = replace(one, state=State.DEAD, reason=reason, fence=one.fence + 1)
                tx.save_delivery(dead, fence=one.fence)
                _write_down(dead, now, tx)
            elif one.reason != reason and one.state is State.OWED:
                tx.save_delivery(replace(one, reason=reason), fence=one.fence)

    system.store.transact(work)


def retry(delivery_id: int, *, caller: Caller, system: System) -> Delivery:
    """Owe it once more, as a new delivery with an id and a key of its own.

    The old one stays as it is: late evidence may still settle it.

    Raises:
        NotAllowed, NotFound, StoreUnavailable
        Conflict: it is still open, has arrived, was retried before, or is outdated. A look that
            has missed the event is open, and can be retried: the event leaves anew.
    """
    now = system.clock()

    def work(tx: Transaction) -> Delivery:
        old = _own_delivery(delivery_id, caller, tx)
        caller.need(Right.DECIDE if old.kind == "dispatch" else Right.SHARE)
        threat = tx.find_threat(old.threat_id)
        missed = is_missed(old)
        closed = old.state not in OPEN and old.state is not State.DELIVERED
        if threat is None or not (closed or missed):
            raise Conflict(f"a delivery that is {old.state} cannot be retried")
        if old.receipt.get("retried_as"):
            raise Conflict("it was retried already")
        if old.kind == "dispatch":
            threat = _attempted_anew(old, threat, now, tx)
        anew = _owe_anew(old, threat, tx)
        mark = old.receipt | {"retried_as": anew.key}
        # a look that goes on may miss it once more
        told = replace(old, reason="on-its-way") if missed else replace(old, receipt=mark)
        tx.save_delivery(replace(told, fence=old.fence + 1), fence=old.fence)
        record("retried", micros(now), caller.name, old, {"retried_as": anew.key}, tx)
        return anew

    return system.store.transact(work)


def drop(delivery_id: int, reason: str, *, caller: Caller, system: System) -> Delivery:
    """Give up something that is owed, for good; the person and the reason are written down.

    Raises:
        NotAllowed, NotFound, InvalidInput, StoreUnavailable
        Conflict: it is not (or no longer) owed, or may have left.
    """
    caller.need(Right.ADMIN)
    if not reason.strip():
        raise InvalidInput([Fault("/reason", "say why it is dropped")])

    def work(tx: Transaction) -> Delivery:
        one = _own_delivery(delivery_id, caller, tx)
        if one.state is not State.OWED:
            raise Conflict(f"a delivery that is {one.state} cannot be dropped")
        dropped = replace(one, state=State.DROPPED, reason="dropped", fence=one.fence + 1)
        tx.save_delivery(dropped, fence=one.fence)
        record("dropped", micros(system.clock()), caller.name, one, {"reason": reason}, tx)
        return dropped

    return system.store.transact(work)


def _own_delivery(delivery_id: int, caller: Caller, tx: Transaction) -> Delivery:
    found = tx.find_delivery(delivery_id)
    if found is None or found.organisation != caller.organisation:
        raise NotFound("there is no such delivery")
    return found


def _attempted_anew(old: Delivery, threat: Threat, now: float, tx: Transaction) -> Threat:
    """Return the threat with nothing executed yet: the execution is told per attempt."""
    if threat.resolution or not is_current(old, threat):
        raise Conflict("what it carried is no longer what is decided")
    if threat.execution is Execution.NONE:
        return threat
    anew = replace(threat, execution=Execution.NONE)
    return save_moved(anew, threat, micros(now), tx)


def _owe_anew(old: Delivery, threat: Threat, tx: Transaction) -> Delivery:
    # what did not reach a member's MISP has to leave ours once more
    anew = old.kind == "misp-check"
    owed = Owed(
        lane=MISP_LANE if anew else old.lane,
        kind="misp" if anew else old.kind,
        threat_id=old.threat_id,
        organisation=old.organisation,
        sequence=old.sequence if old.kind == "peer" else threat.sequence,
        payload=old.payload,
        digest=old.digest,
    )
    return tx.owe(owed)


def _finishing(
    done: list[Done], channel: Slots, system: System, now: float
) -> Callable[[Transaction], list[Delivery | None]]:
    settled = [
        (one, after(one, outcome, _terms(channel, system, now, random.random())))  # noqa: S311
        for one, outcome in done
    ]

    def work(tx: Transaction) -> list[Delivery | None]:
        saved = tx.save_deliveries((then, one.fence) for one, then in settled)
        # of one that is not saved another has the lease by now: what it finds out counts
        kept = [then if then.id in saved else None for _, then in settled]
        _settle([then for then in kept if then and then.state in _WRITTEN_DOWN], now, tx)
        _make_up([(one, then) for one, then in settled if then.id in saved], now, tx)
        return kept

    return work


def _terms(channel: Slots, system: System, now: float, jitter: float = 0.0) -> Terms:
    return Terms(system.config.delivery, channel.repeat, channel.timeout, now, jitter)


def _settle(settled: list[Delivery], now: float, tx: Transaction) -> None:
    for one in settled:
        _write_down(one, now, tx)
        if one.kind == "misp" and one.state is State.DELIVERED:
            _owe_checks(one, now, tx)
    executed = [(one, _EXECUTIONS[one.state]) for one in settled
                if one.kind == "dispatch" and one.state in _EXECUTIONS]  # fmt: skip
    settle_threats(executed, micros(now), tx)


def _make_up(looked: list[tuple[Delivery, Delivery]], now: float, tx: Transaction) -> None:
    """Owe our MISP again what a member's missed while it was away: MISP pushes an event once."""
    for before, then in looked:
        if then.kind == "misp-check" and before.reason in NO_ANSWER and is_missed(then):
            threat = tx.find_threat(then.threat_id)
            if threat is not None:
                owe_misp(threat, now, tx)


def _owe_checks(sent: Delivery, now: float, tx: Transaction) -> None:
    """Owe a look into the MISP of each member that lets us look; what waits looks for this."""
    sequence = int(sent.receipt.get("sequence", sent.sequence))
    for member, said in sent.receipt.get("members", {}).items():
        lane = check_lane(member)
        if said.get("check") and not tx.renew(lane, sent.threat_id, sequence, next_at=now):
            owed = Owed(lane, "misp-check", sent.threat_id, sent.organisation, sequence)
            tx.owe(owed)


def _write_down(one: Delivery, now: float, tx: Transaction) -> None:
    event = _WORDS.get((one.kind, one.state), str(one.state))
    detail: dict[str, object] = {"sequence": one.sequence, "attempts": one.attempts}
    if one.reason:
        detail["reason"] = one.reason
    if one.digest:
        detail["dispatch_digest"] = one.digest
    record(event, micros(now), one.lane, one, detail, tx)


def _lease(
    due: Iterable[Delivery], channel: Slots, terms: Terms, system: System, tx: Transaction
) -> list[Delivery]:
    """Lease what may leave or be asked about; park or withdraw the rest."""
    threats = tx.find_threats(one.threat_id for one in due if one.kind not in _OF_NO_THREAT)
    moves = [(one, _move(one, channel, terms, threats, system, tx)) for one in due]
    saved = tx.save_deliveries((then, one.fence) for one, then in moves)
    leased = []
    for one, then in moves:
        if then.id in saved and then.state is State.WITHDRAWN:
            # on a channel where repeats are safe an attempt may have left before
            detail: dict[str, object] = {
                "reason": then.reason,
                "maybe_sent": one.sent_at is not None,
            }
            record("withdrawn", micros(terms.now), one.lane, then, detail, tx)
        elif then.id in saved and then.lease_until > terms.now:
            leased.append(then)
    return leased


def _move(
    one: Delivery,
    channel: Slots,
    terms: Terms,
    threats: Mapping[str, Threat],
    system: System,
    tx: Transaction,
) -> Delivery:
    """Return *one* under a lease, parked, or withdrawn."""
    if one.state is State.SENDING and not one.asking and channel.repeat == "look_first":
        # the lease ran out: whoever had it died between sending and recording
        one = start_asking(one, "crashed", terms)
    if one.asking and terms.may_be_on_its_way(one):
        return replace(one, next_at=terms.asked_first(one), fence=one.fence + 1)
    why = None if one.asking else _why_not(one, terms.now, threats, system, tx)
    if why is not None:
        return replace(one, state=State.WITHDRAWN, reason=why, fence=one.fence + 1, lease_until=0.0)
    return replace(
        one,
        state=State.SENDING,
        fence=one.fence + 1,
        attempts=one.attempts + 1,
        lease_until=terms.now + lease_seconds(channel),
        sent_at=one.sent_at if one.asking else terms.now,
    )


def _why_not(
    one: Delivery, now: float, threats: Mapping[str, Threat], system: System, tx: Transaction
) -> str | None:
    """Return why it must not leave: asked in the transaction that leases it, not before."""
    if one.kind in _OF_NO_THREAT:
        return None
    threat = threats.get(one.threat_id)
    if threat is None:
        return "no-threat"
    if one.kind == "dispatch":
        return _why_not_dispatch(one, threat, now, system, tx)
    recipient = eme_message.recipient_of(one.payload)
    return None if recipient in by_sidecar(threat, system.topology) else "not-a-viewer"


def _why_not_dispatch(
    one: Delivery, threat: Threat, now: float, system: System, tx: Transaction
) -> str | None:
    moment = datetime.fromtimestamp(now, UTC)
    organisation = system.topology.organisations.get(threat.organisation)
    verdict = None
    if threat.decision.by_policy and organisation is not None:
        order = system.config.response.step_order
        verdict = judge_now(threat, organisation, order, moment, tx)
    stopped = tx.is_stopped(threat.organisation)
    return moves.why_not_dispatch(threat, one.digest, now=moment, stopped=stopped, verdict=verdict)
