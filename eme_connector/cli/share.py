"""`eme share explain`: who will see a threat, by which rule, and what has arrived."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from eme_connector.cli.context import json_option, show, table


@click.group()
def share() -> None:
    """Who sees what."""


@share.command()
@click.argument("threat_id")
@click.option("--group", help="What if this sharing group (uuid) were chosen; none: nobody.")
@click.option("--to", "recipients", multiple=True, help="What if this member (uuid) were named.")
@json_option
def explain(threat_id: str, group: str | None, recipients: tuple[str, ...], as_json: bool) -> None:
    """Say who will see a threat, by which rule, and where its deliveries stand.

    It is answered by the function that the sender asks; nothing is changed.
    """
    from eme_connector.cli.api import load_session

    api = load_session()
    asked: dict[str, Any] = {"recipient": list(recipients)} if recipients else {}
    if group is not None:
        asked["group"] = "" if group == "none" else group
    found = api.call("GET", f"/ci/threats/{threat_id}/viewers", query=asked).json()
    if group is None and not recipients:
        found["deliveries"] = api.call("GET", f"/ci/threats/{threat_id}").json()["deliveries"]
    show(found, as_json, _lines(found))


def _lines(found: dict[str, Any]) -> Iterable[str]:
    from eme_connector.domain.audience import ODDITIES, RULES, WHYS

    group = found["group"]
    yield f"TLP:{found['tlp'].upper()}, group: {group['name'] if group else 'none'}"
    for one in found["warnings"]:
        who = ", ".join(_name(organisation) for organisation in one["organisations"])
        yield f"! {ODDITIES[one['code']]}" + (f" ({who})" if who else "")
    seen = [
        (_name(one), ", ".join(RULES[rule] for rule in one["rules"]), " and ".join(one["ways"]))
        for one in found["viewers"]
    ]
    yield from table(("WILL SEE IT", "BECAUSE", "BY"), seen) if seen else ["Nobody else sees it."]
    left = [(_name(one), WHYS[one["why"]]) for one in found["left_out"]]
    yield from table(("WILL NOT", "BECAUSE"), left) if left else []
    there = [
        (_name(one), one["status"], one["says"], one["remedy"]) for one in found.get("in_misp", ())
    ]
    yield from table(("IN ITS MISP", "", "BECAUSE", "WHAT TO DO"), there) if there else []
    sent = [(one["lane"], one["state"], one["reason"]) for one in found.get("deliveries", ())]
    yield from table(("SENT TO", "STATE", "REASON"), sent) if sent else []


def _name(one: dict[str, Any]) -> str:
    return str(one["name"] or one["organisation"])
