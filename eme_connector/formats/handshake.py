"""The signed texts of a handshake: compact JWS over JSON, each naming the one before it.

A text brings the certificate that proves it; `read` only looks at it, so whoever calls has to
verify the signature against that certificate before believing anything.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from eme_connector.errors import Fault, InvalidMessage, Malformed
from eme_connector.formats import strict_json

VERSION = 1
MAX_TEXT = 16_384
Step = Literal["offer", "answer", "confirmation", "receipt"]
_CODE = re.compile(r"[A-Z2-7]{26}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SENDER = ("organisation", "name", "url", "certificate")


@dataclass(frozen=True, slots=True)
class Offer:
    """We would be your peer: `to` is an organisation, `expires_at` in seconds since 1970."""

    code: str
    to: str
    expires_at: int
    sender: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """So would we: over the offer's digest, between these two keys (fingerprints)."""

    code: str
    to: str
    offer: str
    keys: tuple[str, str]
    nonce: str
    sender: dict[str, str]


@dataclass(frozen=True, slots=True)
class Link:
    """A confirmation, over the answer's digest; or its receipt, over the confirmation's."""

    code: str
    of: str


def digest(text: str) -> str:
    """Return the SHA-256 (hex) of a signed text."""
    return hashlib.sha256(text.encode()).hexdigest()


def render_offer(offer: Offer) -> bytes:
    """Return the bytes to sign."""
    return _dump("offer", code=offer.code, to=offer.to, expires_at=offer.expires_at,
                 sender=offer.sender)  # fmt: skip


def render_answer(answer: Answer) -> bytes:
    """Return the bytes to sign."""
    return _dump("answer", code=answer.code, to=answer.to, offer=answer.offer,
                 keys=list(answer.keys), nonce=answer.nonce, sender=answer.sender)  # fmt: skip


def render_link(step: Literal["confirmation", "receipt"], link: Link) -> bytes:
    """Return the bytes to sign."""
    return _dump(step, code=link.code, of=link.of)


def payload(text: str) -> bytes:
    """Return what a compact JWS says, **unverified**.

    Raises:
        Malformed
    """
    parts = text.split(".")
    if len(text) > MAX_TEXT or len(parts) != 3:
        raise Malformed("this is not a text of a handshake")
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise Malformed("this is not a text of a handshake") from exc


def parse_offer(content: bytes) -> Offer:
    """Return the offer in *content*.

    Raises:
        Malformed, TooLarge, InvalidMessage
    """
    document = _document(content, "offer")
    faults = [*_code(document), *_uuid(document, "to"), *_sender(document)]
    expires_at = document.get("expires_at")
    if type(expires_at) is not int or not 0 <= expires_at < 2**40:
        faults.append(Fault("/expires_at", "must be seconds since 1970"))
    _refuse(faults)
    return Offer(document["code"], document["to"], document["expires_at"], _told(document))


def parse_answer(content: bytes) -> Answer:
    """Return the answer in *content*.

    Raises:
        Malformed, TooLarge, InvalidMessage
    """
    document = _document(content, "answer")
    faults = [*_code(document), *_uuid(document, "to"), *_digests(document, "offer")]
    keys = document.get("keys")
    if not (isinstance(keys, list) and len(keys) == 2 and all(map(_is_digest, keys))):
        faults.append(Fault("/keys", "must be two fingerprints"))
    if not isinstance(document.get("nonce"), str):
        faults.append(Fault("/nonce", "must be text"))
    _refuse([*faults, *_sender(document)])
    return Answer(
        code=document["code"],
        to=document["to"],
        offer=document["offer"],
        keys=(document["keys"][0], document["keys"][1]),
        nonce=document["nonce"],
        sender=_told(document),
    )


def parse_link(content: bytes, step: Literal["confirmation", "receipt"]) -> Link:
    """Return the confirmation or receipt in *content*.

    Raises:
        Malformed, TooLarge, InvalidMessage
    """
    document = _document(content, step)
    _refuse([*_code(document), *_digests(document, "of")])
    return Link(document["code"], document["of"])


def _document(content: bytes, step: Step) -> dict[str, Any]:
    found: Any = strict_json.loads(content, max_bytes=MAX_TEXT, max_depth=4)
    if not isinstance(found, dict):
        raise InvalidMessage([Fault("", "must be an object")])
    if found.get("handshake") != step:
        raise InvalidMessage([Fault("/handshake", f"must be {step}")])
    if found.get("version") != VERSION:
        raise InvalidMessage([Fault("/version", f"must be {VERSION}")])
    return found


def _code(document: dict[str, Any]) -> list[Fault]:
    code = document.get("code")
    fits = isinstance(code, str) and _CODE.fullmatch(code)
    return [] if fits else [Fault("/code", "must be 26 of A-Z and 2-7")]


def _uuid(document: dict[str, Any], name: str) -> list[Fault]:
    value = document.get(name)
    try:
        if isinstance(value, str) and str(UUID(value)) == value:
            return []
    except ValueError:
        pass
    return [Fault(f"/{name}", "must be a uuid")]


def _digests(document: dict[str, Any], name: str) -> list[Fault]:
    return [] if _is_digest(document.get(name)) else [Fault(f"/{name}", "must be a SHA-256 (hex)")]


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _sender(document: dict[str, Any]) -> list[Fault]:
    sender = document.get("sender")
    if not isinstance(sender, dict):
        return [Fault("/sender", "must be an object")]
    return [
        Fault(f"/sender/{name}", "must be text")
        for name in _SENDER
        if not isinstance(sender.get(name), str) or not sender[name]
    ]


def _told(document: dict[str, Any]) -> dict[str, str]:
    return {name: document["sender"][name] for name in _SENDER}


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise InvalidMessage(faults)


def _dump(step: Step, **members: object) -> bytes:
    document = {"handshake": step, "version": VERSION, **members}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
