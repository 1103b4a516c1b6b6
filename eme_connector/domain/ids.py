"""Ids in the order of time (uuid7, RFC 9562): an index of them grows at one end only."""

from __future__ import annotations

import secrets
from uuid import UUID

_RANDOM_BITS = 76
_VARIANT = 62


def new_id(at: float) -> str:
    """Return a new id made at *at* (seconds since 1970); 74 of its bits are random."""
    made = int(at * 1000) << 80 | 7 << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return str(UUID(int=made & ~(3 << _VARIANT) | 2 << _VARIANT))
