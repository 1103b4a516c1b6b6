"""`eme misp`: what becomes of our data there, and whether that MISP is ready for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eme_connector.cli.context import Context, json_option, show

if TYPE_CHECKING:
    from eme_connector.domain.risk import CriticalityOrder
    from eme_connector.ports.misp_setup import MispAdministration
    from eme_connector.usecases.explain import Explained
    from eme_connector.usecases.misp_setup import Finding

MOST_SHOWN = 8
_SIGNS = {"ok": "✓", "warning": "!", "error": "✗"}


@click.group()
def misp() -> None:
    """MISP: explain the mapping, check and prepare an instance."""


@misp.command()
@click.argument("file")
@click.option(
    "--criticality-order",
    type=click.Choice(["descending", "ascending"]),
    default="descending",
    show_default=True,
    help="Of a bundle: descending means that 1 is the most critical.",
)
@click.option("--all", "every", is_flag=True, help="Name every leaf.")
@json_option
def explain(file: str, criticality_order: CriticalityOrder, every: bool, as_json: bool) -> None:
    """Say where every leaf of FILE goes: a STIX bundle in MISP, or an event in STIX.

    `-` is standard input. Nothing is sent anywhere.
    """
    from eme_connector.usecases import explain as usecase

    data = sys.stdin.buffer.read() if file == "-" else _read(file)
    found = usecase.explain(data, criticality_order)
    show(found.accounting.document(), as_json, _lines(found, every))


@misp.command()
@click.option("--admin-key-file", help="API key of a site admin: sees servers and settings too.")
@json_option
@click.pass_obj
def check(context: Context, admin_key_file: str | None, as_json: bool) -> None:
    """Look at everything in our MISP that has to be right, and name the fix; ends with 1 if not."""
    _, findings = _looked(context, admin_key_file)
    healthy = all(one.level != "error" for one in findings)
    document = {"ok": healthy, "findings": [one.document() for one in findings]}
    show(document, as_json, _told(findings))
    sys.exit(0 if healthy else 1)


@misp.command()
@click.option("--apply/--dry-run", help="Make the changes, or only show them.  [default: dry run]")
@click.option("--admin-key-file", help="API key of a site admin; the changes need it.")
@json_option
@click.pass_obj
def bootstrap(context: Context, apply: bool, admin_key_file: str | None, as_json: bool) -> None:
    """Make our MISP ready: taxonomies, templates, flags of servers, a setting.

    Without --apply the changes are only shown; with it each is looked at again afterwards.
    """
    from eme_connector.usecases import misp_setup

    system, findings = _looked(context, admin_key_file)
    changes = [one.change.says for one in findings if one.change]
    if apply and changes:
        if not system.may_change():
            raise click.UsageError("Only a site admin may change these; give --admin-key-file.")
        tried = misp_setup.apply(findings, system)
        _, findings = _looked(context, admin_key_file)
        left = {one.change.says for one in findings if one.change}
        changes = [one for one in tried if one not in left]
        by_hand = [one for one in findings if one.level != "ok"]
    else:
        by_hand = [one for one in findings if one.level != "ok" and not one.change]
    document = {
        "applied": apply,
        "changes": changes,
        "by_hand": [one.document() for one in by_hand],
    }
    said = "done" if apply else "would"
    lines = [f"{said}: {one}" for one in changes]
    show(document, as_json, [*lines, *_told(by_hand)] or ["nothing to change"])


@misp.group()
def templates() -> None:
    """Our own MISP object templates, which MISP reads from its disk only."""


@templates.command()
@click.argument("dest", type=click.Path(file_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only show what would be copied.")
@json_option
def export(dest: Path, dry_run: bool, as_json: bool) -> None:
    """Copy them to DEST: MISP's folder of object templates, or one to carry there.

    That folder is app/files/misp-objects/objects of a MISP. `eme misp bootstrap --apply` lets
    MISP load them, and says whether it has.
    """
    from eme_connector.usecases.misp_setup import APPLY, DISK, own_templates

    files = {dest / path: content for path, content in own_templates().items()}
    for target, content in () if dry_run else files.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    copied = list(files)
    document = {"path": str(dest), "files": [str(one) for one in copied], "dry_run": dry_run}
    there = "" if dest.name == "objects" else f"copy {dest}/* to MISP's {DISK}, then "
    show(document, as_json, [*map(str, copied), f"    → {there}{APPLY}"])


def _looked(context: Context, key_file: str | None) -> tuple[MispAdministration, list[Finding]]:
    from eme_connector.bootstrap import open_misp
    from eme_connector.usecases import misp_setup

    config = context.load()
    key = _read(key_file).decode().strip() if key_file else None
    system = open_misp(config, key)
    setup = system.read()
    if key is not None:
        # what the admin sees, and whose key the sidecar has
        own = open_misp(config).read()
        setup = replace(
            setup, organisation=own.organisation, role=own.role, permissions=own.permissions
        )
    return system, misp_setup.check(setup, config.instance.organisation)


def _told(findings: list[Finding]) -> Iterator[str]:
    for one in findings:
        yield f"{_SIGNS[one.level]} {one.part}: {one.detail}"
        if one.fix:
            yield f"    → {one.fix}"


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as exc:
        raise click.ClickException(f"{file}: {exc.strerror}") from exc


def _lines(found: Explained, every: bool) -> Iterator[str]:
    counts = found.counts()
    yield f"{sum(counts.values())} leaves of the {found.kind}: " + ", ".join(
        f"{number} {fate}" for fate, number in counts.items()
    )
    if every:
        for one in found.accounting.entries:
            yield f"{one.fate:8} {one.pointer or '/'}  →  {one.reason or one.to}"
        return
    if counts["mapped"]:
        yield ""
        yield "mapped to"
        for part, number in found.targets():
            yield f"  {number:5}  {part}"
    for fate in ("kept", "refused", "unaccounted"):
        for reason, pointers in found.reasons(fate):
            yield ""
            yield f"{fate}: {reason or 'nobody knows where it went'} ({len(pointers)})"
            yield from (f"         {one or '/'}" for one in pointers[:MOST_SHOWN])
            if len(pointers) > MOST_SHOWN:
                yield f"         … and {len(pointers) - MOST_SHOWN} more (--all names them)"
