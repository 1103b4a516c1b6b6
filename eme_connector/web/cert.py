"""Operations of the `cert` tag (D4.7 figure 14), for what operators share with a CERT."""

from __future__ import annotations

from flask import Response, jsonify

from eme_connector.domain.rights import Right
from eme_connector.usecases import browse
from eme_connector.web import lists
from eme_connector.web.app_state import eme
from eme_connector.web.auth import current_caller
from eme_connector.web.forms import ThreatPath, ThreatQuery
from eme_connector.web.routes import Api, operation
from eme_connector.web.shapes import AggregateShape, CiList, ThreatDetail, ThreatPage

blueprint = Api("cert", "What operators share with the caller's CERT or CSIRT")


@operation(
    blueprint, "get", "/cert/cis", id="cert_cis_list", right=Right.READ, answers={200: CiList}
)
def list_cis() -> Response:
    """List the operators whose threats the caller sees, with counts by status"""
    running = eme()
    origins = browse.list_origins(
        caller=current_caller(),
        store=running.store,
        topology=running.topology,
        now=running.clock(),
    )
    return jsonify(
        cis=[
            {
                "uuid": one.organisation.uuid,
                "name": one.organisation.name,
                "sector": one.organisation.sector,
                "location": one.organisation.location,
                "total": one.total,
                "statuses": one.statuses,
            }
            for one in origins
        ]
    )


@operation(
    blueprint, "get", "/cert/threats", id="cert_threats_list", right=Right.READ,
    answers={200: ThreatPage}, query=ThreatQuery,
)  # fmt: skip
def list_threats(query: ThreatQuery) -> Response:
    """List threats that operators share with the caller"""
    return lists.page(query)


@operation(
    blueprint, "get", "/cert/threats/aggregate", id="cert_threats_aggregate_list",
    right=Right.READ, answers={200: AggregateShape},
)  # fmt: skip
def aggregate() -> Response:
    """Count threats: 24 hours, 7 days, 7 weeks, by type, status, risk and keyword"""
    return lists.aggregate()


@operation(
    blueprint, "get", "/cert/threats/<uuid:threat_id>", id="cert_threats_read",
    right=Right.READ, answers={200: ThreatDetail},
)  # fmt: skip
def read_threat(path: ThreatPath) -> Response:
    """Read one threat with its timeline"""
    return lists.one(str(path.threat_id))
