"""Turn a share into one delivery per member of the group, by the audience at that moment.

Content is rendered before the transaction; it is used only if the threat is still the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from eme_connector.domain.audience import by_sidecar
from eme_connector.domain.delivery import SHARE_LANE, Delivery, State
from eme_connector.domain.sharing import Organisation, Topology
from eme_connector.domain.threat import Threat
from eme_connector.formats import eme_message
from eme_connector.ports import Owed, Transaction
from eme_connector.usecases.deliver import take
from eme_connector.usecases.keyring import live_peers
from eme_connector.usecases.obligations import owe_misp
from eme_connector.usecases.progress import record
from eme_connector.usecases.system import System, micros, served

WIDTH = 128


class ShareLane:
    """What the share lane is to a lease: a target of our own, where a repeat is safe."""

    lane = SHARE_LANE
    width = WIDTH
    timeout = 15.0
    repeat: Literal["safe", "look_first"] = "safe"


@dataclass(frozen=True, slots=True)
class Addressed:
    """The content for one member, and the lane it goes by."""

    lane: str
    member: str
    content: bytes
    has_peer: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """A share with all that leaves for it, rendered; `local` members read it in this store.

    `misp` are the seconds that our MISP waits for more changes; None: there is none.
    """

    share: Delivery
    sequence: int
    group: str | None
    remote: tuple[Addressed, ...] = ()
    local: tuple[str, ...] = ()
    misp: float | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many members get a message, and how many read it here."""
        return {"members": len(self.remote), "here": len(self.local)}

    @property
    def reaches_anybody(self) -> bool:
        """Say whether it has any recipient."""
        return bool(self.remote or self.local)


def take_shares(system: System, now: float) -> list[Delivery]:
    """Lease shares whose turn has come.

    Raises:
        StoreUnavailable
    """
    return take(SHARE_LANE, _LANE, system, now)


def expand(shares: list[Delivery], system: System, now: float) -> None:
    """Owe every member its message, or let it read here; all in one transaction.

    Raises:
        StoreUnavailable: nothing was owed; the lease runs out and it is done again.
    """
    here = served(system)
    peers = frozenset(one.organisation for one in live_peers(system))
    prepared = [_prepare(one, system, here, peers) for one in shares]

    def work(tx: Transaction) -> None:
        threats = tx.find_threats(one.share.threat_id for one in prepared)
        ends = [(one, _end(one, threats.get(one.share.threat_id))) for one in prepared]
        saved = tx.save_deliveries((end, one.share.fence) for one, end in ends)
        going = [one for one, end in ends if end.id in saved and end.state is State.DELIVERED]
        for one in going:
            _owe(one, threats[one.share.threat_id], now, tx)
        first = [threats[one.share.threat_id] for one in going if one.reaches_anybody]
        tx.keep_threats(replace(one, group_sent=True) for one in first if not one.group_sent)

    system.store.transact(work)


def _prepare(
    share: Delivery, system: System, here: frozenset[str], peers: frozenset[str]
) -> Prepared:
    threat = system.store.find_visible_threat(share.threat_id, share.organisation)
    if threat is None:
        return Prepared(share, 0, None)
    topology = system.topology
    members = [_known(one, topology) for one in by_sidecar(threat, topology)]
    us = system.config.instance.organisation
    remote = [
        one
        for one in members
        if one.sidecar != us and (one.uuid not in here or one.sidecar in peers)
    ]
    # CERTs first: where one sidecar serves several members, the fullest state is there first
    remote.sort(key=lambda one: one.role != "cert")
    raw = _raw(threat, remote, system)
    return Prepared(
        share,
        threat.sequence,
        threat.group,
        tuple(_address(threat, one, raw, peers) for one in remote),
        tuple(one.uuid for one in members if one.uuid in here),
        system.config.misp.debounce_s if system.config.misp else None,
    )


def _address(
    threat: Threat, member: Organisation, raw: bytes | None, peers: frozenset[str]
) -> Addressed:
    content = eme_message.render(
        threat,
        recipient=member.uuid,
        full=member.role == "cert",
        raw=raw,
        first=not threat.group_sent,
    )
    return Addressed(f"peer:{member.sidecar}", member.uuid, content, member.sidecar in peers)


def _raw(threat: Threat, remote: list[Organisation], system: System) -> bytes | None:
    if any(one.role == "cert" for one in remote):
        return system.store.raw(threat.id, threat.revision)
    return None


def _known(uuid: str, topology: Topology) -> Organisation:
    return topology.organisations.get(uuid) or Organisation(uuid, uuid)


def _end(one: Prepared, threat: Threat | None) -> Delivery:
    """Return the share as it ends: what was rendered counts only for the same threat."""
    if threat is None or one.sequence == 0:
        return _ended(one.share, State.WITHDRAWN, "no-threat")
    if one.share.sequence < threat.sequence or one.sequence != threat.sequence:
        # each change owes a share of its own, so a newer one stands behind this
        return _ended(one.share, State.WITHDRAWN, "superseded")
    reason = "" if one.reaches_anybody else "nobody"
    return replace(_ended(one.share, State.DELIVERED, reason), receipt=dict(one.counts))


def _ended(share: Delivery, state: State, reason: str) -> Delivery:
    return replace(share, state=state, reason=reason, receipt={}, lease_until=0.0)


def _owe(one: Prepared, threat: Threat, now: float, tx: Transaction) -> None:
    for addressed in one.remote:
        tx.owe(_owed(addressed, threat))
    if one.misp is not None:
        owe_misp(threat, now + one.misp, tx)
    for member in one.local:
        if member != threat.organisation:  # whose threat it is reads it anyway
            tx.add_viewer(threat, member)
    if one.reaches_anybody:
        detail: dict[str, object] = {"sequence": threat.sequence, **one.counts}
        record("share-owed", micros(now), SHARE_LANE, one.share, detail, tx)


def _owed(addressed: Addressed, threat: Threat) -> Owed:
    return Owed(
        lane=addressed.lane,
        kind="peer",
        threat_id=threat.id,
        organisation=threat.organisation,
        sequence=threat.sequence,
        payload=addressed.content,
        reason="" if addressed.has_peer else "no-peer",
    )


_LANE = ShareLane()
