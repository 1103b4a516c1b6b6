"""Believe a protected event only by keys that Cerebrate knows as its organisation's (C8).

Each MISP checks what it is sent against the keys that stand on the event, and signs it anew with
its own key for the next. Whoever sends an event first may put any key on it: so the keys on it
have to be those of the organisation that it names, and the answer of our MISP has to be signed by
one of them or by a key of ours. Whatever cannot be checked is refused.
"""

from __future__ import annotations

from eme_connector.errors import NotAllowed
from eme_connector.ports.misp import Json, Pgp, Signed
from eme_connector.usecases.system import System


def check(signed: Signed, creator: str, pgp: Pgp, system: System) -> None:
    """Let an event pass that is not protected, or is so by keys of its *creator*.

    Raises:
        NotAllowed: with the reason in one word.
    """
    if not signed.event.get("protected"):
        return
    theirs = _keys_of(creator, system)
    trusted = {one for key in theirs for one in pgp.fingerprints(key)}
    if not trusted:
        raise NotAllowed("no-key-of-organisation")
    on_it = [pgp.fingerprints(one) for one in _keys_on(signed.event)]
    if not on_it or not all(found and found <= trusted for found in on_it):
        raise NotAllowed("key-not-of-organisation")
    ours = _keys_of(system.config.instance.organisation, system)
    if not signed.signature:
        raise NotAllowed("unsigned")
    if not pgp.is_signed(signed.body, signed.signature, [*theirs, *ours]):
        raise NotAllowed("signature-not-believed")


def _keys_of(organisation: str, system: System) -> list[str]:
    now = system.clock()
    return [
        one.text
        for one in system.store.encryption_keys(organisation)
        if one.kind == "pgp" and not one.of_individual and one.is_usable(now)
    ]


def _keys_on(event: Json) -> list[str]:
    rows = event.get("CryptographicKey") or ()
    return [str(one.get("key_data", "")) for one in rows if isinstance(one, dict)]
