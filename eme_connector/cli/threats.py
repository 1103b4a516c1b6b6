"""`eme threats`, `approve`, `decline`: see and decide, as the logged-in person."""

from __future__ import annotations

from typing import Any

import click

from eme_connector.cli.context import json_option, show, table


@click.group()
def threats() -> None:
    """Threats that you may see."""


@threats.command("list")
@click.option("--status", type=click.Choice(["pending", "approved", "declined", "resolved"]))
@click.option("--sort", type=click.Choice(["newest", "risk"]), default="newest")
@click.option("--keyword", help="Words, all of them.")
@click.option("--limit", type=click.IntRange(1, 100), default=25, show_default=True)
@click.option("--cursor", help="`next` of the page before.")
@json_option
def list_threats(
    status: str | None,
    sort: str,
    keyword: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List threats, newest first or by risk."""
    from eme_connector.cli.api import load_session

    query = {"status": status, "sort": sort, "keyword": keyword, "limit": limit, "cursor": cursor}
    wanted = {key: value for key, value in query.items() if value is not None}
    page = load_session().call("GET", "/ci/threats", query=wanted).json()
    rows = [
        (
            t["id"],
            t["status"],
            t["risk"]["rank"],
            t["risk"]["band"],
            t["received_at"][:19],
            t["name"],
        )
        for t in page["threats"]
    ]
    lines = table(("ID", "STATUS", "RISK", "", "RECEIVED (UTC)", "NAME"), rows)
    if page["next"]:
        lines.append(f"more: --cursor {page['next']}")
    show(page, as_json, lines)


@threats.command("show")
@click.argument("threat_id")
@json_option
def show_threat(threat_id: str, as_json: bool) -> None:
    """Show one threat with its playbook, timeline and deliveries."""
    from eme_connector.cli.api import load_session

    api = load_session()
    found = api.call("GET", f"/ci/threats/{threat_id}").json()
    playbook = api.call("GET", f"/ci/threats/{threat_id}/playbook").json()
    lines = [
        f"{found['name']} — {found['status']}, execution {found['execution']}",
        f"risk {found['risk']['rank']} ({found['risk']['band']}), TLP:{found['tlp'].upper()}",
        *_steps(playbook),
        *(f"{one['at'][:19]}  {one['event']} by {one['by']}" for one in found["timeline"]),
        *(f"{d['lane']}: {d['state']} {d['reason']}".rstrip() for d in found["deliveries"]),
    ]
    show(found | {"playbook": playbook}, as_json, lines)


@click.command()
@click.argument("threat_id")
@click.option("--step", "steps", multiple=True, help="Only this step; repeat it.")
@click.option("--reason", default="", help="Why; people read it.")
@click.option("--until", help="New end (RFC 3339) for a playbook outside its validity.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show what would be approved.")
@json_option
def approve(
    threat_id: str,
    steps: tuple[str, ...],
    reason: str,
    until: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Approve the response to a threat, or single steps of it."""
    extra = {"valid_until": until} if until else {}
    _decide(threat_id, "approved", steps, reason, extra, yes or as_json, dry_run, as_json)


@click.command()
@click.argument("threat_id")
@click.option("--step", "steps", multiple=True, help="Only this step; the others are approved.")
@click.option("--reason", required=True, help="Why; people read it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show what would be declined.")
@json_option
def decline(
    threat_id: str, steps: tuple[str, ...], reason: str, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Decline the response to a threat, or single steps of it."""
    _decide(threat_id, "declined", steps, reason, {}, yes or as_json, dry_run, as_json)


def _decide(
    threat_id: str,
    status: str,
    steps: tuple[str, ...],
    reason: str,
    extra: dict[str, Any],
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    from eme_connector.cli.api import load_session

    api = load_session()
    answer = api.call("GET", f"/ci/threats/{threat_id}/playbook")
    playbook = answer.json()
    if not as_json:
        click.echo("\n".join(_steps(playbook)))
    if dry_run:
        show(playbook, as_json)
        return
    if not yes:
        click.confirm(f"Shall {'these steps' if steps else 'all of it'} be {status}?", abort=True)
    body = {"status": status, "reason": reason} | extra | ({"steps": list(steps)} if steps else {})
    headers = {"If-Match": answer.headers["ETag"]}
    found = api.call("PUT", f"/ci/threats/{threat_id}/playbook", body=body, headers=headers).json()
    show(
        found, as_json, [f"{found['status']}: steps {', '.join(found['decision']['steps']) or '—'}"]
    )


def _steps(playbook: dict[str, Any]) -> list[str]:
    return [
        f"  step {step['id']}: {step['action_text']} on {step['actor'] or 'the asset'}"
        f" (impact {step['impact']}){''.join(' — ' + w['detail'] for w in step['waiting'])}"
        for part in playbook["playbooks"]
        for step in part["steps"]
    ]
