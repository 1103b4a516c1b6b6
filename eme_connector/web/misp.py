"""Operations of the `misp` tag: answers to threats of others, and a hint that something came."""

from __future__ import annotations

from flask import Response, jsonify

from eme_connector.domain.feedback import Word
from eme_connector.domain.rights import Right
from eme_connector.web import lists
from eme_connector.web.app_state import eme
from eme_connector.web.auth import current_caller
from eme_connector.web.forms import FeedbackForm, ThreatPath
from eme_connector.web.misp_shapes import HintShape
from eme_connector.web.routes import Api, operation
from eme_connector.web.shapes import ThreatShape

blueprint = Api("misp", "What travels by MISP besides threats")


@operation(
    blueprint, "post", "/cert/threats/<uuid:threat_id>/feedback", id="cert_threats_feedback",
    right=Right.SHARE, answers={200: ThreatShape},
)  # fmt: skip
def give_feedback(path: ThreatPath, body: FeedbackForm) -> Response:
    """Say that a threat of others is handled or a false positive, or comment on it"""
    from eme_connector.usecases import feedback  # all that reads events stays out without MISP

    found = feedback.give(
        str(path.threat_id),
        Word(body.word),
        body.text,
        caller=current_caller(),
        system=eme(),
    )
    return lists.shown(found)


@operation(
    blueprint, "post", "/misp/hint", id="misp_hint", right=Right.SYNC, answers={200: HintShape}
)
def hint() -> Response:
    """Ask our MISP now; for a MISP workflow's webhook, whose body is not even read"""
    from eme_connector.usecases import misp_poll

    misp_poll.hint(caller=current_caller(), system=eme())
    return jsonify(asked=True)
