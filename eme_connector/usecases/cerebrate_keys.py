"""Our certificate in Cerebrate's key store, and what is revoked there (C8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from eme_connector.domain.accounts import Peer
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.directory import EncryptionKey
from eme_connector.domain.rights import Caller
from eme_connector.errors import DeliveryError
from eme_connector.ports import KeyStore, Transaction
from eme_connector.usecases.cerebrate_links import need_keeper
from eme_connector.usecases.keyring import key_ring, ring_of
from eme_connector.usecases.system import System, micros

OwnKey = Literal["published", "revoked", "refused", "off"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A sidecar's certificate in the key store; `state` is how it counts here."""

    organisation: str
    name: str
    fingerprint: str
    state: Literal["own", "peer", "trusted", "known", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Published:
    """What became of our certificate: `why` it was refused, `key` when it is new there."""

    state: OwnKey
    why: str = ""
    key: EncryptionKey | None = None


def publish(store: KeyStore, keys: Sequence[EncryptionKey], system: System) -> Published:
    """Make our certificate an S/MIME key of our organisation, unless it is among *keys*.

    One that is revoked there is not put there again: somebody had a reason.
    """
    section = system.config.cerebrate
    own = system.organisation.uuid
    ring = key_ring(keys)
    if ring.is_revoked(own, system.signer.fingerprint):
        return Published("revoked")
    if system.signer.fingerprint in ring.held:
        return Published("published")
    if section is None or not section.publish_key:
        return Published("off")
    wanted = EncryptionKey("", "smime", own, system.signer.certificate)
    try:
        found = store.publish_key(wanted)
    except DeliveryError as exc:
        return Published("refused", exc.reason)
    return Published("published", key=found)


def revoke_peers(system: System) -> tuple[Peer, ...]:
    """Revoke every peer whose key is revoked in the key store; return them.

    Raises:
        StoreUnavailable
    """
    ring = ring_of(system.store)
    at = micros(system.clock())
    gone = [
        replace(one, revoked_at=at)
        for one in system.store.peers()
        if one.revoked_at is None and ring.is_revoked(one.organisation, one.fingerprint)
    ]

    def work(tx: Transaction) -> None:
        for one in gone:
            tx.save_peer(one)
            tx.record(_record(one, at, system))

    if gone:
        system.store.transact(work)
    return tuple(gone)


def list_certificates(*, caller: Caller, system: System) -> tuple[Certificate, ...]:
    """Return the sidecars' certificates in the key store, by their organisation's name.

    Raises:
        NotAllowed, StoreUnavailable
    """
    need_keeper(caller, system)
    ring = ring_of(system.store)
    found = [(one.organisation, print_) for print_, one in ring.held.items()]
    rows = [_certificate(*one, system) for one in {*found, *ring.revoked}]
    return tuple(sorted(rows, key=lambda one: (one.name.casefold(), one.fingerprint)))


def _certificate(organisation: str, fingerprint: str, system: System) -> Certificate:
    known = system.topology.organisations.get(organisation)
    name = known.name if known else organisation
    return Certificate(organisation, name, fingerprint, _state(organisation, fingerprint, system))


def _state(
    organisation: str, fingerprint: str, system: System
) -> Literal["own", "peer", "trusted", "known", "expired", "revoked"]:
    ring, section = ring_of(system.store), system.config.cerebrate
    if ring.is_revoked(organisation, fingerprint):
        return "revoked"
    if fingerprint == system.signer.fingerprint:
        return "own"
    peer = system.store.find_peer(fingerprint)
    if peer is not None:
        return "revoked" if peer.revoked_at is not None else "peer"
    if not ring.held[fingerprint].is_usable(system.clock()):
        return "expired"
    return "trusted" if section is not None and section.trust_keys else "known"


def _record(peer: Peer, at: int, system: System) -> AuditRecord:
    detail: dict[str, object] = {
        "peer": peer.organisation,
        "fingerprint": peer.fingerprint,
        "why": "revoked in the key store",
    }
    own = system.organisation.uuid
    section = system.config.cerebrate
    name = section.name if section is not None else ""
    return AuditRecord("peer-revoked", at, f"cerebrate:{name}", own, detail=detail)
