"""`eme peers`: other sidecars that we share with.

Either by a handshake (offer, accept, finalise), mostly carried by Cerebrates, or by peer files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import click

from eme_connector.cli.context import (
    Context,
    dry_run_option,
    find_organisation,
    json_option,
    local_admin,
    show,
    table,
)


@click.group()
def peers() -> None:
    """Other sidecars: by a handshake, or by peer files and a fingerprint heard another way."""


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
@click.option("--fingerprint", help="SHA-256, typed; asked for when it is not given.")
@click.option("--from-cerebrate", is_flag=True, help="It stands in Cerebrate's key store.")
@dry_run_option
@json_option
@click.pass_obj
def add(
    context: Context, file: Path, fingerprint: str | None, from_cerebrate: bool, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Trust the sidecar in a peer file."""
    from eme_connector.usecases.peering import add_peer

    if not from_cerebrate and fingerprint is None:
        fingerprint = click.prompt("Fingerprint that you were told")
    with context.system() as eme:
        system = eme.rehearsal() if dry_run else eme
        made = add_peer(file.read_bytes(), fingerprint, caller=local_admin(eme), system=system)
    document = {"organisation": made.organisation, "name": made.name, "url": made.url}
    word = "would be a peer" if dry_run else "is a peer now"
    show(document | {"dry_run": dry_run}, as_json, [f"{made.name} at {made.url} {word}"])


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
@dry_run_option
@json_option
@click.pass_obj
def revoke(context: Context, fingerprint: str, dry_run: bool, as_json: bool) -> None:
    """Trust a peer's key no longer."""
    from eme_connector.usecases.peering import revoke_peer

    with context.system() as eme:
        system = eme.rehearsal() if dry_run else eme
        gone = revoke_peer(fingerprint, caller=local_admin(eme), system=system)
    word = "would be no peer any more" if dry_run else "is no peer any more"
    document = {"fingerprint": gone.fingerprint, "dry_run": dry_run}
    show(document, as_json, [f"{gone.name} {word}"])


@peers.command()
@click.argument("organisation")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@dry_run_option
@json_option
@click.pass_obj
def offer(
    context: Context, organisation: str, file: Path | None, dry_run: bool, as_json: bool
) -> None:
    """Begin a handshake with ORGANISATION (name or uuid) without Cerebrate.

    The offer is for one sidecar and a quarter of an hour; it goes to `eme peers accept` there.
    """
    from eme_connector.usecases import enrol

    with context.system() as eme:
        uuid = find_organisation(eme, organisation)
        system = eme.rehearsal() if dry_run else eme
        made = enrol.offer(uuid, caller=local_admin(eme), system=system)
    if dry_run:
        line = f"an offer to {organisation} would be made; nothing was kept or written"
        show({"organisation": made.organisation, "dry_run": True}, as_json, [line])
        return
    _hand_over(made.offer, file)
    document = {"code": made.code, "organisation": made.organisation, "offer": made.offer}
    lines = [made.offer] if file is None else [f"{file}: take it to {organisation}"]
    show(document, as_json, lines)


@peers.command()
@click.argument("offer", type=click.File("r"))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--from", "sender", required=True, help="Who sent it to you: name or uuid.")
@dry_run_option
@json_option
@click.pass_obj
def accept(
    context: Context, offer: IO[str], file: Path | None, sender: str, dry_run: bool, as_json: bool
) -> None:
    """Answer the OFFER (a file, or - ) of another sidecar."""
    from eme_connector.usecases import enrol

    with context.system() as eme:
        uuid = find_organisation(eme, sender)
        system = eme.rehearsal() if dry_run else eme
        made = enrol.accept(_text(offer), uuid, caller=local_admin(eme), system=system)
    if dry_run:
        line = f"the offer of {made.name} would be answered; nothing was kept or written"
        found = {"name": made.name, "fingerprint": made.fingerprint, "dry_run": True}
        show(found, as_json, [line, f"their fingerprint: {made.fingerprint}"])
        return
    _hand_over(made.answer, file)
    document = {"code": made.code, "fingerprint": made.fingerprint, "answer": made.answer}
    lines = [made.answer] if file is None else [f"{file}: take it back to {made.name}"]
    show(document, as_json, [*lines, f"their fingerprint: {made.fingerprint}"])


@peers.command()
@click.argument("answer", type=click.File("r"))
@click.option("--from", "sender", required=True, help="Who sent it to you: name or uuid.")
@dry_run_option
@json_option
@click.pass_obj
def finalise(context: Context, answer: IO[str], sender: str, dry_run: bool, as_json: bool) -> None:
    """Take the ANSWER (a file, or - ) to an offer of ours: both sidecars are peers then."""
    from eme_connector.usecases import enrol

    with context.system() as eme:
        uuid = find_organisation(eme, sender)
        caller = local_admin(eme)
        made = (
            enrol.check_answer(_text(answer), uuid, caller=caller, system=eme.rehearsal())
            if dry_run
            else enrol.finalise(_text(answer), uuid, caller=caller, system=eme)
        )
    document = {"organisation": made.organisation, "url": made.url, "fingerprint": made.fingerprint}
    word = "would be told, and be a peer" if dry_run else "is a peer now"
    show(document | {"dry_run": dry_run}, as_json, [f"{made.name} at {made.url} {word}"])


@peers.command()
@json_option
@click.pass_obj
def handshakes(context: Context, as_json: bool) -> None:
    """List handshakes and how they stand."""
    from eme_connector.usecases.enrol import list_handshakes
    from eme_connector.usecases.system import micros

    with context.system() as eme:
        at = micros(eme.clock())
        found = list_handshakes(caller=local_admin(eme), system=eme)
    rows = [
        (one.code, one.role, one.organisation, one.name, one.fingerprint, one.state(at))
        for one in found
    ]
    heads = ("code", "role", "organisation", "name", "fingerprint", "state")
    document = {"handshakes": [dict(zip(heads, row, strict=True)) for row in rows]}
    show(document, as_json, table(tuple(head.upper() for head in heads), rows))


@peers.command()
@click.argument("code")
@dry_run_option
@json_option
@click.pass_obj
def cancel(context: Context, code: str, dry_run: bool, as_json: bool) -> None:
    """End a handshake that is not finalised."""
    from eme_connector.usecases import enrol

    with context.system() as eme:
        system = eme.rehearsal() if dry_run else eme
        gone = enrol.cancel(code, caller=local_admin(eme), system=system)
    word = "would be cancelled" if dry_run else "is cancelled"
    document = {"code": gone.code, "state": str(gone.stage), "dry_run": dry_run}
    show(document, as_json, [f"{gone.code} {word}"])


def _hand_over(text: str, file: Path | None) -> None:
    if file is not None:
        file.write_text(text + "\n", encoding="ascii")


def _text(file: IO[str]) -> str:
    return file.read(65_536).strip()
