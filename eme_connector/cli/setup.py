"""`eme init`, `eme config`: the first steps."""

from __future__ import annotations

from uuid import uuid4

import click

from eme_connector.cli.context import Context, json_option, show

_TEMPLATE = """\
# Written by `eme init`; config.example.yaml explains every key.
instance:
  name: {name}
  organisation: {uuid}
  data_dir: data
organisations:
  - uuid: {uuid}
    name: {name}
    role: {role}
"""


@click.command()
@click.option("--name", required=True, help="Exact name of your organisation, as in MISP.")
@click.option("--uuid", help="Its uuid in Cerebrate and MISP; default: a fresh one.")
@click.option("--role", type=click.Choice(["ci", "cert"]), default="ci", show_default=True)
@click.option("--dry-run", is_flag=True, help="Only show the file.")
@json_option
@click.pass_obj
def init(
    context: Context, name: str, uuid: str | None, role: str, dry_run: bool, as_json: bool
) -> None:
    """Write a first config.yaml beside an empty data folder."""
    from eme_connector import config
    from eme_connector.errors import Conflict

    path = context.config_path
    text = _TEMPLATE.format(name=_quoted(name), uuid=uuid or uuid4(), role=role)
    if dry_run:
        show({"path": str(path), "content": text}, as_json, [text])
        return
    if path.exists():
        raise Conflict(f"{path} is there already")
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    found = config.load(path)
    found.instance.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = [
        f"Wrote {path}. Next:",
        f"  eme --config {path} user add NAME --role admin",
        f"  eme --config {path} token create atio --right ingest",
        f"  eme --config {path} serve",
    ]
    show({"path": str(path), "organisation": found.instance.organisation}, as_json, lines)


@click.group()
def config() -> None:
    """The configuration."""


@config.command()
@json_option
@click.pass_obj
def check(context: Context, as_json: bool) -> None:
    """Say whether the configuration can be used, or everything that is wrong with it."""
    found = context.load()
    show({"ok": True}, as_json, [f"{context.config_path} can be used by {found.instance.name}"])


@config.command("show")
@json_option
@click.pass_obj
def show_config(context: Context, as_json: bool) -> None:
    """Show what counts, defaults and overrides included; secrets stay hidden."""
    import yaml

    document = context.load().model_dump(mode="json")
    show(document, as_json, [yaml.safe_dump(document, sort_keys=False).rstrip()])


def _quoted(name: str) -> str:
    import json

    return json.dumps(name, ensure_ascii=False)
