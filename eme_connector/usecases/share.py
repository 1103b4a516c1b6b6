"""Take in what a peer says about its threats (C2).

1. The key is that of a peer whose fingerprint a person here has typed, or stands in Cerebrate's
   key store where the configuration trusts that; and it is revoked neither here nor there.
2. The signature holds, and was made within 15 minutes of our clock.
3. The peer speaks for the organisation whose threat it is.
4. The recipient is an organisation of this sidecar.
5. Need to know: the sharing group is one of ours, and both are members of it.
6. A threat that we have already came from the same peer.
7. Order: a state that is not newer than ours changes nothing and is answered like a repeat;
   what only a MISP told us is replaced in any case.

What passes is stored for its recipient alone. It is never passed on, and never dispatched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from eme_connector.config import Config
from eme_connector.domain.accounts import Peer
from eme_connector.domain.audit import AuditRecord
from eme_connector.domain.misp import VIA_MISP
from eme_connector.domain.sharing import Topology
from eme_connector.domain.threat import Threat
from eme_connector.errors import (
    Conflict,
    EmeError,
    NotAllowed,
    NotAuthenticated,
    StoreUnavailable,
    TooLarge,
)
from eme_connector.formats import eme_message
from eme_connector.formats.eme_message import Message, StoredReceipt
from eme_connector.ports import Transaction, Verified
from eme_connector.usecases import keyring
from eme_connector.usecases.system import System, is_served, micros

SKEW_S = 15 * 60
SHOWN_SKEW_S = 60
MOST = 256
Stored = Literal["new", "updated", "repeat"]


def max_bytes(config: Config) -> int:
    """Return the size of the largest message that is read: a full bundle, parsed and raw."""
    return eme_message.PEER_SIZE * config.limits.body_bytes + 65_536


@dataclass(frozen=True, slots=True)
class _Checked:
    """A message that may be stored, and how it came."""

    message: Message
    jws: str
    peer: Peer
    skew: int


def receive_message(jws: str, *, system: System) -> str:
    """Store what a peer's signed message says and return our signed receipt.

    Raises:
        NotAuthenticated, NotAllowed, Conflict, Malformed, TooLarge, InvalidMessage,
        StoreUnavailable
    """
    (answer,) = _receive([jws], system)
    if isinstance(answer, EmeError):
        raise answer
    return answer


def receive_messages(messages: Sequence[str], *, system: System) -> list[str | EmeError]:
    """Store each of them that may be; return our receipt, or why not, for each.

    Raises:
        NotAuthenticated: none of them is signed by a peer.
        TooLarge, StoreUnavailable
    """
    if len(messages) > MOST:
        raise TooLarge(f"more than {MOST} messages at once")
    answers = _receive(messages, system)
    if all(isinstance(one, NotAuthenticated) for one in answers):
        raise NotAuthenticated("no message is signed by a peer")
    return answers


def _receive(messages: Sequence[str], system: System) -> list[str | EmeError]:
    now = system.clock()
    checked = [_checked(one, system, now) for one in messages]

    def work(tx: Transaction) -> list[StoredReceipt | EmeError]:
        known = tx.find_threats(
            one.message.threat.id for one in checked if isinstance(one, _Checked)
        )
        return [
            _store(one, known, micros(now), tx) if isinstance(one, _Checked) else one
            for one in checked
        ]

    stored = system.store.transact(work)
    return [
        one
        if isinstance(one, EmeError)
        else system.signer.sign(eme_message.render_receipt(one), issued_at=system.clock())
        for one in stored
    ]


def _checked(jws: str, system: System, now: float) -> _Checked | EmeError:
    try:
        return _check(jws, system, now)
    except StoreUnavailable:
        raise
    except EmeError as exc:
        return exc


def _check(jws: str, system: System, now: float) -> _Checked:
    limit = max_bytes(system.config)
    if len(jws) > limit:
        raise TooLarge(f"a message may have {limit} bytes")
    peer = _find_peer(jws, system)  # (1)
    verified = system.signer.verify(jws, peer.certificate)  # (2)
    skew = _check_skew(verified, now)
    limits = system.config.limits
    message = eme_message.parse(verified.payload, max_bytes=limit, max_steps=limits.steps)
    _check_origin(message, peer, system.topology)  # (3)
    if not is_served(message.recipient, system):  # (4)
        raise NotAllowed("the recipient is not an organisation of this sidecar")
    _check_need_to_know(message, system.topology)  # (5)
    return _Checked(message, jws, peer, skew)


def _find_peer(jws: str, system: System) -> Peer:
    peer = keyring.find_peer(system.signer.key_id(jws), system)
    if peer is None or peer.revoked_at is not None:
        raise NotAuthenticated("the signing key is not that of a peer")
    return peer


def _check_skew(verified: Verified, now: float) -> int:
    skew = verified.issued_at - now
    if abs(skew) > SKEW_S:
        raise NotAuthenticated("it was signed more than 15 minutes off our clock")
    return round(skew)


def _check_origin(message: Message, peer: Peer, topology: Topology) -> None:
    known = topology.organisations.get(message.origin)
    sidecar = known.sidecar if known else message.origin
    speaks_for = peer.organisation in (message.origin, sidecar)
    if message.threat.organisation != message.origin or not speaks_for:
        raise NotAllowed("the sender does not speak for the organisation whose threat it is")


def _check_need_to_know(message: Message, topology: Topology) -> None:
    group = topology.groups.get(message.group)
    if group is None or not {message.origin, message.recipient} <= group.members:
        raise NotAllowed("sender and recipient are not both members of the sharing group")


def _store(
    one: _Checked, threats: dict[str, Threat], at: int, tx: Transaction
) -> StoredReceipt | EmeError:
    """Store one message; *threats* are those that we have, and go along."""
    message, peer, skew = one.message, one.peer, one.skew
    threat_id = message.threat.id
    known = threats.get(threat_id)
    if known and not _is_theirs(known, peer, message):
        return Conflict("this threat is not the sender's")  # (6)
    jws = one.jws.encode("ascii")
    fresh = tx.keep_message(message.id, peer.organisation, threat_id, jws, at)
    stored, threat = _apply(message, known, _as_ours(message, known, peer, skew, at), tx)
    threats[threat_id] = threat
    if fresh:
        detail = {"message": message.id, "sequence": message.sequence, "stored": stored}
        event = {"new": "received", "updated": "updated", "repeat": "repeated"}[stored]
        tx.record(
            AuditRecord(
                event,
                at,
                f"peer:{peer.organisation}",
                threat.organisation,
                threat.id,
                threat.revision,
                detail | {"recipient": message.recipient, "skew_s": skew},
            )
        )
    return StoredReceipt(message.id, threat_id, threat.sequence, stored)


def _is_theirs(known: Threat, peer: Peer, message: Message) -> bool:
    same = known.organisation == message.origin
    if VIA_MISP in known.flags:
        # a MISP told us before, and nobody signed for it: a sidecar's word counts more
        return same and known.origin is not None
    return same and known.origin == peer.organisation


def _apply(
    message: Message, known: Threat | None, told: Threat, tx: Transaction
) -> tuple[Stored, Threat]:
    if known is None:
        tx.add_threat(told, message.raw or b"", viewers=[message.recipient])
        return "new", told
    tx.add_viewer(known, message.recipient)
    if message.sequence <= known.sequence and VIA_MISP not in known.flags:  # (7)
        return "repeat", known
    raw = message.raw if told.revision > known.revision else None
    tx.save_threat(told, known, raw)
    return "updated", told


def _as_ours(message: Message, known: Threat | None, peer: Peer, skew: int, at: int) -> Threat:
    """Return the threat as we keep it: when it came and from whom is ours to say."""
    told = message.threat
    flags = tuple(one for one in told.flags if one not in ("clock-skew", VIA_MISP))
    return replace(
        told,
        origin=peer.organisation,
        received_at=known.received_at if known else at,
        updated_at=at,
        recipients=(),
        group_sent=False,
        flags=(*flags, "clock-skew") if abs(skew) > SHOWN_SKEW_S else flags,
    )
