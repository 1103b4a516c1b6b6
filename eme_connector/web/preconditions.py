"""ETag and If-Match (RFC 9110 section 13): a change names what its caller has read."""

from __future__ import annotations

from flask import Response, request

from eme_connector.errors import Fault, InvalidInput, PreconditionRequired


def with_etag(response: Response, tag: str) -> Response:
    """Return *response* with a strong ETag."""
    response.set_etag(tag)
    return response


def if_match() -> str:
    """Return the one tag that If-Match names.

    Raises:
        PreconditionRequired: it is missing.
        InvalidInput: it names none, several or any.
    """
    header = request.headers.get("If-Match", "").strip()
    if not header:
        raise PreconditionRequired("send If-Match with the ETag of what you have read")
    tags = request.if_match.as_set()
    if request.if_match.star_tag or len(tags) != 1:
        raise InvalidInput([Fault("", "If-Match must name exactly one strong ETag")])
    tag: str = tags.pop()
    return tag


def is_creation() -> bool:
    """Say whether If-None-Match: * asks to make something that is not there yet."""
    return bool(request.if_none_match.star_tag)
