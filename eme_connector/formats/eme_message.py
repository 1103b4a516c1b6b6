"""What one sidecar tells another about a threat: JSON bytes, later signed as they are.

A message says the present state of one threat to one recipient. Members beyond ours are ignored,
so that a newer peer can say more; `version` changes when an old reader would misunderstand.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from eme_connector.domain.threat import Threat
from eme_connector.errors import Fault, InvalidMessage
from eme_connector.formats import strict_json
from eme_connector.formats.codec import dump_threat, load_threat
from eme_connector.formats.disclosure import impersonal, without_assets
from eme_connector.formats.eme_message_rules import check_threat

VERSION = 1
MAX_DEPTH = 32
PEER_SIZE = 4
"""A message may be this many times the size of the bundle it carries: twice base64 and parsed."""
_FIRST = b'{"version":1,"first":true,'
# our own rendering puts these members first, so that nobody has to parse a megabyte for them
_ID = re.compile(rb'^(\{"version":1,"first":(?:true|false),"id":")[0-9a-f-]{36}')
_RECIPIENT = re.compile(rb'^\{[^{}]{0,200}"recipient":"([0-9a-f-]{36})"')
NO_ID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Message:
    """One state of a threat, from the organisation whose it is to one member of its group.

    `id` is the sender's delivery key. `first` says that the threat was new to the group. `raw`
    are the bytes that were received, for CERT members only.
    """

    id: str
    origin: str
    recipient: str
    group: str
    sequence: int
    revision: int
    threat: Threat
    raw: bytes | None = None
    first: bool = False


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """What a receiver signs: which message it has, and what became of it."""

    message: str
    threat: str
    sequence: int
    stored: str


def render(
    threat: Threat,
    *,
    recipient: str,
    full: bool,
    raw: bytes | None = None,
    first: bool = False,
) -> bytes:
    """Return the content bytes; not *full* leaves out raw bytes and whatever names an asset.

    The id is put in when it leaves (`with_id`): it is the key of a delivery still to be made.
    """
    told = replace(impersonal(threat), recipients=(), group_sent=False)
    head = {
        "version": VERSION,
        "first": first,
        "id": NO_ID,
        "origin": threat.organisation,
        "recipient": recipient,
        "group": threat.group,
        "sequence": threat.sequence,
        "revision": threat.revision,
    }
    parts = [_dump(head)[:-1], b',"threat":', dump_threat(told if full else without_assets(told))]
    if full and raw is not None:
        parts += [b',"raw":"', base64.b64encode(raw), b'"']
    return b"".join([*parts, b"}"])


def parse(content: bytes, *, max_bytes: int, max_steps: int) -> Message:
    """Return the message in *content*, every value of it checked.

    Raises:
        Malformed, TooLarge: it is not JSON that we read.
        InvalidMessage: naming each place.
    """
    document = _object(strict_json.loads(content, max_bytes=max_bytes, max_depth=MAX_DEPTH))
    faults = list(_head_faults(document))
    if faults:
        raise InvalidMessage(faults)
    threat = _threat(document["threat"])
    message = Message(
        id=document["id"],
        origin=document["origin"],
        recipient=document["recipient"],
        group=document["group"],
        sequence=document["sequence"],
        revision=document["revision"],
        threat=threat,
        raw=_raw(document.get("raw")),
        first=document.get("first") is True,
    )
    faults = [*_differing(message), *check_threat(threat, max_steps=max_steps)]
    if faults:
        raise InvalidMessage(faults)
    return message


def is_first(content: bytes) -> bool:
    """Say whether *content*, rendered by us, tells of a threat that is new to its group."""
    return content.startswith(_FIRST)


def with_id(content: bytes, message_id: str) -> bytes:
    """Return *content*, rendered by us, under its delivery's key, which a retry has anew."""
    return _ID.sub(rb"\g<1>" + message_id.encode(), content, count=1)


def recipient_of(content: bytes) -> str:
    """Return whom *content*, rendered by us, is for."""
    found = _RECIPIENT.match(content)
    return found[1].decode() if found else ""


def render_receipt(receipt: StoredReceipt) -> bytes:
    """Return the bytes of a receipt."""
    return _dump(
        {
            "version": VERSION,
            "message": receipt.message,
            "threat": receipt.threat,
            "sequence": receipt.sequence,
            "stored": receipt.stored,
        }
    )


def parse_receipt(content: bytes) -> StoredReceipt:
    """Return the receipt in *content*.

    Raises:
        Malformed, TooLarge, InvalidMessage
    """
    document = _object(strict_json.loads(content, max_bytes=65_536, max_depth=4))
    message, threat, stored = (document.get(name) for name in ("message", "threat", "stored"))
    sequence = document.get("sequence")
    if not (_is_uuid(message) and _is_uuid(threat) and _is_count(sequence)):
        raise InvalidMessage([Fault("", "is not a receipt")])
    if stored not in ("new", "updated", "repeat"):
        raise InvalidMessage([Fault("/stored", "must be new, updated or repeat")])
    return StoredReceipt(str(message), str(threat), int(str(sequence)), str(stored))


def parse_answers(content: bytes, many: int) -> list[str | int]:
    """Return the receipt, or the status of the refusal, for each of *many* messages.

    Raises:
        Malformed, TooLarge, InvalidMessage
    """
    document = _object(strict_json.loads(content, max_depth=4))
    answers = document.get("answers")
    if not isinstance(answers, list) or len(answers) != many:
        raise InvalidMessage([Fault("/answers", f"must be a list of {many}")])
    return [_answer(one, place) for place, one in enumerate(answers)]


def _answer(one: object, place: int) -> str | int:
    status = one.get("status") if isinstance(one, dict) else None
    if isinstance(one, str):
        return one
    if isinstance(status, int) and not isinstance(status, bool) and 400 <= status < 600:
        return status
    raise InvalidMessage([Fault(f"/answers/{place}", "must be a receipt or a refusal")])


def _threat(document: dict[str, Any]) -> Threat:
    try:
        return load_threat(json.dumps(document))
    except InvalidMessage as exc:
        faults = [Fault(f"/threat{one.pointer}", one.detail) for one in exc.faults]
        raise InvalidMessage(faults) from exc


def _head_faults(document: dict[str, Any]) -> list[Fault]:
    if document.get("version") != VERSION:
        return [Fault("/version", f"must be {VERSION}")]
    faults = [
        Fault(f"/{name}", "must be a uuid")
        for name in ("id", "origin", "recipient", "group")
        if not _is_uuid(document.get(name))
    ]
    faults += [
        Fault(f"/{name}", "must be a whole number from 1")
        for name in ("sequence", "revision")
        if not _is_count(document.get(name))
    ]
    if not isinstance(document.get("threat"), dict):
        faults.append(Fault("/threat", "must be an object"))
    return faults


def _differing(message: Message) -> list[Fault]:
    threat = message.threat
    pairs = {
        "group": (message.group, threat.group),
        "sequence": (message.sequence, threat.sequence),
        "revision": (message.revision, threat.revision),
    }
    return [
        Fault(f"/threat/{name}", f"differs from /{name}")
        for name, (outside, inside) in pairs.items()
        if outside != inside
    ]


def _raw(text: object) -> bytes | None:
    if text is None:
        return None
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidMessage([Fault("/raw", "must be base64")]) from exc


def _object(document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise InvalidMessage([Fault("", "must be an object")])
    return document


def _is_uuid(value: object) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**53


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
