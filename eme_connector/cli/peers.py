"""`eme peers`: other sidecars that we share with."""

from __future__ import annotations

import json
from pathlib import Path

import click

from eme_connector.cli.context import Context, json_option, local_admin, show, table


@click.group()
def peers() -> None:
    """Other sidecars: exchange peer files, then type the fingerprint heard another way."""


@peers.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@json_option
@click.pass_obj
def export(context: Context, file: Path | None, as_json: bool) -> None:
    """Write our peer file, and show the fingerprint to read out."""
    from eme_connector.usecases.peering import export_peer, own_fingerprint

    with context.system() as eme:
        document, fingerprint = export_peer(eme), own_fingerprint(eme)
    if file is not None:
        file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    lines = [] if file else [json.dumps(document, indent=1)]
    lines.append(f"fingerprint: {fingerprint}")
    show({"peer": document, "fingerprint": fingerprint.replace(" ", "")}, as_json, lines)


@peers.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--fingerprint", prompt="Fingerprint that you were told", help="SHA-256, typed.")
@json_option
@click.pass_obj
def add(context: Context, file: Path, fingerprint: str, as_json: bool) -> None:
    """Trust the sidecar in a peer file."""
    from eme_connector.usecases.peering import add_peer

    with context.system() as eme:
        made = add_peer(file.read_bytes(), fingerprint, caller=local_admin(eme), system=eme)
    document = {"organisation": made.organisation, "name": made.name, "url": made.url}
    show(document, as_json, [f"{made.name} at {made.url} is a peer now"])


@peers.command("list")
@json_option
@click.pass_obj
def list_peers(context: Context, as_json: bool) -> None:
    """List peers, revoked ones too."""
    from eme_connector.usecases.peering import list_peers

    with context.system() as eme:
        found = list_peers(caller=local_admin(eme), system=eme)
    rows = [
        (one.name, one.organisation, one.url, one.fingerprint, "revoked" if one.revoked_at else "")
        for one in found
    ]
    heads = ("name", "organisation", "url", "fingerprint", "state")
    document = {"peers": [dict(zip(heads, row, strict=True)) for row in rows]}
    show(document, as_json, table(("NAME", "ORGANISATION", "URL", "FINGERPRINT", ""), rows))


@peers.command()
@click.argument("fingerprint")
@json_option
@click.pass_obj
def revoke(context: Context, fingerprint: str, as_json: bool) -> None:
    """Trust a peer's key no longer."""
    from eme_connector.usecases.peering import revoke_peer

    with context.system() as eme:
        gone = revoke_peer(fingerprint, caller=local_admin(eme), system=eme)
    show({"fingerprint": gone.fingerprint}, as_json, [f"{gone.name} is no peer any more"])
