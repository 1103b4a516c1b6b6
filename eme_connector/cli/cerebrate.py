"""`eme cerebrate`: our Cerebrate and those upstream of it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from eme_connector.cli.context import (
    Context,
    confirm_option,
    dry_run_option,
    json_option,
    local_admin,
    show,
    table,
)

if TYPE_CHECKING:
    from eme_connector.sync.steps import Difference, Plan
    from eme_connector.usecases.cerebrate_links import Link

STATES = ["same", "differs", "only-there", "only-here"]
_SIGNS = {"ok": "✓", "warning": "!", "error": "✗"}


@click.group()
def cerebrate() -> None:
    """Our Cerebrate and those upstream of it: status, connection, contents, taking over.

    NAME is a name in the section `cerebrate:` of the configuration; without one it is our own.
    """


@cerebrate.command()
@json_option
@click.pass_obj
def status(context: Context, as_json: bool) -> None:
    """Show how each link stands, what waits for a person, and the keys."""
    from eme_connector.usecases.cerebrate_keys import list_certificates
    from eme_connector.usecases.cerebrate_links import links

    with context.system() as eme:
        admin = local_admin(eme)
        found = links(caller=admin, system=eme)
        keys = list_certificates(caller=admin, system=eme) if found else ()
    document = {
        "links": [_link(one) for one in found],
        "certificates": [asdict(one) for one in keys],
    }
    if not found:
        show(document, as_json, ["no Cerebrate is configured: add a section `cerebrate:`"])
        return
    rows = [_row(one) for one in found]
    heads = ("NAME", "ROLE", "STATE", "LAST SUCCESS", "ORGANISATIONS", "GROUPS", "WAITS", "REASON")
    lines = table(heads, rows)
    lines += [line for one in found for line in _waiting(one)]
    if keys:
        cells: list[tuple[Any, ...]] = [(one.name, one.fingerprint, one.state) for one in keys]
        lines += ["", *table(("KEY OF", "FINGERPRINT", "STATE"), cells)]
    show(document, as_json, lines)


@cerebrate.command()
@click.argument("name", required=False)
@json_option
@click.pass_obj
def check(context: Context, name: str | None, as_json: bool) -> None:
    """Look at everything between us and a Cerebrate, and say how to mend what is not right."""
    from eme_connector.usecases.cerebrate_check import diagnose

    with context.system() as eme:
        steps = diagnose(name, caller=local_admin(eme), system=eme)
    healthy = all(one.state != "error" for one in steps)
    lines = [
        f"{_SIGNS[one.state]} {one.part}: {one.said}" + (f"\n    → {one.fix}" if one.fix else "")
        for one in steps
    ]
    show({"ok": healthy, "steps": [asdict(one) for one in steps]}, as_json, lines)
    sys.exit(0 if healthy else 1)


@cerebrate.command()
@click.argument("name", required=False)
@click.option("--state", type=click.Choice(STATES), help="Only what stands so.")
@click.option("--kind", type=click.Choice(["organisation", "group"]), help="Only these.")
@click.option("--text", default="", help="A part of the name, or a uuid.")
@json_option
@click.pass_obj
def browse(
    context: Context, name: str | None, state: str, kind: str, text: str, as_json: bool
) -> None:
    """Show what a Cerebrate has beside what is here, before anything is fetched."""
    from eme_connector.usecases.cerebrate_browse import Wanted
    from eme_connector.usecases.cerebrate_browse import browse as look

    with context.system() as eme:
        view = look(
            name or own_name(context),
            Wanted(state or "", kind or "", text),
            caller=local_admin(eme),
            system=eme,
            most=100_000,
        )
    rows = [
        (one.state, one.kind, one.name, one.uuid, ", ".join(side.field for side in one.sides))
        for one in view.rows
    ]
    document = {"counts": dict(view.counts), "rows": [asdict(one) for one in view.rows]}
    show(document, as_json, table(("STATE", "KIND", "NAME", "UUID", "DIFFERS IN"), rows))


@cerebrate.command()
@click.argument("name", required=False)
@json_option
@click.pass_obj
def preview(context: Context, name: str | None, as_json: bool) -> None:
    """Show what the next turn would do, and what waits; the same as sync --dry-run."""
    _preview(context, name, (), as_json)


@cerebrate.command()
@click.argument("name", required=False)
@confirm_option
@dry_run_option
@json_option
@click.pass_obj
def sync(
    context: Context, name: str | None, confirmed: tuple[str, ...], dry_run: bool, as_json: bool
) -> None:
    """Read our Cerebrate, or take over from one upstream, now."""
    from eme_connector.usecases.cerebrate import run
    from eme_connector.usecases.cerebrate_check import FIXES

    if dry_run:
        _preview(context, name, confirmed, as_json)
        return
    with context.system() as eme:
        turn = run(name or own_name(context), confirmed, caller=local_admin(eme), system=eme)
    done = turn.state == "done"
    lines = [f"{key}: {value}" for key, value in turn.detail.items() if value or value == 0]
    if not done:
        lines = [f"failed: {turn.reason}: {turn.detail.get('said', '')}"]
        lines += [f"next: {FIXES[turn.reason]}"] if turn.reason in FIXES else []
    document = {"state": turn.state, "reason": turn.reason, "detail": dict(turn.detail)}
    show(document, as_json, lines)
    sys.exit(0 if done else 1)


def own_name(context: Context) -> str:
    """Return what our own Cerebrate is called.

    Raises:
        NotFound
    """
    from eme_connector.errors import NotFound

    section = context.load().cerebrate
    if section is None:
        raise NotFound("no Cerebrate is configured: add a section `cerebrate:`")
    return section.name


def _preview(context: Context, name: str | None, confirm: tuple[str, ...], as_json: bool) -> None:
    from eme_connector.usecases.cerebrate import preview as look

    with context.system() as eme:
        found = look(name or own_name(context), confirm, caller=local_admin(eme), system=eme)
    show(_document(found), as_json, _lines(found))


def _document(plan: Plan) -> dict[str, Any]:
    return {
        "differences": [asdict(one) for one in plan.differences],
        "left": [asdict(one) for one in plan.left],
        "digest": plan.digest,
    }


def _lines(plan: Plan) -> list[str]:
    if plan.is_converged:
        return ["nothing to do: both sides say the same"]
    rows: list[tuple[Any, ...]] = [
        (one.verdict, one.kind, one.word, one.name, one.member_name or one.member, _why(one))
        for one in plan.differences
    ]
    return table(("VERDICT", "KIND", "WHAT", "NAME", "MEMBER", "WHY"), rows)


def _why(one: Difference) -> str:
    return " ".join(part for part in (one.hold, one.note, one.remedy) if part)


def _link(one: Link) -> dict[str, Any]:
    turn = one.turn
    return {
        "name": one.name,
        "url": one.url,
        "role": one.role,
        "strategy": one.strategy,
        "into": one.into,
        "every_s": one.every_s,
        "state": one.state,
        "reason": turn.reason,
        "started_at": turn.started_at,
        "ended_at": turn.ended_at,
        "succeeded_at": turn.succeeded_at,
        "detail": dict(turn.detail),
    }


def _row(one: Link) -> tuple[Any, ...]:
    detail = one.turn.detail
    at = one.turn.succeeded_at
    when = datetime.fromtimestamp(at / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else ""
    role = "own" if one.role == "own" else f"{one.strategy} → {one.into}"
    return (
        one.name,
        role,
        one.state,
        when,
        detail.get("organisations"),
        detail.get("groups"),
        len(detail.get("held", ())) or None,
        one.turn.reason,
    )


def _waiting(one: Link) -> list[str]:
    return [
        f"{one.name}: {held['name']} waits ({held['hold']}): {held['said']}"
        f"\n    → if it is true: eme cerebrate sync {one.name} --confirm "
        f"{held.get('confirm') or held['uuid']}"
        for held in one.turn.detail.get("held", ())
    ]
