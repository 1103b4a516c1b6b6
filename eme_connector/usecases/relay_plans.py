"""Plans to review and apply later, and differences as JSON shows them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Any

from eme_connector.errors import Fault, InvalidInput
from eme_connector.sync.steps import Difference
from eme_connector.usecases.relay_cycle import Report

PLAN_VERSION = 1


def plan_document(reports: Iterable[Report], confirmed: Collection[str], at: int) -> dict[str, Any]:
    """Return a plan to review and apply later: every difference, and a digest per target."""
    return {
        "eme-sg-plan": PLAN_VERSION,
        "made_at": at,
        "confirmed": sorted(confirmed),
        "targets": [
            {
                "target": one.target,
                "digest": one.plan.digest,
                "differences": [difference_document(d) for d in one.plan.differences],
            }
            for one in reports
        ],
    }


def read_plan(document: Any) -> tuple[dict[str, str], list[str]]:
    """Return the digest per target and what is confirmed, of a plan file.

    Raises:
        InvalidInput
    """
    if not isinstance(document, dict) or document.get("eme-sg-plan") != PLAN_VERSION:
        raise InvalidInput([Fault("", "is not a plan of `eme sg plan`")])
    confirmed = document.get("confirmed", [])
    targets = document.get("targets")
    if not isinstance(targets, list) or not targets:
        raise InvalidInput([Fault("/targets", "must be a list of targets")])
    if not isinstance(confirmed, list) or not all(isinstance(one, str) for one in confirmed):
        raise InvalidInput([Fault("/confirmed", "must be a list of uuids")])
    found = {}
    for index, one in enumerate(targets):
        if not isinstance(one, dict) or not isinstance(one.get("digest"), str):
            raise InvalidInput([Fault(f"/targets/{index}", "must have a target and a digest")])
        found[str(one.get("target"))] = one["digest"]
    return found, confirmed


def difference_document(one: Difference) -> dict[str, Any]:
    """Return a difference as JSON shows it, without empty members."""
    return {name: value for name, value in asdict(one).items() if value not in ("", None)}
