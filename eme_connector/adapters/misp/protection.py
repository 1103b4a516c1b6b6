"""Our events as protected ones: only who holds our MISP's key may change them elsewhere."""

from __future__ import annotations

from functools import cached_property

from eme_connector.adapters.gpg import GnuPg
from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Json, Refused


class Protection:
    """Protects events by the OpenPGP key of our MISP's instance, and signs what we change."""

    def __init__(self, pgp: GnuPg) -> None:
        self._pgp = pgp

    @cached_property
    def _public(self) -> str:
        return self._pgp.public_key()

    @cached_property
    def _fingerprints(self) -> frozenset[str]:
        return self._pgp.fingerprints(self._public)

    def sign(self, body: bytes) -> str:
        """Return the signature that a MISP wants with a change of a protected event."""
        return self._pgp.sign(body)

    def protect(self, stored: Json, client: MispClient) -> None:
        """Protect an event of ours by our key, unless it is; never publish it without.

        Raises:
            ConfigError: the key cannot be used.
            Refused, DeliveryError
        """
        uuid = str(stored["uuid"])
        if not stored.get("protected"):
            client.connection.post(f"/events/protect/{uuid}", {})
        rows = stored.get("CryptographicKey") or ()
        if not any(str(one.get("fingerprint", "")).upper() in self._fingerprints for one in rows):
            body = {"type": "pgp", "key_data": self._public}
            try:
                client.connection.post(f"/cryptographicKeys/add/Event/{stored['id']}", body)
            except Refused as exc:
                if "already assigned" not in exc.detail:
                    raise
