"""`eme serve`, `eme worker`: the running parts."""

from __future__ import annotations

import signal
import threading

import click

from eme_connector.cli.context import Context


@click.command()
@click.pass_obj
def serve(context: Context) -> None:
    """Serve the API and the pages, and deliver what is owed."""
    from eme_connector.startup import seldom_collected

    with seldom_collected():
        from eme_connector.web.server import serve as run

        config = context.load()
    run(config, context.load)


@click.command()
@click.pass_obj
def worker(context: Context) -> None:
    """Deliver what is owed, beside `eme serve`, on PostgreSQL."""
    from eme_connector.bootstrap import hold_data
    from eme_connector.errors import ConfigError, Conflict
    from eme_connector.usecases.work import Worker

    if context.load().store_url.startswith("sqlite"):
        raise ConfigError(
            ["store.url: `eme worker` needs PostgreSQL; on SQLite `eme serve` delivers itself"]
        )
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    if not hold_data(context.load()):
        raise Conflict("a restore is going on")
    with context.system() as eme:
        found, schedule = Worker(eme), eme.schedule()
        found.start()
        schedule.start()
        click.echo("delivering; Ctrl-C ends it", err=True)
        ended.wait()
        schedule.stop()
        found.stop()
