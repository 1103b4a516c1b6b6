"""Operations of the `synchronization` tag: signed messages of peers (C2)."""

from __future__ import annotations

from flask import Response
from flask_openapi3.models import RawModel

from eme_connector.usecases import share
from eme_connector.web.app_state import eme
from eme_connector.web.bodies import JOSE_TYPES, read
from eme_connector.web.routes import SIGNED, api, operation

blueprint = api("synchronization", "Sidecar to sidecar: signed messages, idempotent, in order")
_RECEIPT = {"content": {"application/jose": {"schema": {"type": "string"}}}}


class JwsBody(RawModel):
    """A compact JWS over the message's exact bytes."""

    mimetypes: list[str] = list(JOSE_TYPES)  # noqa: RUF012 - the library reads it so


@operation(
    blueprint, "post", "/synchronization/eme/threat", id="synchronization_eme_threat_create",
    right=SIGNED, answers={200: dict(_RECEIPT)}, raw="message",
)  # fmt: skip
def create(raw: JwsBody) -> Response:
    """Take a peer's new threat; the answer is our signed receipt"""
    return _take()


@operation(
    blueprint, "patch", "/synchronization/eme/threat",
    id="synchronization_eme_threat_partial_update", right=SIGNED,
    answers={200: dict(_RECEIPT)}, raw="message",
)  # fmt: skip
def update(raw: JwsBody) -> Response:
    """Take the present state of a peer's threat; the answer is our signed receipt"""
    return _take()


def _take() -> Response:
    running = eme()
    data = read(share.max_bytes(running.config), JOSE_TYPES)
    receipt = share.receive_message(data.decode("ascii", "replace"), system=running)
    return Response(receipt, mimetype="application/jose")
