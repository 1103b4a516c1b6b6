"""People, tokens and peers as the store keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from eme_connector.domain.rights import Right
from eme_connector.domain.risk import CriticalityOrder


@dataclass(frozen=True, slots=True)
class Account:
    """A person with a local password; `role` names a set of rights, `password_hash` is argon2."""

    id: str
    name: str
    organisation: str
    role: str
    password_hash: str
    created_at: int
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """An API token: `prefix` is public, `secret_hash` the SHA-256 (hex) of the secret part."""

    prefix: str
    secret_hash: str
    name: str
    organisation: str
    rights: frozenset[Right]
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    criticality_order: CriticalityOrder = "descending"
    orchestrator: str = ""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another sidecar that we share with, once a person has typed its fingerprint.

    `fingerprint` is the SHA-256 (hex) of the certificate's DER bytes; `certificate` is PEM.
    """

    organisation: str
    name: str
    url: str
    certificate: str
    fingerprint: str
    created_at: int
    created_by: str = ""
    revoked_at: int | None = None
