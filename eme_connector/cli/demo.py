"""`eme demo`: two sidecars on this machine, and a detection's way from one to the other."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from eme_connector.demo.processes import Child
    from eme_connector.demo.world import World

CHILDREN = ("receiver", "cert", "ci")
_WORDS = {
    "received": "received by the operator's sidecar",
    "policy": "asked the policy",
    "decided": "decided",
    "dispatched": "dispatched to the receiver (the demo's own, it runs nothing)",
    "shared": "seen by the CERT",
    "refused": "refused",
    "failed": "FAILED",
}


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--once", is_flag=True, help="Walk the files with data of its own, then end.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-data"),
    show_default=True,
    help="Kept for the next start.",
)
@click.option("--ci-port", default=8151, show_default=True, help="0 is a free one.")
@click.option("--cert-port", default=8152, show_default=True, help="0 is a free one.")
@click.option("--receiver-port", default=8153, show_default=True, help="0 is a free one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line per stage.")
def demo(
    files: tuple[Path, ...],
    once: bool,
    data_dir: Path,
    ci_port: int,
    cert_port: int,
    receiver_port: int,
    as_json: bool,
) -> None:
    """Start an operator's and a CERT's sidecar, peered, and walk a detection through them."""
    wanted = {"ci": ci_port, "cert": cert_port, "receiver": receiver_port}
    say = _say_json if as_json else _say
    if once:
        with tempfile.TemporaryDirectory(prefix="eme-demo-") as folder:
            sys.exit(_once(Path(folder), files, say, quiet=as_json))
    _stay(data_dir, _ports(wanted), files, say)


def _once(folder: Path, files: tuple[Path, ...], say: Callable[[Any], None], *, quiet: bool) -> int:
    from eme_connector.demo.walk import organisations_in, sample, walk
    from eme_connector.demo.world import World

    chosen = [(str(path), path.read_bytes()) for path in files or (sample(),)]
    named = [organisations_in(data) for _, data in chosen]
    names = {name for found in named if len(found) == 1 for name in found}
    world = World.open(folder, _ports(dict.fromkeys(CHILDREN, 0)), sorted(names))
    with ExitStack() as stack:
        _start_all(world, stack, quiet=quiet)
        done = [walk(world, file, data, say) for file, data in chosen]
    return 0 if all(done) else 1


def _stay(
    folder: Path, ports: dict[str, int], files: tuple[Path, ...], say: Callable[[Any], None]
) -> None:
    from eme_connector.demo.walk import sample, walk
    from eme_connector.demo.world import World

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    world = World.open(folder, ports)
    with ExitStack() as stack:
        _start_all(world, stack, quiet=False)
        _introduce(world)
        for path in files or ((sample(),) if world.is_new else ()):
            walk(world, path.name, path.read_bytes(), say)
        click.echo("\nCtrl-C ends all of it; the data stays in " + str(folder))
        ended.wait()
        click.echo("\nEnding …")
    click.echo("Ended.")


def _start_all(world: World, stack: ExitStack, *, quiet: bool) -> None:
    tell = (lambda _: None) if quiet else click.echo
    tell("Preparing two sidecars …" if world.is_new else "Found the data of last time …")
    world.prepare()
    children: list[Child] = []
    stack.callback(_stop_all, children)
    for who in CHILDREN:
        tell(f"Starting {who} on {world.url(who)} …")
        children.append(world.start(who))


def _stop_all(children: list[Child]) -> None:
    for child in reversed(children):
        child.ask_to_stop()
    for child in children:
        child.wait()


def _introduce(world: World) -> None:
    from eme_connector.demo.world import ANALYST, PERSON

    click.echo("")
    for who, name, title in (("ci", PERSON, "Operator"), ("cert", ANALYST, "CERT")):
        click.echo(f"  {title:9} {click.style(world.url(who), bold=True)}   account {name}"
                   + (f", password {world.passwords[name]}" if world.is_new else ""))  # fmt: skip
    if not world.is_new:
        click.echo("  (the passwords were printed at the first start)")
    click.echo("")


def _ports(wanted: dict[str, int]) -> dict[str, int]:
    from eme_connector.demo.processes import check_port, free_port

    for who, port in wanted.items():
        if port:
            check_port(port, f"--{who}-port")
    return {who: port or free_port() for who, port in wanted.items()}


def _say_json(line: dict[str, Any]) -> None:
    click.echo(json.dumps(line, ensure_ascii=False))


def _say(line: dict[str, Any]) -> None:
    words = _WORDS[line["stage"]]
    status = line.get("status", "")
    click.echo(f"  {line.get('ms', 0):>6} ms  {words}: {status}")
    if line["stage"] == "policy" and status == "pending":
        click.echo("             it waits for a person")
    if line.get("new_end"):
        click.echo(f"             the playbook had expired; new end {line['new_end'][:16]}")
    if line.get("message"):
        click.echo(f"             {line['message']}")


__all__ = ["demo"]
