"""Become peers by a handshake that two Cerebrates carry (C6): offer, answer, confirmation.

Who offers has the code; who answers proves a key over that very offer; who confirms proves the
first key over that very answer, straight to the other sidecar. Nobody types a fingerprint: what
comes back by each Cerebrate's own channel is signed by the key that it names. Where a Cerebrate
holds certificates of the other organisation's sidecar, only those are taken; never a revoked one.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import replace

from eme_connector.domain.accounts import Peer
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.handshake import Handshake, Stage
from eme_connector.domain.rights import Caller, Right
from eme_connector.errors import (
    Conflict,
    Fault,
    InvalidInput,
    Malformed,
    NotAuthenticated,
    NotFound,
)
from eme_connector.formats import certificate, handshake
from eme_connector.formats.handshake import Answer, Link, Offer
from eme_connector.ports import Transaction
from eme_connector.usecases.keyring import ring_of
from eme_connector.usecases.peering import check_peer, export_peer, trust
from eme_connector.usecases.system import System, micros


def offer(organisation: str, *, caller: Caller, system: System) -> Handshake:
    """Begin a handshake with *organisation* (uuid); its `offer` is to be carried there.

    Raises:
        NotAllowed, InvalidInput, StoreUnavailable
    """
    caller.need(Right.ENROL)
    known = system.topology.organisations.get(organisation)
    if known is None:
        raise InvalidInput([Fault("/organisation", "is not among the organisations we know")])
    if known.sidecar == system.organisation.uuid:
        raise InvalidInput([Fault("/organisation", "is our own, or served by us")])
    now = system.clock()
    code = base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=")
    ends = now + system.config.limits.handshake_minutes * 60
    text = Offer(code, organisation, int(ends), export_peer(system))
    found = Handshake(
        code=code,
        role="ours",
        organisation=organisation,
        stage=Stage.OPEN,
        offer=system.signer.sign(handshake.render_offer(text), issued_at=now),
        created_at=micros(now),
        created_by=caller.name,
        expires_at=micros(ends),
    )
    return _keep(found, "handshake-offered", caller.name, system)


def accept(text: str, organisation: str, *, caller: Caller, system: System) -> Handshake:
    """Answer an offer that came from *organisation*; its `answer` is to be carried back.

    The same offer again has the same answer, until the handshake is over.

    Raises:
        NotAllowed, Malformed, InvalidInput, NotAuthenticated, Conflict, StoreUnavailable
    """
    caller.need(Right.ENROL)
    now = system.clock()
    found = handshake.parse_offer(handshake.payload(text))
    fingerprint = _prove(text, found.sender, organisation, system)
    if found.to != system.organisation.uuid:
        raise InvalidInput([Fault("/to", "is not our organisation")])
    if now >= found.expires_at:
        raise Conflict("this offer is expired, or the clocks of the two sidecars differ")
    keys = (fingerprint, system.signer.fingerprint)
    answer = Answer(
        code=found.code,
        to=organisation,
        offer=handshake.digest(text),
        keys=keys,
        nonce=secrets.token_hex(16),
        sender=export_peer(system),
    )
    ends = min(now + system.config.limits.handshake_minutes * 60, float(found.expires_at))
    fresh = _met(
        Handshake(
            code=found.code,
            role="theirs",
            organisation=organisation,
            stage=Stage.BOUND,
            offer=text,
            created_at=micros(now),
            created_by=caller.name,
            expires_at=micros(ends),
            answer=system.signer.sign(handshake.render_answer(answer), issued_at=now),
        ),
        found.sender,
    )

    def work(tx: Transaction) -> Handshake:
        known = tx.find_handshake(fresh.code, "theirs")
        if known is None:
            return _save(fresh, "handshake-accepted", caller.name, system, tx)
        known.need_open(micros(now))
        if known.offer != text:
            raise Conflict("this code was used by another offer")
        return known

    return system.store.transact(work)


def finalise(text: str, organisation: str, *, caller: Caller, system: System) -> Peer:
    """Take the answer to an offer of ours, confirm it to the other sidecar, trust it.

    The same answer again confirms again, so that a lost connection can be mended.

    Raises:
        NotAllowed, Malformed, InvalidInput, NotAuthenticated, NotFound, Conflict
        DeliveryError: the other sidecar could not be told; nothing is trusted yet.
    """
    caller.need(Right.ENROL)
    bound = _bind(text, organisation, system)
    now = system.clock()
    link = handshake.render_link("confirmation", Link(bound.code, handshake.digest(text)))
    confirmation = system.signer.sign(link, issued_at=now)
    receipt = system.introduce(bound.url, confirmation)
    _check_receipt(receipt, confirmation, bound, system)
    return _finish(bound, caller.name, system)


def check_answer(text: str, organisation: str, *, caller: Caller, system: System) -> Handshake:
    """Bind our offer to the answer as `finalise` does, and tell nobody; for a rehearsal.

    Raises:
        NotAllowed, Malformed, InvalidInput, NotAuthenticated, NotFound, Conflict
    """
    caller.need(Right.ENROL)
    return _bind(text, organisation, system)


def confirm(text: str, *, system: System) -> str:
    """Take the confirmation of an offer that we answered; trust its sender; sign a receipt.

    Raises:
        NotAuthenticated: nobody here waits for it; which part is wrong is not said.
        Conflict, StoreUnavailable
    """
    try:
        link = handshake.parse_link(handshake.payload(text), "confirmation")
    except (Malformed, InvalidInput) as exc:
        raise NotAuthenticated("no handshake waits for this confirmation") from exc
    known = system.store.find_handshake(link.code, "theirs")
    if known is None:
        raise NotAuthenticated("no handshake waits for this confirmation")
    system.signer.verify(text, known.certificate)
    if link.of != handshake.digest(known.answer):
        raise NotAuthenticated("this confirms another answer")
    _finish(known, known.created_by, system)
    receipt = handshake.render_link("receipt", Link(known.code, handshake.digest(text)))
    return system.signer.sign(receipt, issued_at=system.clock())


def cancel(code: str, *, caller: Caller, system: System) -> Handshake:
    """End a handshake that is not finalised; ending it again changes nothing.

    Raises:
        NotAllowed, NotFound, Conflict
    """
    caller.need(Right.ENROL)
    known = next((one for one in system.store.handshakes() if one.code == code), None)
    if known is None:
        raise NotFound("there is no handshake with this code")
    role = known.role

    def work(tx: Transaction) -> Handshake:
        found = tx.find_handshake(code, role)
        if found is None or found.stage is Stage.FINALISED:
            raise Conflict("it is finalised; revoke the peer instead")
        if found.stage is Stage.CANCELLED:
            return found
        ended = replace(found, stage=Stage.CANCELLED)
        return _save(ended, "handshake-cancelled", caller.name, system, tx)

    return system.store.transact(work)


def list_handshakes(*, caller: Caller, system: System) -> tuple[Handshake, ...]:
    """Return every handshake, the newest first.

    Raises:
        NotAllowed, StoreUnavailable
    """
    caller.need(Right.ENROL)
    return system.store.handshakes()


def _bind(text: str, organisation: str, system: System) -> Handshake:
    """Bind our offer to the one key and answer that came first."""
    found = handshake.parse_answer(handshake.payload(text))
    fingerprint = _prove(text, found.sender, organisation, system)
    if found.to != system.organisation.uuid:
        raise InvalidInput([Fault("/to", "is not our organisation")])
    if found.keys != (system.signer.fingerprint, fingerprint):
        raise InvalidInput([Fault("/keys", "are not ours and the sender's")])
    at = micros(system.clock())

    def work(tx: Transaction) -> Handshake:
        known = tx.find_handshake(found.code, "ours")
        if known is None:
            raise NotFound("no offer of ours has this code")
        if known.stage is Stage.FINALISED and known.answer == text:
            return known
        if known.organisation != organisation or found.offer != handshake.digest(known.offer):
            raise InvalidInput([Fault("/offer", "is not what we offered to this organisation")])
        bound = known.bind(_met(replace(known, answer=text), found.sender), at)
        tx.save_handshake(bound)
        return bound

    return system.store.transact(work)


def _prove(text: str, sender: dict[str, str], organisation: str, system: System) -> str:
    """Return the fingerprint of the sender's key, which signed *text* and may speak for it."""
    if sender["organisation"] != organisation:
        raise InvalidInput([Fault("/sender/organisation", "is not whom Cerebrate says it is")])
    faults = [Fault(f"/sender{one.pointer}", one.detail) for one in check_peer(sender, system)]
    if faults:
        raise InvalidInput(faults)
    if system.topology.organisations[organisation].sidecar == system.organisation.uuid:
        raise InvalidInput([Fault("/sender/organisation", "is served by us")])
    said = certificate.holder(sender["certificate"])
    if said is None or said.name != organisation:
        raise InvalidInput([Fault("/sender/certificate", "does not name its organisation")])
    fingerprint = system.signer.verify(text, sender["certificate"]).fingerprint
    ring = ring_of(system.store)
    held = {name: one for name, one in ring.held.items() if one.organisation == organisation}
    is_held = fingerprint in held and held[fingerprint].is_usable(system.clock())
    if ring.is_revoked(organisation, fingerprint) or (held and not is_held):
        detail = "is not among the keys that Cerebrate has for it, or no longer"
        raise InvalidInput([Fault("/sender/certificate", detail)])
    return fingerprint


def _check_receipt(receipt: str, confirmation: str, bound: Handshake, system: System) -> None:
    system.signer.verify(receipt, bound.certificate)
    link = handshake.parse_link(handshake.payload(receipt), "receipt")
    if (link.code, link.of) != (bound.code, handshake.digest(confirmation)):
        raise NotAuthenticated("the other sidecar confirmed something else")


def _finish(known: Handshake, by: str, system: System) -> Peer:
    at = micros(system.clock())
    peer = Peer(
        organisation=known.organisation,
        name=known.name,
        url=known.url,
        certificate=known.certificate,
        fingerprint=known.fingerprint,
        created_at=at,
        created_by=by,
    )
    make = trust(peer, by, at, system)

    def work(tx: Transaction) -> Peer:
        found = tx.find_handshake(known.code, known.role)
        if found is None or found.answer != known.answer:
            raise Conflict("this handshake has changed")
        if found.stage is Stage.FINALISED:
            return peer
        found.need_open(at)
        _save(found.finalise(), "handshake-finalised", by, system, tx)
        return make(tx)

    return system.store.transact(work)


def _met(found: Handshake, sender: dict[str, str]) -> Handshake:
    return replace(
        found,
        name=sender["name"],
        url=sender["url"].rstrip("/"),
        certificate=sender["certificate"],
        fingerprint=certificate.fingerprint(sender["certificate"]),
    )


def _keep(found: Handshake, event: str, by: str, system: System) -> Handshake:
    return system.store.transact(lambda tx: _save(found, event, by, system, tx))


def _save(found: Handshake, event: str, by: str, system: System, tx: Transaction) -> Handshake:
    tx.save_handshake(found)
    detail: dict[str, object] = {"peer": found.organisation, "fingerprint": found.fingerprint}
    at = micros(system.clock())
    tx.record(AuditRecord(event, at, by, system.organisation.uuid, detail=detail))
    return found
