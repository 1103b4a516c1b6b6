"""`eme stop`: the kill switch."""

from __future__ import annotations

import time

import click

from eme_connector.cli.context import Context, find_organisation, json_option, local_admin, show


@click.command()
@click.option("--resume", is_flag=True, help="Turn it off again.")
@click.option("--reason", required=True, help="Why; people read it.")
@click.option("--organisation", help="Name or uuid; default: the sidecar's own.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@json_option
@click.pass_obj
def stop(
    context: Context,
    resume: bool,
    reason: str,
    organisation: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Dispatch nothing more until it is turned off."""
    from eme_connector.usecases.stop import set_stop

    with context.system() as eme:
        owner = find_organisation(eme, organisation)
        if not dry_run:
            set_stop(
                stopped=not resume,
                reason=reason,
                caller=local_admin(eme, owner),
                store=eme.store,
                now=time.time(),
            )
        stopped = eme.store.stopped(owner)
    if dry_run:
        stopped = not resume
    word = "nothing is dispatched any more" if stopped else "playbooks are dispatched again"
    show({"stopped": stopped, "dry_run": dry_run}, as_json, [word])
