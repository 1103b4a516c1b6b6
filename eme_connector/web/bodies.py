"""Read bodies that others wrote: bounded, inflated within bounds, strictly parsed."""

from __future__ import annotations

from typing import Any

from flask import request

from eme_connector.errors import Malformed, TooLarge, UnsupportedMedia
from eme_connector.formats import strict_json
from eme_connector.web import memory

JSON_TYPES = ("application/json", "application/stix+json", "application/taxii+json")
JOSE_TYPES = ("application/jose",)
TYPES = (*JSON_TYPES, *JOSE_TYPES)


def read(limit: int, types: tuple[str, ...]) -> bytes:
    """Return the request's body, inflated, of one of the media *types*.

    Raises:
        TooLarge: before the body is read where it says its length.
        UnsupportedMedia, Malformed
    """
    if request.mimetype not in types:
        raise UnsupportedMedia(f"send one of: {', '.join(types)}")
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip"):
        raise UnsupportedMedia("send it as it is, or with Content-Encoding: gzip")
    data = _read(limit)
    if coding == "gzip":
        data = strict_json.gunzip(data, max_bytes=limit)
    memory.take_turn(len(data))
    return data


def read_json(limit: int) -> tuple[Any, bytes]:
    """Return (the JSON document, its bytes) of the request.

    Raises:
        TooLarge, UnsupportedMedia, Malformed
    """
    data = read(limit, JSON_TYPES)
    return strict_json.loads(data, max_bytes=limit), data


def _read(limit: int) -> bytes:
    said = request.content_length
    if said is not None and said > limit:
        raise TooLarge(f"more than {limit} bytes")
    try:
        data = request.stream.read(1 + (limit if said is None else said))
    except OSError as exc:
        raise Malformed("the body ended too early") from exc
    if len(data) > limit:
        raise TooLarge(f"more than {limit} bytes")
    return data
