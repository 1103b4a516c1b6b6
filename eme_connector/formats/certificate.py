"""Certificates as text: fingerprints, and whether one is of the kind that peers use."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from functools import lru_cache

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
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        found = x509.load_pem_x509_certificate(certificate.encode("ascii"))
        return isinstance(found.public_key(), Ed25519PublicKey)
    except ValueError:
        return False


def same_fingerprint(typed: str, wanted: str) -> bool:
    """Say whether a person typed *wanted*; spaces, colons, dashes and case do not matter."""
    return re.sub(r"[\s:-]", "", typed).lower() == wanted
