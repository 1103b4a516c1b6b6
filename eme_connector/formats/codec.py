"""Domain objects to JSON and back, without loss: what the store keeps and what peers send.

Unknown members are ignored, so that a newer peer can say more. Foreign bytes go through
`strict_json` first.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from pydantic import TypeAdapter, ValidationError

from eme_connector.domain.threat import Detection, Threat
from eme_connector.errors import Fault, InvalidMessage

_KEPT_BYTES = 16_384
_DETECTION = TypeAdapter(Detection)
_THREAT = TypeAdapter(Threat)


def dump_threat(threat: Threat) -> bytes:
    """Return *threat* as JSON bytes."""
    return _THREAT.dump_json(threat)


def load_threat(data: bytes | str) -> Threat:
    """Return the threat in *data*.

    Raises:
        InvalidMessage: naming each place; values are not echoed.
    """
    return _load_kept(data) if len(data) <= _KEPT_BYTES else _load(data)


def _load(data: bytes | str) -> Threat:
    try:
        return _THREAT.validate_json(data)
    except ValidationError as exc:
        raise InvalidMessage(_faults(exc)) from exc


# on its way to a member the same text is read four times
_load_kept = lru_cache(maxsize=256)(_load)


def content_digest(detection: Detection) -> str:
    """Return the SHA-256 (hex) of what a detection says, wherever in a bundle it stood.

    Two equal ones are the same revision (ARCHITECTURE section 3, identity).
    """
    return hashlib.sha256(_DETECTION.dump_json(detection, exclude={"pointer"})).hexdigest()


def _faults(exc: ValidationError) -> list[Fault]:
    return [
        Fault("".join(f"/{part}" for part in error["loc"]), error["msg"])
        for error in exc.errors(include_input=False, include_url=False, include_context=False)
    ]
