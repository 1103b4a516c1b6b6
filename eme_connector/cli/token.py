"""`eme token`: credentials for machines."""

from __future__ import annotations

import time

import click

from eme_connector.cli.context import (
    Context,
    find_organisation,
    json_option,
    local_admin,
    show,
    table,
)


@click.group()
def token() -> None:
    """Credentials for machines; they can never decide."""


@token.command()
@click.argument("name")
@click.option("--right", "rights", multiple=True, required=True, help="A right; repeat it.")
@click.option("--organisation", help="Name or uuid; default: the sidecar's own.")
@click.option(
    "--criticality-order",
    type=click.Choice(["ascending", "descending"]),
    default="descending",
    show_default=True,
    help="How its bundles count: descending = 1 is the most critical (IRIS/ATIO).",
)
@click.option("--orchestrator", default="", help="For `result`: the orchestrator's name.")
@click.option("--days", type=click.IntRange(1, 3650), help="It ends after this many days.")
@json_option
@click.pass_obj
def create(
    context: Context,
    name: str,
    rights: tuple[str, ...],
    organisation: str | None,
    criticality_order: str,
    orchestrator: str,
    days: int | None,
    as_json: bool,
) -> None:
    """Make a token; its text is shown once."""
    from eme_connector.domain.rights import Right
    from eme_connector.usecases.accounts import create_token

    unknown = [one for one in rights if one not in set(Right)]
    if unknown:
        raise click.BadParameter(f"rights are: {', '.join(Right)}", param_hint="--right")
    with context.system() as eme:
        owner = find_organisation(eme, organisation)
        now = time.time()
        made, text = create_token(
            name,
            owner,
            frozenset(Right(one) for one in rights),
            caller=local_admin(eme),
            store=eme.store,
            now=now,
            expires_at=None if days is None else round((now + days * 86_400) * 1_000_000),
            criticality_order="ascending" if criticality_order == "ascending" else "descending",
            orchestrator=orchestrator,
        )
    document = {"token": text, "prefix": made.prefix, "name": name, "rights": sorted(made.rights)}
    show(document, as_json, [text, "Keep it now: it cannot be shown again."])


@token.command("list")
@json_option
@click.pass_obj
def list_tokens(context: Context, as_json: bool) -> None:
    """List tokens, never their secrets."""
    with context.system() as eme:
        found = eme.store.tokens()
    rows = [
        (t.prefix, t.name, t.organisation, ",".join(sorted(t.rights)),
         "revoked" if t.revoked_at else "")
        for t in found
    ]  # fmt: skip
    document = [
        dict(zip(("prefix", "name", "organisation", "rights", "state"), row, strict=True))
        for row in rows
    ]
    show({"tokens": document}, as_json, table(("PREFIX", "NAME", "FOR", "RIGHTS", ""), rows))


@token.command()
@click.argument("prefix")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@json_option
@click.pass_obj
def revoke(context: Context, prefix: str, dry_run: bool, as_json: bool) -> None:
    """End a token at once."""
    from eme_connector.errors import NotFound
    from eme_connector.usecases.accounts import revoke_token

    with context.system() as eme:
        if dry_run:
            if eme.store.find_token(prefix) is None:
                raise NotFound("there is no such token")
        else:
            revoke_token(prefix, caller=local_admin(eme), store=eme.store, now=time.time())
    word = "would be revoked" if dry_run else "is revoked"
    show({"prefix": prefix, "revoked": not dry_run}, as_json, [f"{prefix} {word}"])
