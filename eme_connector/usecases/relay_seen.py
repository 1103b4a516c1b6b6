"""What each cycle of the relay leaves for people: how it ended, and all that still differs.

It is kept as the last turn of a job of the target's own, so that a page asks no MISP.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from eme_connector.domain.schedule import Turn
from eme_connector.ports import Transaction
from eme_connector.sync.steps import Difference, Plan
from eme_connector.usecases.relay_cycle import Office, Report
from eme_connector.usecases.relay_plans import difference_document
from eme_connector.usecases.system import micros

MOST_SHOWN = 200
"""Differences of one verdict that are kept; `eme sg diff` shows the rest."""
MOST_NAMED = 3_000
"""Names that may wait for a person on one page."""


def job_name(target: str) -> str:
    """Return under which name the last cycle at *target* is kept."""
    return f"relay:{target}"


def keep(report: Report, office: Office) -> None:
    """Keep what a cycle found; of a target that is down stays what was seen before.

    Raises:
        StoreUnavailable
    """
    at, name = office.at, job_name(report.target)
    failed = report.state == "failed"
    told = {
        "by": office.by,
        "said": report.detail,
        "requests": report.requests,
        "seconds": round(report.seconds, 1),
        "done": len(report.outcome.done),
        "failed": [
            difference_document(one) | {"reason": reason}
            for one, reason in report.outcome.failed[:MOST_SHOWN]
        ],
    }

    def work(tx: Transaction) -> None:
        known = tx.find_turn(name) or Turn(name)
        is_seen = not failed or bool(report.plan.differences)
        found = {**_found(report.plan), "seen_at": at} if is_seen else dict(known.detail)
        turn = replace(
            known,
            started_at=at - micros(report.seconds),
            ended_at=at,
            succeeded_at=known.succeeded_at if failed else at,
            state="failed" if failed else "done",
            reason=report.reason,
            detail=found | told,
        )
        tx.save_turn(turn)

    office.store.transact(work)


def _found(plan: Plan) -> dict[str, Any]:
    by_verdict: dict[str, list[Difference]] = {"do": [], "held": [], "stuck": []}
    for one in plan.differences:
        by_verdict[one.verdict].append(one)
    conflicts = [one for one in plan.differences if one.kind == "conflict"]
    return {
        "counts": {verdict: len(several) for verdict, several in by_verdict.items()},
        "todo": [difference_document(one) for one in by_verdict["do"][:MOST_SHOWN]],
        "stuck": [difference_document(one) for one in by_verdict["stuck"][:MOST_SHOWN]],
        "conflicts": [difference_document(one) for one in conflicts[:MOST_SHOWN]],
        "held": _held(by_verdict["held"]),
    }


def _held(steps: Iterable[Difference]) -> list[dict[str, Any]]:
    """Return what waits, by what one confirmation counts for, with every name."""
    found: dict[str, dict[str, Any]] = {}
    room = MOST_NAMED
    for one in steps:
        group = found.setdefault(
            one.subject,
            {
                "uuid": one.uuid,
                "name": one.name,
                "hold": one.hold,
                "note": one.note,
                "confirm": one.confirm,
                "steps": [],
            },
        )
        if room:
            room -= 1
            # what is the same for all of them stands above
            named = replace(one, name="", hold="", note="", confirm="")
            group["steps"].append(difference_document(named))
        else:
            # what cannot be named to the last one is not to be confirmed on a page
            group["confirm"] = ""
    return list(found.values())
