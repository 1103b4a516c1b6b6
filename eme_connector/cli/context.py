"""What commands share: the configuration, the system, who acts, how to print."""

from __future__ import annotations

import getpass
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from eme_connector.bootstrap import Eme
    from eme_connector.config import Config
    from eme_connector.domain.rights import Caller

_CONFIRMATION = re.compile(
    r"all|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(@[0-9a-f]{16})?", re.IGNORECASE
)
F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Context:
    """The options of `eme` itself."""

    config_path: Path

    def load(self) -> Config:
        """Return the configuration.

        Raises:
            ConfigError
        """
        from eme_connector import config

        return config.load(self.config_path)

    @contextmanager
    def system(self) -> Iterator[Eme]:
        """Open the system on its own database, brought to our schema, and close it again."""
        from eme_connector.startup import seldom_collected

        with seldom_collected():
            from eme_connector.bootstrap import build, prepare

            found = self.load()
            prepare(found)
            eme = build(found)
        try:
            yield eme
        finally:
            eme.close()


def local_admin(eme: Eme, organisation: str | None = None) -> Caller:
    """Return whoever may read the configuration and the database: all rights but to decide."""
    from eme_connector.domain.rights import PEOPLE_ONLY, Caller, Right

    name = f"cli:{getpass.getuser()}"
    owner = organisation or eme.organisation.uuid
    return Caller("person", name, name, owner, frozenset(Right) - PEOPLE_ONLY)


def find_organisation(eme: Eme, name: str | None) -> str:
    """Return the uuid of the organisation called *name*, or of our own for None.

    Raises:
        NotFound
    """
    from eme_connector.errors import NotFound

    if name is None:
        return eme.organisation.uuid
    found = eme.topology.find_organisation(name)
    if found is None:
        raise NotFound(f"no organisation in the configuration is called {name}")
    return found.uuid


def json_option(command: F) -> F:
    """Add --json to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def dry_run_option(command: F) -> F:
    """Add --dry-run to a command."""
    return click.option("--dry-run", is_flag=True, help="Only say what would happen.")(command)


def confirm_option(command: F) -> F:
    """Add --confirm to a command: removals that do not have to wait any longer."""
    text = (
        "UUID@CODE, as it was shown: exactly those removals do not have to wait; UUID alone:"
        " whatever waits in that group; `all`: in every group. May be repeated."
    )
    option = click.option("--confirm", "confirmed", multiple=True, help=text, callback=_confirmed)
    return option(command)


def _confirmed(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    for one in given:
        if not _CONFIRMATION.fullmatch(one):
            raise click.BadParameter(f"{one!r} is neither a group's uuid, UUID@CODE, nor `all`")
    return tuple(one.lower() for one in given)


def show(document: Any, as_json: bool, lines: Iterable[str] = ()) -> None:
    """Print *document* as JSON, or *lines* for a person."""
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, default=str))
        return
    for line in lines:
        click.echo(line)


def table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    """Return *rows* as aligned lines below *heads*."""
    cells = [heads, *(tuple("" if c is None else str(c) for c in row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def read_secret(path: str | None, prompt: str) -> str:
    """Return a secret from a file, from standard input (`-`), or asked for twice."""
    if path == "-":
        return sys.stdin.readline().rstrip("\n")
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    found: str = click.prompt(prompt, hide_input=True, confirmation_prompt=True)
    return found
