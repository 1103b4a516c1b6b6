"""How the relay of sharing groups stands (C4); what the page shows, as JSON."""

from __future__ import annotations

from typing import Any, Literal

from flask import Response, jsonify
from pydantic import Field

from eme_connector.domain.rights import Right
from eme_connector.usecases.relay_status import document, standings
from eme_connector.web.app_state import eme
from eme_connector.web.auth import current_caller
from eme_connector.web.routes import Api, Shape, operation

blueprint = Api("relay", "Sharing groups kept true on MISPs and Cerebrates")


class RelayTarget(Shape):
    """One target; `found` is what its last cycle left: counts, what waits, what is stuck."""

    target: str
    kind: Literal["misp", "cerebrate"]
    url: str
    state: Literal["never", "writing", "converged", "differs", "failed", "late"]
    reason: str = Field(description="Why the last cycle failed, in a short fixed word.")
    ended_at: int = Field(description="µs since 1970, 0 = never.")
    succeeded_at: int
    found: dict[str, Any]
    last_apply: dict[str, Any] | None
    last_undo: dict[str, Any] | None
    came_back: list[dict[str, Any]]


class RelayTargetList(Shape):
    """Every target of the section `sync`."""

    targets: list[RelayTarget]


@operation(
    blueprint, "get", "/relay/targets", id="relay_targets_list", right=Right.ADMIN,
    answers={200: RelayTargetList},
)  # fmt: skip
def targets() -> Response:
    """Say how each target of the relay stood at its last cycle; no target is asked"""
    found = standings(caller=current_caller(), system=eme())
    return jsonify(targets=[document(one) for one in found])
