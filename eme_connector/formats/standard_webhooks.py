"""Standard Webhooks: sign what we post, verify what is posted to us (HMAC-SHA-256).

What is signed is `id.timestamp.body`, so that neither another body nor a later moment passes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from eme_connector.errors import NotAuthenticated

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"
TOLERANCE_S = 300
LEAST_SECRET = 24
_PREFIX = "whsec_"
_MOST_SIGNATURES = 10


def secrets(text: str) -> tuple[bytes, ...]:
    """Return the keys in *text*: `whsec_` and base64; several, while one is being replaced.

    Raises:
        ValueError: not in that form, or under 24 bytes; the secret is not repeated.
    """
    found = tuple(_key(word) for word in text.split())
    if not found:
        raise ValueError("a secret is needed: `whsec_` and base64 of at least 24 bytes")
    return found


def sign(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature header: one `v1,…` for each key."""
    signed = _signed(message_id, str(timestamp), body)
    return " ".join(f"v1,{_mac(key, signed)}" for key in keys)


def headers(keys: Sequence[bytes], message_id: str, now: float, body: bytes) -> dict[str, str]:
    """Return the three headers of a message sent *now*."""
    timestamp = int(now)
    return {
        ID: message_id,
        TIMESTAMP: str(timestamp),
        SIGNATURE: sign(keys, message_id, timestamp, body),
    }


def verify(keys: Sequence[bytes], got: Mapping[str, str], body: bytes, *, now: float) -> str:
    """Return the id of a message whose signature holds; *got* are its headers in lower case.

    Raises:
        NotAuthenticated: a header is missing, no signature fits, or it is too old or too new.
    """
    try:
        message_id, timestamp = got[ID], got[TIMESTAMP]
        candidates = got[SIGNATURE].split()[:_MOST_SIGNATURES]
        sent_at = int(timestamp)
    except (KeyError, ValueError) as exc:
        raise NotAuthenticated("the Standard Webhooks headers are missing or broken") from exc
    if abs(now - sent_at) > TOLERANCE_S:
        raise NotAuthenticated("the webhook's timestamp is more than 5 minutes off")
    signed = _signed(message_id, timestamp, body)
    wanted = [f"v1,{_mac(key, signed)}".encode() for key in keys]
    # no early end: the time taken must not tell which key or signature came close
    fits = [hmac.compare_digest(one, other.encode()) for one in wanted for other in candidates]
    if not any(fits):
        raise NotAuthenticated("the webhook's signature does not hold")
    return message_id


def _key(word: str) -> bytes:
    try:
        key = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ValueError("a secret must be `whsec_` and base64") from exc
    if not word.startswith(_PREFIX) or len(key) < LEAST_SECRET:
        raise ValueError("a secret must be `whsec_` and base64 of at least 24 bytes")
    return key


def _signed(message_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode() + body


def _mac(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
