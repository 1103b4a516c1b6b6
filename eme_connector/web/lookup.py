"""Look-ups by value, for MISP modules and other tools that hold an indicator (D2)."""

from __future__ import annotations

from typing import Annotated

from flask import Response, jsonify
from pydantic import Field, StringConstraints

from eme_connector.domain.rights import Right
from eme_connector.formats import threat_json
from eme_connector.usecases import browse
from eme_connector.usecases.look_up import MAX_VALUES, Match, look_up
from eme_connector.web.app_state import eme
from eme_connector.web.auth import current_caller
from eme_connector.web.routes import Api, Query, Shape, operation
from eme_connector.web.shapes import OrganisationShape, PlaybookPart, ThreatShape

blueprint = Api("lookup", "Threats by a value that they name")


class LookUpQuery(Query):
    """What to look for."""

    value: list[Annotated[str, StringConstraints(min_length=3, max_length=300)]] = Field(
        min_length=1,
        max_length=MAX_VALUES,
        description="An id, CVE, address, device, technique or name; repeat it for several.",
    )


class LookUpThreat(ThreatShape):
    """A threat that names a value, with the response proposed against it."""

    matched: list[str] = Field(description="Where a value stands, such as `address`.")
    playbooks: list[PlaybookPart]
    url: str = Field(description="Its page.")


class LookUpPage(Shape):
    """Threats that the caller may see, newest first."""

    organisation: OrganisationShape = Field(description="For whom the caller looks.")
    threats: list[LookUpThreat]
    complete: bool = Field(description="False: there are, or may be, others.")


@operation(
    blueprint, "get", "/lookup", id="lookup_list", right=Right.READ,
    answers={200: LookUpPage}, query=LookUpQuery,
)  # fmt: skip
def list_matches(query: LookUpQuery) -> Response:
    """Find the newest threats that name a value, of those that the caller may see"""
    running, caller = eme(), current_caller()
    found = look_up(query.value, caller=caller, store=running.store)
    own = browse.organisation_of(caller.organisation, running.topology)
    return jsonify(
        organisation=threat_json.organisation_document(own),
        threats=[_document(one) for one in found.matches],
        complete=found.complete,
    )


def _document(match: Match) -> dict[str, object]:
    running, found = eme(), match.threat
    owner = browse.organisation_of(found.organisation, running.topology)
    return threat_json.threat(found, owner) | {
        "matched": list(match.where),
        "playbooks": threat_json.playbook(found)["playbooks"],
        "url": f"{running.config.public_url}/threats/{found.id}",
    }
