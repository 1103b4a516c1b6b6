"""Certificates as text: fingerprints, and whether one is of the kind that peers use."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Holder:
    """Who a certificate says holds its key, and from when to when (seconds since 1970)."""

    name: str
    not_before: float
    not_after: float


_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----\s*")


def find_certificate(text: str) -> str | None:
    """Return the first PEM certificate in *text*, or None."""
    found = _PEM.search(text)
    return found[0].strip() + "\n" if found else None


@lru_cache(maxsize=1024)
def fingerprint(certificate: str) -> str:
    """Return the SHA-256 (hex) of the DER bytes of a PEM certificate.

    Raises:
        ValueError: it is not exactly one PEM certificate.
    """
    found = _PEM.fullmatch(certificate.strip())
    if found is None:
        raise ValueError("is not exactly one PEM certificate")
    try:
        der = base64.b64decode("".join(found[1].split()), validate=True)
    except binascii.Error as exc:
        raise ValueError("is not a PEM certificate") from exc
    return hashlib.sha256(der).hexdigest()


def is_for_signing(certificate: str) -> bool:
    """Say whether *certificate* is an X.509 certificate of an Ed25519 key."""
    return _find_signing(certificate) is not None


@lru_cache(maxsize=1024)
def holder(certificate: str) -> Holder | None:
    """Return whom a self-signed Ed25519 *certificate* names as its holder.

    None for any other certificate, and for one whose signature of itself does not hold: whoever
    shows a stranger's certificate as their own cannot make one that names them.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    found = _find_signing(certificate)
    if found is None:
        return None
    try:
        found.verify_directly_issued_by(found)
        names = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    except (ValueError, TypeError, InvalidSignature):
        return None
    return Holder(
        str(names[0].value).lower() if len(names) == 1 else "",
        found.not_valid_before_utc.timestamp(),
        found.not_valid_after_utc.timestamp(),
    )


def _find_signing(certificate: str) -> Any:
    """Return *certificate* where it is one of an Ed25519 key, else None."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        found = x509.load_pem_x509_certificate(certificate.encode("ascii"))
        return found if isinstance(found.public_key(), Ed25519PublicKey) else None
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None


def same_fingerprint(typed: str, wanted: str) -> bool:
    """Say whether a person typed *wanted*; spaces, colons, dashes and case do not matter."""
    return re.sub(r"[\s:-]", "", typed).lower() == wanted
