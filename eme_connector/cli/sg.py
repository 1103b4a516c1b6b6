"""`eme sg`: sharing groups that stay true on every MISP and Cerebrate of the fleet."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eme_connector.cli import sg_text
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
    from eme_connector.bootstrap import Eme
    from eme_connector.usecases.relay_cycle import Office, Report

CONVERGED, DIFFERENCES, UNAVAILABLE = 0, 2, 8
"""Exit codes of diff, plan, apply and watch; refusals have those of every command."""
F = TypeVar("F", bound=Callable[..., Any])


def _targets(command: F) -> F:
    return click.argument("targets", nargs=-1)(command)


@click.group()
def sg() -> None:
    """Keep sharing groups true on every target: exit code 0 converged, 2 differences, 8 down."""


@sg.command()
@json_option
@click.pass_obj
def status(context: Context, as_json: bool) -> None:
    """Show what the last cycle found at each target, and who wrote there; nothing is asked."""
    from eme_connector.usecases.relay_status import document, standings

    with context.system() as eme:
        found = standings(caller=local_admin(eme), system=eme)
    lines = [line for one in found for line in sg_text.standing(one)]
    told = {"targets": [document(one) for one in found]}
    show(told, as_json, lines or ["no target is configured: add a section `sync:`"])


@sg.command()
@_targets
@confirm_option
@click.option("--left", is_flag=True, help="Show what is left alone, too.")
@json_option
@click.pass_obj
def diff(
    context: Context, targets: tuple[str, ...], confirmed: tuple[str, ...], left: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Show what differs between the source and each target, by name; nothing is written."""
    from eme_connector.usecases.relay_fleet import diff as compare

    with context.system() as eme:
        reports = compare(eme.fleet(), _office(eme), targets, confirmed)
    _end(reports, as_json, left)


@sg.command()
@_targets
@confirm_option
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File.")
@json_option
@click.pass_obj
def plan(
    context: Context, targets: tuple[str, ...], confirmed: tuple[str, ...], output: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Write a plan that can be reviewed, and applied as long as the world has not moved."""
    from eme_connector.usecases.relay_fleet import diff as compare
    from eme_connector.usecases.relay_plans import plan_document

    with context.system() as eme:
        office = _office(eme)
        reports = compare(eme.fleet(), office, targets, confirmed)
        if failed := [one for one in reports if one.state == "failed"]:
            _end(failed, as_json)
        document = plan_document(reports, confirmed, office.at)
    if output is not None:
        output.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    show(document, as_json, [line for one in reports for line in sg_text.report(one)])
    sys.exit(_code(reports))


@sg.command()
@_targets
@confirm_option
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Apply exactly this reviewed plan.",
)
@dry_run_option
@json_option
@click.pass_obj
def apply(
    context: Context, targets: tuple[str, ...], confirmed: tuple[str, ...],
    plan_file: Path | None, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make each target hold what the source holds, removals included."""
    from eme_connector.usecases import relay_fleet
    from eme_connector.usecases.relay_plans import read_plan

    digests = None
    if plan_file is not None:
        if targets or confirmed:
            raise click.UsageError("a plan names its targets and confirmations itself")
        digests, named = read_plan(_read(plan_file))
        confirmed = tuple(named)
    with context.system() as eme:
        fleet, office = eme.fleet(), _office(eme)
        if dry_run:
            reports = relay_fleet.diff(fleet, office, targets or tuple(digests or ()), confirmed)
        else:
            reports = relay_fleet.apply(
                fleet, office, targets, confirmed=confirmed, digests=digests,
                told=sg_text.Progress().told,
            )  # fmt: skip
    _end(reports, as_json)


@sg.command()
@click.option("--every", type=click.FloatRange(min=5), help="Seconds; `sync.every_s` or 60.")
@click.option("--once", is_flag=True, help="One cycle, then end.")
@json_option
@click.pass_obj
def watch(context: Context, every: float | None, once: bool, as_json: bool) -> None:
    """Apply again and again until told to stop; what is down now is tried at the next cycle."""
    from eme_connector.errors import DeliveryError, StoreUnavailable
    from eme_connector.usecases.relay_fleet import apply as relay

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with context.system() as eme:
        sync = eme.config.sync
        pause = every or (sync.every_s if sync else None) or 60.0
        while True:
            try:
                reports = relay(eme.fleet(), _office(eme))
                for one in reports:
                    show(sg_text.document(one), as_json, sg_text.report(one))
                code = _code(reports)
            except (DeliveryError, StoreUnavailable) as exc:
                show(exc.problem(), as_json, [f"no cycle now: {exc}"])
                code = UNAVAILABLE
            if once or ended.wait(pause):
                break
    sys.exit(code if once else 0)


@sg.command()
@_targets
@dry_run_option
@json_option
@click.pass_obj
def undo(context: Context, targets: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Take back what the last apply wrote; it is not applied again until confirmed."""
    from eme_connector.usecases import relay_fleet
    from eme_connector.usecases.relay_undo import preview_undo

    with context.system() as eme:
        fleet, office = eme.fleet(), _office(eme)
        if dry_run:
            undone = [preview_undo(one, office) for one in fleet.named(targets)]
        else:
            undone = relay_fleet.undo(fleet, office, targets, told=sg_text.Progress().told)
    document = {"dry_run": dry_run, "targets": [sg_text.undone_document(one) for one in undone]}
    lines = [line for one in undone for line in sg_text.undone(one, dry_run)]
    show(document, as_json, lines)
    failed = any(one.outcome.failed or one.outcome.stopped for one in undone)
    sys.exit(DIFFERENCES if failed else CONVERGED)


@sg.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--group", "groups", multiple=True, help="Only this group (uuid).")
@json_option
@click.pass_obj
def export(context: Context, file: Path, groups: tuple[str, ...], as_json: bool) -> None:
    """Write the source's groups into a signed file for a site without a connection."""
    from eme_connector.usecases.relay_files import export_groups

    with context.system() as eme:
        jws, made = export_groups(eme.fleet().source(), eme.signer, _office(eme), groups)
        fingerprint = eme.signer.fingerprint
    file.write_text(jws + "\n", encoding="ascii")
    count = {"groups": len(made.snapshot.groups), "organisations": len(made.snapshot.organisations)}
    line = f"{count['groups']} groups, {count['organisations']} organisations → {file}"
    document = count | {"file": str(file), "serial": made.serial, "fingerprint": fingerprint}
    show(document, as_json, [line, f"signed by {fingerprint}"])


@sg.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@dry_run_option
@json_option
@click.pass_obj
def import_file(context: Context, file: Path, dry_run: bool, as_json: bool) -> None:
    """Believe a signed file; with `sync.source: file` the next apply is by it."""
    from eme_connector.usecases.relay_files import import_groups

    with context.system() as eme:
        trusted = eme.config.sync.certificate if eme.config.sync else None
        found = import_groups(file.read_bytes(), eme.signer, _office(eme), trusted, dry_run=dry_run)
    count = {"groups": len(found.snapshot.groups),
             "organisations": len(found.snapshot.organisations)}  # fmt: skip
    word = "would be imported" if dry_run else "imported; `eme sg diff` shows what that changes"
    document = count | {"serial": found.serial, "dry_run": dry_run,
                        "organisation": found.organisation}  # fmt: skip
    show(document, as_json, [f"{count['groups']} groups {word}"])


@sg.command("log")
@click.argument("run", required=False)
@click.option("--target", help="Only this target.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@json_option
@click.pass_obj
def show_log(
    context: Context, run: str | None, target: str | None, limit: int, as_json: bool
) -> None:
    """List the last runs, or what one of them wrote."""
    heads: tuple[str, ...] = ("run", "target", "kind", "by", "started", "calls", "state")
    with context.system() as eme:
        if run is None:
            rows = [sg_text.run_row(one) for one in eme.store.runs(target, limit)]
        else:
            heads = ("word", "subject", "member", "before", "after", "state")
            rows = [sg_text.write_row(one) for one in eme.store.writes(run)]
    document = {"rows": [dict(zip(heads, row, strict=True)) for row in rows]}
    show(document, as_json, table(tuple(one.upper() for one in heads), rows))


def _office(eme: Eme) -> Office:
    from eme_connector.usecases.relay_fleet import office

    return office(eme, local_admin(eme).name)


def _read(path: Path) -> Any:
    from eme_connector.formats import strict_json

    return strict_json.loads(path.read_bytes(), max_bytes=64 * 1024 * 1024)


def _end(reports: list[Report], as_json: bool, left: bool = False) -> None:
    document = {"targets": [sg_text.document(one, left) for one in reports]}
    lines = [line for one in reports for line in sg_text.report(one, left)]
    show(document, as_json, lines)
    sys.exit(_code(reports))


def _code(reports: list[Report]) -> int:
    states = {one.state for one in reports}
    if "failed" in states:
        return UNAVAILABLE
    return DIFFERENCES if "differs" in states else CONVERGED
