"""`eme ingest`: send bundles to a sidecar, as an orchestrator would."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from eme_connector.cli.context import json_option, show


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--server", default="http://127.0.0.1:8150", show_default=True, help="The sidecar.")
@click.option("--token-file", help="File with the token; default: EME_TOKEN.")
@click.option("--event", is_flag=True, help="Each file is one event, not a bundle.")
@json_option
def ingest(
    files: tuple[str, ...], server: str, token_file: str | None, event: bool, as_json: bool
) -> None:
    """Send FILES (`-` is standard input, .gz goes as it is).

    Ends with the exit code of the last that was refused.
    """
    from eme_connector.cli.api import Api
    from eme_connector.cli.errors import exit_code
    from eme_connector.errors import EmeError, InvalidInput

    api = Api(server.rstrip("/"), token=_token(token_file))
    path = "/ci/threats/event" if event else "/ci/threats"
    worst = 0
    for name in files:
        try:
            found = send(api, path, name)
            show(found | {"file": name}, as_json, _taken(name, found))
        except EmeError as exc:
            worst = exit_code(exc.status)
            faults = exc.faults if isinstance(exc, InvalidInput) else ()
            lines = [f"{name}: refused: {exc.title}"]
            lines += [f"  {one.pointer or '/'}: {one.detail}" for one in faults] or [f"  {exc}"]
            show(exc.problem() | {"file": name}, as_json, lines)
    sys.exit(worst)


def send(api: Any, path: str, name: str) -> dict[str, Any]:
    """Send the file *name* and return the sidecar's answer."""
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    headers = {"Content-Type": "application/json"}
    if data.startswith(b"\x1f\x8b"):
        headers["Content-Encoding"] = "gzip"
    found: dict[str, Any] = api.call("POST", path, data=data, headers=headers).json()
    return found


def _token(path: str | None) -> str:
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    found = os.environ.get("EME_TOKEN", "")
    if not found:
        raise click.UsageError("give --token-file, or set EME_TOKEN")
    return found


def _taken(name: str, found: dict[str, Any]) -> list[str]:
    return [f"{name}: {one['id']} {one['status']}" for one in found["threats"]]
