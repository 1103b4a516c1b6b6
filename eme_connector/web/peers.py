"""Handshakes with other sidecars, carried by Cerebrates (C6)."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify
from flask_openapi3.models import RawModel
from pydantic import BaseModel, Field

from eme_connector.domain.handshake import Handshake
from eme_connector.domain.rights import Right
from eme_connector.formats.handshake import MAX_TEXT
from eme_connector.formats.threat_json import time_text
from eme_connector.usecases import enrol
from eme_connector.usecases.system import micros
from eme_connector.web.app_state import eme
from eme_connector.web.auth import current_caller
from eme_connector.web.bodies import JOSE_TYPES, read
from eme_connector.web.routes import SIGNED, Api, Form, Shape, example, operation

blueprint = Api("peers", "Becoming peers: offer, answer, confirmation")
_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_EXAMPLE = "7d1a0c52-3c1e-4a6b-9a2f-0c5e8d7b6a10"
_RECEIPT = {"content": {"application/jose": {"schema": {"type": "string"}}}}


class CodePath(BaseModel):
    """A handshake's code in the path."""

    code: str = Field(pattern="^[A-Z2-7]{26}$", description="Code of the handshake.")


class OfferForm(Form):
    """Whom to offer to."""

    organisation: str = Field(pattern=_UUID, description="Organisation behind the brood.")
    model_config = example({"organisation": _EXAMPLE})


class AcceptForm(OfferForm):
    """An offer that came from another Cerebrate, and whose Cerebrate that is."""

    offer: str = Field(min_length=1, max_length=MAX_TEXT, description="Signed text, as it came.")
    model_config = example({"organisation": _EXAMPLE, "offer": "e30.e30.e30"})


class FinaliseForm(OfferForm):
    """An answer that came from another Cerebrate, and whose Cerebrate that is."""

    answer: str = Field(min_length=1, max_length=MAX_TEXT, description="Signed text, as it came.")
    model_config = example({"organisation": _EXAMPLE, "answer": "e30.e30.e30"})


class HandshakeShape(Shape):
    """A handshake, without its signed texts."""

    code: str
    role: str = Field(description="ours or theirs: who offered.")
    organisation: str
    name: str
    url: str
    fingerprint: str = Field(description="Of the other side's certificate; empty: not seen yet.")
    state: str = Field(description="open, bound, finalised, cancelled or expired.")
    created_at: str
    created_by: str
    expires_at: str


class HandshakeList(Shape):
    """Handshakes, the newest first."""

    handshakes: list[HandshakeShape]


class OfferedHandshake(HandshakeShape):
    """A new handshake; `offer` is to be carried to the other Cerebrate."""

    offer: str


class AnsweredHandshake(HandshakeShape):
    """An answered handshake; `answer` is to be carried back."""

    answer: str


class PeerShape(Shape):
    """A sidecar that is trusted now."""

    organisation: str
    name: str
    url: str
    fingerprint: str


class JwsBody(RawModel):
    """A compact JWS."""

    mimetypes: list[str] = list(JOSE_TYPES)  # noqa: RUF012 - the library reads it so


@operation(
    blueprint, "get", "/peers/handshakes", id="peers_handshakes_list", right=Right.ENROL,
    answers={200: HandshakeList},
)  # fmt: skip
def list_handshakes() -> Response:
    """List handshakes and how they stand, the newest first"""
    found = enrol.list_handshakes(caller=current_caller(), system=eme())
    return jsonify(handshakes=[_shown(one) for one in found])


@operation(
    blueprint, "post", "/peers/handshakes", id="peers_handshakes_create", right=Right.ENROL,
    answers={201: OfferedHandshake},
)  # fmt: skip
def offer(body: OfferForm) -> tuple[Response, int]:
    """Offer a handshake to an organisation: first step"""
    found = enrol.offer(body.organisation, caller=current_caller(), system=eme())
    return jsonify(**_shown(found), offer=found.offer), 201


@operation(
    blueprint, "post", "/peers/handshakes/accept", id="peers_handshakes_accept",
    right=Right.ENROL, answers={200: AnsweredHandshake},
)  # fmt: skip
def accept(body: AcceptForm) -> Response:
    """Answer another sidecar's offer: second step"""
    found = enrol.accept(body.offer, body.organisation, caller=current_caller(), system=eme())
    return jsonify(**_shown(found), answer=found.answer)


@operation(
    blueprint, "post", "/peers/handshakes/finalise", id="peers_handshakes_finalise",
    right=Right.ENROL, answers={200: PeerShape},
)  # fmt: skip
def finalise(body: FinaliseForm) -> Response:
    """Take the answer, confirm it to the other sidecar, trust it: third step"""
    peer = enrol.finalise(body.answer, body.organisation, caller=current_caller(), system=eme())
    names = ("organisation", "name", "url", "fingerprint")
    return jsonify({name: getattr(peer, name) for name in names})


@operation(
    blueprint, "post", "/peers/handshakes/confirmation", id="peers_handshakes_confirm",
    right=SIGNED, answers={200: dict(_RECEIPT)}, raw="message",
)  # fmt: skip
def confirm(raw: JwsBody) -> Response:
    """Take the signed confirmation of an answer of ours; the answer is our signed receipt"""
    text = read(MAX_TEXT, JOSE_TYPES).decode("ascii", "replace").strip()
    return Response(enrol.confirm(text, system=eme()), mimetype="application/jose")


@operation(
    blueprint, "delete", "/peers/handshakes/<string:code>", id="peers_handshakes_cancel",
    right=Right.ENROL, answers={200: HandshakeShape},
)  # fmt: skip
def cancel(path: CodePath) -> Response:
    """End a handshake that is not finalised"""
    return jsonify(_shown(enrol.cancel(path.code, caller=current_caller(), system=eme())))


def _shown(found: Handshake) -> dict[str, Any]:
    names = ("code", "role", "organisation", "name", "url", "fingerprint")
    return {name: getattr(found, name) for name in names} | {
        "state": found.state(micros(eme().clock())),
        "created_at": time_text(found.created_at),
        "created_by": found.created_by,
        "expires_at": time_text(found.expires_at),
    }
