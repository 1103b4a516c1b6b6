"""Who will see a threat, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eme_connector.domain.arrival import Arrival
from eme_connector.domain.audience import Audience
from eme_connector.domain.sharing import Topology
from eme_connector.domain.threat import Threat


def render(
    threat: Threat, found: Audience, arrived: Iterable[Arrival], topology: Topology
) -> dict[str, Any]:
    """Return `{threat, tlp, group, viewers, left_out, warnings, in_misp}`, with names."""
    group = topology.groups.get(threat.group or "")
    return {
        "threat": threat.id,
        "tlp": str(threat.tlp),
        "group": {"uuid": group.uuid, "name": group.name} if group else None,
        "viewers": [
            _organisation(one.organisation, topology)
            | {"rules": list(one.rules), "ways": list(one.ways)}
            for one in found.viewers
        ],
        "left_out": [
            _organisation(one.organisation, topology) | {"why": one.why} for one in found.left_out
        ],
        "warnings": [
            {
                "code": one.code,
                "organisations": [_organisation(uuid, topology) for uuid in one.organisations],
            }
            for one in found.odd
        ],
        "in_misp": [
            _organisation(one.organisation, topology)
            | {
                "status": one.status,
                "reason": one.reason,
                "detail": one.detail,
                "says": one.says,
                "remedy": one.remedy,
            }
            for one in arrived
        ],
    }


def _organisation(uuid: str, topology: Topology) -> dict[str, Any]:
    known = topology.organisations.get(uuid)
    return {"organisation": uuid, "name": known.name if known else ""}
