"""Whose certificate is whose, as Cerebrate's key store says it (C8).

A sidecar's certificate stands there as S/MIME key of its organisation, and names that
organisation as its holder: an organisation that shows a stranger's certificate as its own gains
nothing and harms nobody. A key that is revoked there is refused here, however it came to be
trusted.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from dataclasses import dataclass

from eme_connector.domain.accounts import Peer
from eme_connector.domain.directory import EncryptionKey
from eme_connector.formats import certificate
from eme_connector.ports import Store
from eme_connector.usecases.system import System

BY = "key store"
"""Who has made a peer that only the key store vouches for."""


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate that stands in the key store as its holder's own."""

    organisation: str
    fingerprint: str
    certificate: str
    expires: float

    def is_usable(self, now: float) -> bool:
        """Say whether it has not expired."""
        return now < self.expires


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The certificates of the key store, by fingerprint; what is revoked there, by its owner."""

    held: dict[str, Held]
    revoked: frozenset[tuple[str, str]]

    def is_revoked(self, organisation: str, fingerprint: str) -> bool:
        """Say whether *organisation*'s key with this fingerprint is revoked there."""
        return (organisation, fingerprint) in self.revoked


def key_ring(keys: Iterable[EncryptionKey]) -> KeyRing:
    """Return the ring of *keys*; what is no certificate of a sidecar is left out."""
    held: dict[str, Held] = {}
    revoked = set()
    for key in keys:
        print_ = _fingerprint(key)
        if print_ is None:
            continue
        if key.revoked:
            revoked.add((key.owner, print_))
            continue
        said = certificate.holder(key.text)
        if said is not None and said.name == key.owner:
            ends = said.not_after if key.expires is None else min(said.not_after, key.expires)
            held[print_] = Held(key.owner, print_, key.text, ends)
    usable = {name: one for name, one in held.items() if (one.organisation, name) not in revoked}
    return KeyRing(usable, frozenset(revoked))


def find_peer(fingerprint: str, system: System) -> Peer | None:
    """Return whose messages are signed with this key; a revoked peer, or None, is nobody.

    Raises:
        StoreUnavailable
    """
    known = system.store.find_peer(fingerprint)
    section = system.config.cerebrate
    if section is None or (known is not None and known.revoked_at is not None):
        return known
    if known is not None:
        return known if _is_live(known, system) else None
    held = find_held(fingerprint, system)
    if held is None:
        return None
    return Peer(held.organisation, held.organisation, "", held.certificate, fingerprint, 0, BY)


def find_held(fingerprint: str, system: System) -> Held | None:
    """Return whose certificate this is by the key store; None where that is not to be trusted.

    Raises:
        StoreUnavailable
    """
    section = system.config.cerebrate
    if section is None or not section.trust_keys:
        return None
    held = ring_of(system.store).held.get(fingerprint)
    if held is None or not held.is_usable(system.clock()) or not _may_be_peer(held, system):
        return None
    return held


def live_peers(system: System) -> tuple[Peer, ...]:
    """Return the peers that we send to: not revoked here, nor in the key store.

    Raises:
        StoreUnavailable
    """
    peers = tuple(one for one in system.store.peers() if one.revoked_at is None)
    if system.config.cerebrate is None:
        return peers
    return tuple(one for one in peers if _is_live(one, system))


def _is_live(peer: Peer, system: System) -> bool:
    if ring_of(system.store).is_revoked(peer.organisation, peer.fingerprint):
        return False
    return peer.created_by != BY or find_held(peer.fingerprint, system) is not None


_KEPT: weakref.WeakKeyDictionary[Store, tuple[int, KeyRing]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def ring_of(store: Store) -> KeyRing:
    """Return the ring of the keys that *store* holds now; kept until they change."""
    version = store.directory_version()
    with _LOCK:
        kept = _KEPT.get(store)
    if kept is not None and kept[0] == version:
        return kept[1]
    ring = key_ring(store.encryption_keys())
    with _LOCK:
        _KEPT[store] = (version, ring)
    return ring


def _may_be_peer(held: Held, system: System) -> bool:
    """Nobody else speaks for us, nor for whom we serve."""
    organisation = system.topology.organisations.get(held.organisation)
    return organisation is not None and organisation.sidecar != system.organisation.uuid


def _fingerprint(key: EncryptionKey) -> str | None:
    if key.kind != "smime" or key.of_individual:
        return None
    try:
        return certificate.fingerprint(key.text)
    except ValueError:
        return None
