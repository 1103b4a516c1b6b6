"""`eme policy`: what may run without asking a person."""

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

_WORDS = {"on": True, "off": False}


@click.group()
def policy() -> None:
    """What may run without asking a person."""


@policy.command("show")
@click.option("--organisation", help="Name or uuid; default: the sidecar's own.")
@json_option
@click.pass_obj
def show_policy(context: Context, organisation: str | None, as_json: bool) -> None:
    """Show the policies of an organisation."""
    from eme_connector.domain.playbook import ACTIONS
    from eme_connector.formats import threat_json
    from eme_connector.usecases.policies import list_settings

    with context.system() as eme:
        caller = local_admin(eme, find_organisation(eme, organisation))
        found = list_settings(caller=caller, store=eme.store)
    rows = [
        (_scope(one.scope), f"{action.group}.{action.key}",
         "on" if action.key in one.automatic else "off")
        for one in found
        for action in ACTIONS.values()
    ]  # fmt: skip
    document = {"settings": [threat_json.setting(one) for one in found]}
    show(document, as_json, table(("FOR", "ACTION", "UNASKED"), rows))


@policy.command("set")
@click.argument("changes", nargs=-1, required=True, metavar="GROUP.ACTION=on|off…")
@click.option("--organisation", help="Name or uuid; default: the sidecar's own.")
@click.option("--setting", help="Id of a policy for a scope; default: the general one.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@json_option
@click.pass_obj
def set_policy(
    context: Context,
    changes: tuple[str, ...],
    organisation: str | None,
    setting: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Change which actions run unasked, such as `contain.isolate=on`."""
    from eme_connector.formats import threat_json
    from eme_connector.usecases.policies import change_setting, default_id, get_setting

    wanted = dict(_change(text) for text in changes)
    with context.system() as eme:
        caller = local_admin(eme, find_organisation(eme, organisation))
        chosen = setting or default_id(caller.organisation)
        before = get_setting(chosen, caller=caller, store=eme.store)
        lines = [
            f"{name}: {'on' if name in before.automatic else 'off'} → {'on' if on else 'off'}"
            for name, on in wanted.items()
        ]
        if not as_json:
            click.echo("\n".join(lines))
        if not (dry_run or yes or as_json):
            click.confirm("Save this?", abort=True)
        saved = before
        if not dry_run:
            saved = change_setting(
                chosen,
                wanted,
                merge=True,
                scope=None,
                etag=before.etag,
                caller=caller,
                store=eme.store,
                now=time.time(),
            )
    show(threat_json.setting(saved) | {"dry_run": dry_run}, as_json,
         ["Nothing was saved." if dry_run else "Saved."])  # fmt: skip


def _change(text: str) -> tuple[str, bool]:
    from eme_connector.domain.playbook import ACTIONS

    path, _, word = text.partition("=")
    group, _, name = path.partition(".")
    action = ACTIONS.get(name)
    if action is None or action.group != group or word not in _WORDS:
        known = ", ".join(f"{one.group}.{one.key}" for one in ACTIONS.values())
        raise click.BadParameter(f"{text}: write one of {known}, then =on or =off")
    return name, _WORDS[word]


def _scope(scope: object) -> str:
    parts = [
        f"{name} {value}"
        for name in ("sector", "asset_type", "tag")
        if (value := getattr(scope, name))
    ]
    return ", ".join(parts) or "everything"
