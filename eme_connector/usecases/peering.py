"""Make and end peerings with other sidecars: keys by file, trust by a typed fingerprint.

`enrol` is the other way to the same end: a handshake, carried by two Cerebrates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from eme_connector.domain.accounts import Peer
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.rights import Caller, Right
from eme_connector.errors import Conflict, Fault, InvalidInput, NotFound
from eme_connector.formats import certificate, strict_json
from eme_connector.ports import Transaction
from eme_connector.usecases import keyring
from eme_connector.usecases.system import System, micros

MAX_FILE = 65_536
MAX_NAME = 200
_MEMBERS = ("organisation", "name", "url", "certificate")


def export_peer(system: System) -> dict[str, str]:
    """Return our peer file: who we are, where we are, and our certificate."""
    return {
        "organisation": system.organisation.uuid,
        "name": system.organisation.name,
        "url": system.config.public_url,
        "certificate": system.signer.certificate,
    }


def own_fingerprint(system: System) -> str:
    """Return our fingerprint as people read it out: groups of four."""
    text = system.signer.fingerprint
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def add_peer(file: bytes, typed_fingerprint: str | None, *, caller: Caller, system: System) -> Peer:
    """Trust the sidecar in a peer file, if the typed fingerprint is its certificate's.

    The fingerprint must have come another way than the file. None: its certificate stands in
    Cerebrate's key store, for as long as it does. An earlier key of the same organisation is
    revoked with it.

    Raises:
        NotAllowed, Malformed, TooLarge, InvalidInput, Conflict, StoreUnavailable
    """
    caller.need(Right.ADMIN)
    at = micros(system.clock())
    peer = _parse(file, caller, at, system)
    if typed_fingerprint is None:
        peer = replace(peer, created_by=keyring.BY)
        _need_vouched(peer, system)
    elif not certificate.same_fingerprint(typed_fingerprint, peer.fingerprint):
        raise InvalidInput([Fault("/certificate", "has another fingerprint than you typed")])
    return system.store.transact(trust(peer, caller.name, at, system))


def trust(peer: Peer, by: str, at: int, system: System) -> Callable[[Transaction], Peer]:
    """Return the work that makes *peer* a peer and revokes earlier keys of its organisation.

    Raises:
        Conflict: this very key was revoked here, or in Cerebrate's key store.
    """
    if keyring.ring_of(system.store).is_revoked(peer.organisation, peer.fingerprint):
        raise Conflict("this key is revoked in Cerebrate; the peer needs a new one")
    known = system.store.peers()
    if any(one.fingerprint == peer.fingerprint and one.revoked_at is not None for one in known):
        raise Conflict("this key was revoked here; the peer needs a new one")
    same = next((one for one in known if one.fingerprint == peer.fingerprint), peer)
    kept = replace(peer, created_at=same.created_at)
    earlier = [
        one
        for one in known
        if one.organisation == peer.organisation
        and one.fingerprint != peer.fingerprint
        and one.revoked_at is None
    ]

    def work(tx: Transaction) -> Peer:
        for one in earlier:
            _revoke(one, at, by, system, tx)
        tx.save_peer(kept)
        tx.record(_record("peer-added", kept, at, by, system))
        return kept

    return work


def _need_vouched(peer: Peer, system: System) -> None:
    section = system.config.cerebrate
    if section is None or not section.trust_keys:
        raise Conflict("type the fingerprint: cerebrate.trust_keys is not set")
    held = keyring.find_held(peer.fingerprint, system)
    if held is None or held.organisation != peer.organisation:
        detail = "does not stand in Cerebrate's key store as this organisation's"
        raise InvalidInput([Fault("/certificate", detail)])


def revoke_peer(fingerprint: str, *, caller: Caller, system: System) -> Peer:
    """Trust a peer's key no longer; what is owed to it waits for a new peering.

    Raises:
        NotAllowed, NotFound, StoreUnavailable
    """
    caller.need(Right.ADMIN)
    at = micros(system.clock())
    peer = next(
        (
            one
            for one in system.store.peers()
            if certificate.same_fingerprint(fingerprint, one.fingerprint)
        ),
        None,
    )
    if peer is None:
        raise NotFound("there is no peer with this fingerprint")
    if peer.revoked_at is not None:
        return peer
    found = peer
    return system.store.transact(lambda tx: _revoke(found, at, caller.name, system, tx))


def list_peers(*, caller: Caller, system: System) -> tuple[Peer, ...]:
    """Return every peer, revoked ones too.

    Raises:
        NotAllowed, StoreUnavailable
    """
    caller.need(Right.ADMIN)
    return system.store.peers()


def _parse(file: bytes, caller: Caller, at: int, system: System) -> Peer:
    document: Any = strict_json.loads(file, max_bytes=MAX_FILE, max_depth=4)
    if not isinstance(document, dict):
        raise InvalidInput([Fault("", "must be an object")])
    faults = [
        Fault(f"/{name}", "must be text")
        for name in _MEMBERS
        if not isinstance(document.get(name), str) or not document[name]
    ]
    if not faults:
        faults = check_peer(document, system)
    if faults:
        raise InvalidInput(faults)
    return Peer(
        organisation=document["organisation"],
        name=document["name"],
        url=document["url"].rstrip("/"),
        certificate=document["certificate"],
        fingerprint=certificate.fingerprint(document["certificate"]),
        created_at=at,
        created_by=caller.name,
    )


def check_peer(document: Mapping[str, str], system: System) -> list[Fault]:
    """Return what is wrong with a peer's organisation, name, url and certificate."""
    faults = []
    if document["organisation"] not in system.topology.organisations:
        faults.append(Fault("/organisation", "is not among the organisations we know"))
    if document["organisation"] == system.organisation.uuid:
        faults.append(Fault("/organisation", "is our own"))
    if not _is_address(document["url"]):
        faults.append(Fault("/url", "must be http(s):// with a host, at most a port and a path"))
    if len(document["name"]) > MAX_NAME or not document["name"].isprintable():
        faults.append(Fault("/name", f"must be a line of at most {MAX_NAME} characters"))
    try:
        certificate.fingerprint(document["certificate"])
    except ValueError as exc:
        return [*faults, Fault("/certificate", str(exc))]
    if not certificate.is_for_signing(document["certificate"]):
        faults.append(Fault("/certificate", "is not an X.509 certificate of an Ed25519 key"))
    return faults


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and not set(url) & {" ", "@", "?", "#"}
    return parts.scheme in ("https", "http") and bool(host) and port != 0 and is_plain


def _revoke(peer: Peer, at: int, by: str, system: System, tx: Transaction) -> Peer:
    revoked = replace(peer, revoked_at=at)
    tx.save_peer(revoked)
    tx.record(_record("peer-revoked", revoked, at, by, system))
    return revoked


def _record(event: str, peer: Peer, at: int, by: str, system: System) -> AuditRecord:
    detail: dict[str, object] = {"peer": peer.organisation, "fingerprint": peer.fingerprint}
    return AuditRecord(event, at, by, system.organisation.uuid, detail=detail)
