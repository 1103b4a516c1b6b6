"""What the `ci` and `cert` operations share: pages, one threat, counts, wishes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import Response, jsonify

from eme_connector.domain import arrival
from eme_connector.domain.decision import Wish
from eme_connector.domain.listing import ListQuery, Order
from eme_connector.domain.risk import Band
from eme_connector.domain.threat import Kind, Status, Threat
from eme_connector.errors import Fault, InvalidInput
from eme_connector.formats import threat_json
from eme_connector.formats.fields import parse_time
from eme_connector.usecases import browse, enrich
from eme_connector.web.app_state import eme
from eme_connector.web.auth import current_caller
from eme_connector.web.forms import DecisionForm, ThreatQuery
from eme_connector.web.preconditions import with_etag


def page(query: ThreatQuery) -> Response:
    """Answer a page of threats."""
    found = browse.list_threats(_query(query), caller=current_caller(), store=eme().store)
    urls = _urls(found.threats)
    return jsonify(
        threats=[_document(one, urls.get(one.id)) for one in found.threats],
        next=found.cursor,
        walked=found.walked,
        complete=found.complete,
    )


def one(threat_id: str) -> Response:
    """Answer one threat with its timeline and deliveries."""
    running, caller = eme(), current_caller()
    found = browse.get_threat(threat_id, caller=caller, store=running.store)
    timeline, deliveries = browse.trail(found, caller=caller, store=running.store)
    document = _document(found, arrival.event_url(deliveries)) | {
        "timeline": [threat_json.record(record) for record in timeline],
        "deliveries": [threat_json.delivery(delivery) for delivery in deliveries],
        "arrivals": [threat_json.arrival(seen) for seen in arrival.arrivals(deliveries)],
        "known": threat_json.enrichment(enrich.known_of(found, caller=caller, system=running)),
    }
    return with_etag(jsonify(document), found.digest)


def shown(found: Threat) -> Response:
    """Answer a threat as it stands after a change."""
    return with_etag(jsonify(_document(found, _urls([found]).get(found.id))), found.digest)


def aggregate() -> Response:
    """Answer the counts behind the charts."""
    running = eme()
    found = browse.aggregate(caller=current_caller(), store=running.store, now=running.clock())
    return jsonify(threat_json.aggregate(found))


def wish(body: DecisionForm, digest: str) -> Wish:
    """Return what a decision form asks for."""
    until = None if body.valid_until is None else _moment(body.valid_until, "/valid_until")
    return Wish(
        status=Status(body.status),
        digest=digest,
        reason=body.reason,
        steps=None if body.steps is None else tuple(body.steps),
        valid_until=None if until is None else until.isoformat(),
    )


def _urls(threats: Sequence[Threat]) -> dict[str, str]:
    if eme().config.misp is None:
        return {}
    return browse.event_urls(threats, caller=current_caller(), store=eme().store)


def _document(found: Threat, misp_url: str | None) -> dict[str, Any]:
    whose = browse.organisation_of(found.organisation, eme().topology)
    return threat_json.threat(found, whose, misp_url)


def _query(query: ThreatQuery) -> ListQuery:
    order: Order = "rank" if query.sort == "risk" else "newest"
    return ListQuery(
        viewer="",
        order=order,
        status=Status(query.status) if query.status else None,
        kind=Kind(query.type) if query.type else None,
        organisation=str(query.organisation) if query.organisation else None,
        band=Band(query.risk) if query.risk else None,
        criticality=query.criticality,
        since=_micros(query.since, "/since"),
        until=_micros(query.until, "/until"),
        keyword=query.keyword or "",
        cursor=query.cursor or "",
        limit=query.limit,
    )


def _micros(text: str | None, pointer: str) -> int | None:
    return None if text is None else round(_moment(text, pointer).timestamp() * 1_000_000)


def _moment(text: str, pointer: str) -> datetime:
    found = parse_time(text)
    if found is None:
        raise InvalidInput([Fault(pointer, "expected a date and time as in RFC 3339")])
    return found[0]
