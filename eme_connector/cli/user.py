"""`eme user`: accounts of people."""

from __future__ import annotations

import time

import click

from eme_connector.cli.context import (
    Context,
    find_organisation,
    json_option,
    local_admin,
    read_secret,
    show,
    table,
)


@click.group()
def user() -> None:
    """Accounts of people, with a local password."""


@user.command()
@click.argument("name")
@click.option("--role", default="operator", show_default=True,
              help="viewer, operator, admin or auditor.")  # fmt: skip
@click.option("--organisation", help="Name or uuid; default: the sidecar's own.")
@click.option("--password-file", help="Read the password from a file; - is standard input.")
@json_option
@click.pass_obj
def add(
    context: Context,
    name: str,
    role: str,
    organisation: str | None,
    password_file: str | None,
    as_json: bool,
) -> None:
    """Make an account."""
    from eme_connector.usecases.accounts import add_account

    with context.system() as eme:
        made = add_account(
            name,
            read_secret(password_file, "Password"),
            find_organisation(eme, organisation),
            role,
            caller=local_admin(eme),
            store=eme.store,
            now=time.time(),
        )
    show({"id": made.id, "name": name, "role": role}, as_json, [f"{name} can log in as {role}"])


@user.command("list")
@json_option
@click.pass_obj
def list_users(context: Context, as_json: bool) -> None:
    """List accounts."""
    with context.system() as eme:
        found = eme.store.accounts()
    rows = [(a.name, a.role, a.organisation, "closed" if a.disabled else "") for a in found]
    heads = ("name", "role", "organisation", "state")
    document = {"users": [dict(zip(heads, row, strict=True)) for row in rows]}
    show(document, as_json, table(("NAME", "ROLE", "FOR", ""), rows))


@user.command()
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@json_option
@click.pass_obj
def disable(context: Context, name: str, dry_run: bool, as_json: bool) -> None:
    """Close an account and end its sessions."""
    from eme_connector.errors import NotFound
    from eme_connector.usecases.accounts import disable_account

    with context.system() as eme:
        if dry_run and eme.store.find_account(name) is None:
            raise NotFound("there is no such account")
        if not dry_run:
            disable_account(name, caller=local_admin(eme), store=eme.store, now=time.time())
    word = "would be closed" if dry_run else "is closed"
    show({"name": name, "disabled": not dry_run}, as_json, [f"{name} {word}"])


@user.command()
@click.argument("name")
@click.option("--password-file", help="Read the password from a file; - is standard input.")
@json_option
@click.pass_obj
def password(context: Context, name: str, password_file: str | None, as_json: bool) -> None:
    """Give an account a new password and end its sessions."""
    from eme_connector.usecases.accounts import set_password

    with context.system() as eme:
        secret = read_secret(password_file, "New password")
        set_password(name, secret, caller=local_admin(eme), store=eme.store, now=time.time())
    show({"name": name}, as_json, [f"{name} has a new password"])
