"""`eme outbox`: what is owed to outside systems."""

from __future__ import annotations

from typing import Any

import click

from eme_connector.cli.context import Context, json_option, local_admin, show, table

STATES = ["owed", "sending", "delivered", "refused", "uncertain", "withdrawn", "dead", "dropped"]


@click.group()
def outbox() -> None:
    """What is owed to orchestrators, peers and MISP."""


@outbox.command("list")
@click.option("--state", type=click.Choice(STATES))
@click.option("--lane", help="Such as orchestrator:NAME, peer:UUID, misp or misp:UUID.")
@click.option("--after", type=int, default=0, help="Go on after this id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
@click.pass_obj
def list_outbox(
    context: Context, state: str | None, lane: str | None, after: int, limit: int, as_json: bool
) -> None:
    """List deliveries, oldest first, and what to do about those that MISP does not take."""
    from eme_connector.domain import misp_reasons
    from eme_connector.domain.delivery import State
    from eme_connector.formats import threat_json

    with context.system() as eme:
        found = eme.store.list_deliveries(
            state=State(state) if state else None, lane=lane, after=after, limit=limit
        )
    rows = [(d.id, d.state, d.lane, d.attempts, d.reason, d.threat_id) for d in found]
    document = {"deliveries": [threat_json.delivery(one) for one in found]}
    lines = table(("ID", "STATE", "LANE", "TRIES", "REASON", "THREAT"), rows)
    for reason in dict.fromkeys(one.reason for one in found):
        if todo := misp_reasons.remedy(reason):
            lines.append(f"{reason}: {misp_reasons.REASONS[reason].says}\n    → {todo}")
    show(document, as_json, lines)


@outbox.command("show")
@click.argument("delivery_id", type=int)
@json_option
@click.pass_obj
def show_delivery(context: Context, delivery_id: int, as_json: bool) -> None:
    """Show one delivery, without its content."""
    from eme_connector.errors import NotFound
    from eme_connector.formats import threat_json

    with context.system() as eme:
        found = eme.store.list_deliveries(after=delivery_id - 1, limit=1)
    if not found or found[0].id != delivery_id:
        raise NotFound("there is no such delivery")
    document: dict[str, Any] = threat_json.delivery(found[0])
    show(document, as_json, [f"{key}: {value}" for key, value in document.items()])


@outbox.command()
@click.argument("delivery_id", type=int)
@json_option
def retry(delivery_id: int, as_json: bool) -> None:
    """Owe it once more, as the logged-in person, with a key of its own."""
    from eme_connector.cli.api import load_session

    found = load_session().call("POST", f"/deliveries/{delivery_id}/retry").json()
    show(found, as_json, [f"delivery {found['id']} is owed now"])


@outbox.command()
@click.argument("delivery_id", type=int)
@click.option("--reason", required=True, help="Why it is given up; it is written down.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@json_option
@click.pass_obj
def drop(context: Context, delivery_id: int, reason: str, dry_run: bool, as_json: bool) -> None:
    """Give up something that is owed, for good."""
    from eme_connector.errors import NotFound
    from eme_connector.usecases import deliver

    with context.system() as eme:
        found = eme.store.list_deliveries(after=delivery_id - 1, limit=1)
        if not found or found[0].id != delivery_id:
            raise NotFound("there is no such delivery")
        if not dry_run:
            caller = local_admin(eme, found[0].organisation)
            deliver.drop(delivery_id, reason, caller=caller, system=eme)
    word = "would be dropped" if dry_run else "is dropped"
    show({"id": delivery_id, "dry_run": dry_run}, as_json, [f"delivery {delivery_id} {word}"])
