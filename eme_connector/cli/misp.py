"""`eme misp`: what becomes of our data there, and whether that MISP is ready for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eme_connector.cli.context import json_option, show

if TYPE_CHECKING:
    from eme_connector.domain.risk import CriticalityOrder
    from eme_connector.usecases.explain import Explained

MOST_SHOWN = 8


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
