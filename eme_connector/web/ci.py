"""Operations of the `ci` tag (D4.7 figure 14), for the operator's own threats."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask_openapi3.models import RawModel

from eme_connector.bootstrap import Eme
from eme_connector.domain.arrival import arrivals
from eme_connector.domain.rights import Right
from eme_connector.domain.threat import Tlp
from eme_connector.errors import NotAllowed
from eme_connector.formats import audience_json, stix_bundle, threat_json
from eme_connector.usecases import browse, decide, preview, receive, results
from eme_connector.usecases.receive import Received, Rules
from eme_connector.web import lists
from eme_connector.web.app_state import eme, metrics
from eme_connector.web.auth import current_caller
from eme_connector.web.bodies import JSON_TYPES, read, read_json
from eme_connector.web.forms import (
    DecisionForm,
    DecisionPatch,
    PreviewQuery,
    ResolutionForm,
    SharingForm,
    ThreatPath,
    ThreatQuery,
)
from eme_connector.web.preconditions import if_match, with_etag
from eme_connector.web.routes import Api, operation
from eme_connector.web.shapes import (
    AcceptedList,
    AggregateShape,
    AudienceShape,
    PlaybookShape,
    ThreatDetail,
    ThreatPage,
    ThreatShape,
)

blueprint = Api("ci", "The operator's own threats")


class JsonBody(RawModel):
    """A JSON document of somebody else."""

    mimetypes: list[str] = list(JSON_TYPES)  # noqa: RUF012 - the library reads it so


@operation(
    blueprint, "post", "/ci/threats", id="ci_threats_create", right=Right.INGEST,
    answers={200: AcceptedList, 201: AcceptedList}, raw="bundle",
)  # fmt: skip
def create_threats(raw: JsonBody) -> tuple[Response, int]:
    """Receive an IRIS bundle; the same one twice is one threat (A1, A2)"""
    running = eme()
    document, data = read_json(running.config.limits.body_bytes)
    return _accepted(
        receive.receive_bundle(
            document,
            data,
            caller=current_caller(),
            rules=_rules(running),
            store=running.store,
            now=running.clock(),
        )
    )


@operation(
    blueprint, "post", "/ci/threats/event", id="ci_threats_event_create", right=Right.INGEST,
    answers={200: AcceptedList, 201: AcceptedList}, raw="event",
)  # fmt: skip
def create_event(raw: JsonBody) -> tuple[Response, int]:
    """Receive one event of any detector, without a playbook (A3)"""
    running = eme()
    document, data = read_json(running.config.limits.body_bytes)
    return _accepted(
        receive.receive_event(
            document,
            data,
            caller=current_caller(),
            rules=_rules(running),
            store=running.store,
            now=running.clock(),
        )
    )


@operation(
    blueprint, "get", "/ci/threats", id="ci_threats_list", right=Right.READ,
    answers={200: ThreatPage}, query=ThreatQuery,
)  # fmt: skip
def list_threats(query: ThreatQuery) -> Response:
    """List threats that the caller may see, newest first or by risk"""
    return lists.page(query)


@operation(
    blueprint, "get", "/ci/threats/aggregate", id="ci_threats_aggregate_list",
    right=Right.READ, answers={200: AggregateShape},
)  # fmt: skip
def aggregate() -> Response:
    """Count threats: 24 hours, 7 days, 7 weeks, by type, status, risk and keyword"""
    return lists.aggregate()


@operation(
    blueprint, "get", "/ci/threats/<uuid:threat_id>", id="ci_threats_read", right=Right.READ,
    answers={200: ThreatDetail},
)  # fmt: skip
def read_threat(path: ThreatPath) -> Response:
    """Read one threat with its timeline"""
    return lists.one(str(path.threat_id))


@operation(
    blueprint, "get", "/ci/threats/<uuid:threat_id>/playbook", id="ci_threats_playbook_read",
    right=Right.READ, answers={200: PlaybookShape},
)  # fmt: skip
def read_playbook(path: ThreatPath) -> Response:
    """Read the proposed response; its ETag is what a decision has to name"""
    found = browse.get_threat(str(path.threat_id), caller=current_caller(), store=eme().store)
    return with_etag(jsonify(threat_json.playbook(found)), found.digest)


@operation(
    blueprint, "put", "/ci/threats/<uuid:threat_id>/playbook", id="ci_threats_playbook_update",
    right=Right.DECIDE, answers={200: PlaybookShape}, conditional=True,
)  # fmt: skip
def decide_playbook(path: ThreatPath, body: DecisionForm) -> Response:
    """Approve or decline, as a person, the whole playbook or single steps (B3)"""
    return _decide(path, body)


@operation(
    blueprint, "patch", "/ci/threats/<uuid:threat_id>/playbook",
    id="ci_threats_playbook_partial_update", right=Right.DECIDE, answers={200: PlaybookShape},
    conditional=True,
)  # fmt: skip
def decide_playbook_partly(path: ThreatPath, body: DecisionPatch) -> Response:
    """Approve or decline, as a person, the whole playbook or single steps (B3)"""
    return _decide(path, body)


@operation(
    blueprint, "post", "/ci/threats/<uuid:threat_id>/playbook/results",
    id="ci_threats_playbook_results", right=Right.RESULT, answers={200: PlaybookShape},
    raw="result",
)  # fmt: skip
def take_results(path: ThreatPath, raw: JsonBody) -> Response:
    """Take an orchestrator's signed evidence about a playbook that it was sent (B5)"""
    running = eme()
    body = read(running.config.limits.body_bytes, JSON_TYPES)
    found = results.record_results(
        str(path.threat_id), body, dict(request.headers), caller=current_caller(), system=running
    )
    return with_etag(jsonify(threat_json.playbook(found)), found.digest)


@operation(
    blueprint, "put", "/ci/threats/<uuid:threat_id>/sharing", id="ci_threats_sharing_update",
    right=Right.SHARE, answers={200: ThreatShape},
)  # fmt: skip
def set_sharing(path: ThreatPath, body: SharingForm) -> Response:
    """Choose the sharing group and the named recipients"""
    running = eme()
    found = decide.set_sharing(
        str(path.threat_id),
        body.group,
        None if body.recipients is None else tuple(body.recipients),
        caller=current_caller(),
        topology=running.topology,
        store=running.store,
        now=running.clock(),
    )
    return lists.shown(found)


@operation(
    blueprint, "get", "/ci/threats/<uuid:threat_id>/viewers", id="ci_threats_viewers_read",
    right=Right.READ, answers={200: AudienceShape}, query=PreviewQuery,
)  # fmt: skip
def read_viewers(path: ThreatPath, query: PreviewQuery) -> Response:
    """Say who will see the threat, or would with another group or other recipients (C5)"""
    running = eme()
    named = None if query.recipient is None else tuple(str(one) for one in query.recipient)
    wished, found = preview.preview(
        str(path.threat_id),
        None if query.group is None else str(query.group),
        named,
        caller=current_caller(),
        topology=running.topology,
        store=running.store,
    )
    arrived = arrivals(running.store.deliveries_of(wished.id))
    return jsonify(audience_json.render(wished, found, arrived, running.topology))


@operation(
    blueprint, "post", "/ci/threats/<uuid:threat_id>/resolution", id="ci_threats_resolve",
    right=Right.DECIDE, answers={200: ThreatShape},
)  # fmt: skip
def resolve(path: ThreatPath, body: ResolutionForm) -> Response:
    """Close a threat as a person, with a reason"""
    running = eme()
    found = decide.close(
        str(path.threat_id),
        body.reason,
        caller=current_caller(),
        store=running.store,
        now=running.clock(),
    )
    return lists.shown(found)


@operation(
    blueprint, "get", "/ci/threats/<uuid:threat_id>/stix", id="ci_threats_stix",
    right=Right.READ, answers={200: {"content": {"application/stix+json": {"schema": {}}}}},
)  # fmt: skip
def read_stix(path: ThreatPath) -> Response:
    """Read the threat as a STIX 2.1 bundle with the IRIS extension"""
    running = eme()
    found = browse.get_threat(str(path.threat_id), caller=current_caller(), store=running.store)
    owner = browse.organisation_of(found.organisation, running.topology)
    document = stix_bundle.render(found, owner.name, base_url=running.config.public_url)
    response = jsonify(document)
    response.mimetype = "application/stix+json"
    return response


@operation(
    blueprint, "get", "/ci/threats/<uuid:threat_id>/raw", id="ci_threats_raw",
    right=Right.READ, answers={200: {"content": {"application/json": {"schema": {}}}}},
)  # fmt: skip
def read_raw(path: ThreatPath) -> Response:
    """Read the newest revision exactly as it came"""
    data = browse.get_raw(str(path.threat_id), caller=current_caller(), store=eme().store)
    return Response(data, mimetype="application/json")


def _decide(path: ThreatPath, body: DecisionForm) -> Response:
    running = eme()
    wish = lists.wish(body, if_match())
    found = decide.decide(
        str(path.threat_id),
        wish,
        caller=current_caller(),
        lanes=running.orchestrator_lane,
        store=running.store,
        now=running.clock(),
    )
    metrics().decisions.labels(body.status).inc()
    return with_etag(jsonify(threat_json.playbook(found)), found.digest)


def _rules(running: Eme) -> Rules:
    caller = current_caller()
    organisation = running.topology.organisations.get(caller.organisation)
    if organisation is None:
        raise NotAllowed("this token's organisation is not configured here any more")
    return Rules(
        organisation=organisation,
        lanes=running.orchestrator_lane,
        default_tlp=Tlp(running.config.sharing.default_tlp),
        step_order=running.config.response.step_order,
        max_steps=running.config.limits.steps,
    )


def _accepted(received: list[Received]) -> tuple[Response, int]:
    shown: list[dict[str, Any]] = [
        {"id": one.threat.id, "status": str(one.threat.status), "pointer": one.pointer}
        for one in received
    ]
    for one in received:
        if one.new:
            decided = "policy" if one.threat.decision.by_policy else "waits"
            metrics().threats.labels(str(one.threat.detection.kind), decided).inc()
    return jsonify(threats=shown), 201 if any(one.new for one in received) else 200
