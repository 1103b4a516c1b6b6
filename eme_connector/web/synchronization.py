"""Operations of the `synchronization` tag: signed messages of peers (C2)."""

from __future__ import annotations

from flask import Response, jsonify
from flask_openapi3.models import RawModel

from eme_connector.usecases import share
from eme_connector.web.app_state import eme
from eme_connector.web.bodies import JOSE_TYPES, read
from eme_connector.web.routes import SIGNED, Api, operation
from eme_connector.web.shapes import AnswerList

blueprint = Api("synchronization", "Sidecar to sidecar: signed messages, idempotent, in order")
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


@operation(
    blueprint, "post", "/synchronization/eme/threats", id="synchronization_eme_threats_create",
    right=SIGNED, answers={200: AnswerList}, raw="message",
)  # fmt: skip
def create_many(raw: JwsBody) -> Response:
    """Take up to 256 messages of peers, a line each; the answers are receipts or refusals"""
    lines = _body().split("\n")
    found = share.receive_messages(lines, system=eme())
    return jsonify(
        answers=[one if isinstance(one, str) else {"status": one.status} for one in found]
    )


def _body() -> str:
    data = read(share.max_bytes(eme().config), JOSE_TYPES)
    return data.decode("ascii", "replace").strip("\n")


def _take() -> Response:
    receipt = share.receive_message(_body(), system=eme())
    return Response(receipt, mimetype="application/jose")
