"""`eme login`, `logout`, `whoami`: a person's session on a sidecar."""

from __future__ import annotations

import click

from eme_connector.cli.context import json_option, read_secret, show


@click.command()
@click.option("--server", default="http://127.0.0.1:8150", show_default=True, help="The sidecar.")
@click.option("--name", prompt=True, help="The account.")
@click.option("--password-file", help="Read the password from a file; - is standard input.")
@json_option
def login(server: str, name: str, password_file: str | None, as_json: bool) -> None:
    """Log in; commands that decide need a person."""
    from eme_connector.cli.api import log_in, save_session

    if password_file:
        password = read_secret(password_file, "")
    else:
        password = click.prompt("Password", hide_input=True)
    path = save_session(log_in(server, name, password))
    show({"name": name, "server": server, "session": str(path)}, as_json,
         [f"Logged in as {name} on {server}"])  # fmt: skip


@click.command()
@json_option
def logout(as_json: bool) -> None:
    """End the session."""
    from eme_connector.cli.api import load_session, session_path

    load_session().call("DELETE", "/session")
    session_path().unlink(missing_ok=True)
    show({"logged_in": False}, as_json, ["Logged out"])


@click.command()
@json_option
def whoami(as_json: bool) -> None:
    """Say who is logged in."""
    from eme_connector.cli.api import load_session

    api = load_session()
    found = api.call("GET", "/session").json()
    found.pop("csrf_token", None)
    lines = [f"{found['name']} on {api.server}", f"rights: {', '.join(found['rights'])}"]
    show(found | {"server": api.server}, as_json, lines)
