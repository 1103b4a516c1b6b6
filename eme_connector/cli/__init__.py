"""The command `eme`: one file per noun; what is heavy is imported where it runs."""

from __future__ import annotations

from pathlib import Path

import click

from eme_connector import __version__
from eme_connector.cli.context import Context
from eme_connector.cli.errors import Group

COMMANDS = {
    "init": "setup",
    "serve": "run",
    "worker": "run",
    "demo": "demo",
    "doctor": "doctor",
    "config": "setup",
    "login": "session",
    "logout": "session",
    "whoami": "session",
    "ingest": "ingest",
    "threats": "threats",
    "approve": "threats",
    "decline": "threats",
    "share": "share",
    "policy": "policy",
    "outbox": "outbox",
    "peers": "peers",
    "cerebrate": "cerebrate",
    "token": "token",
    "user": "user",
    "misp": "misp",
    "misp-modules": "misp_modules",
    "stop": "stop",
    "backup": "backup",
    "restore": "backup",
    "sg": "sg",
}


class Commands(Group):
    """Commands whose modules are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the command *name*."""
        if name not in COMMANDS:
            return None
        from importlib import import_module

        module = import_module(f"eme_connector.cli.{COMMANDS[name]}")
        found: click.Command = getattr(module, name.replace("-", "_"))
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="eme")
@click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("config.yaml"),
    envvar="EME_CONFIG",
    show_default=True,
    help="The sidecar's configuration (EME_CONFIG).",
)
@click.pass_context
def main(ctx: click.Context, config_path: Path) -> None:
    """Connect MISP and Cerebrate communities to automated threat response."""
    ctx.obj = Context(config_path)


__all__ = ["COMMANDS", "main"]
