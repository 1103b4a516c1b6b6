"""`eme backup`, `eme restore`: everything a sidecar has, in one file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from eme_connector.cli.context import Context, json_option, show

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("target", type=_FILE)
@json_option
@click.pass_obj
def backup(context: Context, target: Path, as_json: bool) -> None:
    """Write database, keys and configuration into TARGET, a new file or a folder.

    The sidecar may be running. The file holds secrets and is for its owner alone.
    """
    from eme_connector.bootstrap import back_up
    from eme_connector.errors import Unavailable

    try:
        path, manifest = back_up(context.load(), context.config_path, target)
    except OSError as exc:
        raise Unavailable(f"{target}: cannot be written: {exc.strerror}") from exc
    size = sum(int(one["bytes"]) for one in manifest.files.values())
    document = {"path": str(path), "schema": manifest.schema, "made_at": manifest.made_at,
                "bytes": size, "files": sorted(manifest.files)}  # fmt: skip
    show(document, as_json, [f"{path}: {size / 1e6:.1f} MB, {len(manifest.files)} files"])


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Even where there is data; SQLite is kept aside.")
@click.option("--dry-run", is_flag=True, help="Only check the backup and say what would happen.")
@json_option
@click.pass_obj
def restore(context: Context, source: Path, replace: bool, dry_run: bool, as_json: bool) -> None:
    """Put the backup SOURCE in the place of this sidecar's data.

    No sidecar may be running on it. Where there is no configuration yet, that of the backup is
    written.
    """
    from eme_connector.bootstrap import opened_backup
    from eme_connector.errors import Unavailable

    try:
        with opened_backup(source, context.config_path.parent) as found:
            wrote = not dry_run and found.write_config(context.config_path)
            config = context.load()
            found.refuse(config, replace=replace)
            done = None if dry_run else found.restore(config)
            document = _told(found.manifest, dry_run) | {"wrote_config": wrote}
    except OSError as exc:
        raise Unavailable(f"cannot be restored: {exc.strerror}") from exc
    lines = [f"The backup of {_moment(document['made_at'])} is whole."]
    if done is not None:
        aside, settled = done
        document |= {"set_aside": [str(one) for one in aside], "asked": settled.asked,
                     "open": settled.open}  # fmt: skip
        lines = _meaning(document)
    show(document, as_json, lines)


def _told(told: Any, dry_run: bool) -> dict[str, Any]:
    return {"made_at": told.made_at, "schema": told.schema, "version": told.version,
            "files": sorted(told.files), "dry_run": dry_run}  # fmt: skip


def _meaning(document: dict[str, Any]) -> list[str]:
    moment = _moment(document["made_at"])
    return [
        f"Restored as of {moment}. What happened since is not in it:",
        "  detections and decisions made since are unknown here; look at the orchestrator before",
        "  you approve again (`eme stop --reason …` before `eme serve` keeps policy from acting)",
        f"  {document['asked']} dispatches that may have left are asked about before they are sent",
        "  tokens, accounts and peers are as they were: revoke again what was revoked since",
        "  everybody has to log in again",
        *(f"  kept aside: {one}" for one in document["set_aside"]),
    ]


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
