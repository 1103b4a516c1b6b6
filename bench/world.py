"""Sidecars for the bench: configured by the demo's world, changed where a case needs it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import requests
import yaml

from eme_connector.demo.processes import Child, free_port
from eme_connector.demo.walk import sample
from eme_connector.demo.world import World

HERE = Path(__file__).parent
Change = Callable[[dict[str, Any]], None]


def new_world(folder: Path, change: Change | None = None, names: Iterable[str] = ()) -> World:
    """Return two configured sidecars in *folder*; *change* edits the operator's configuration.

    The operator's serves organisations of these *names* too.
    """
    world = World.open(folder, {who: free_port() for who in ("ci", "cert", "receiver")}, names)
    world.prepare()
    if change is not None:
        path = folder / "ci" / "config.yaml"
        tree = yaml.safe_load(path.read_text())
        change(tree)
        path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
    return world


def hold_deliveries(tree: dict[str, Any]) -> None:
    """Leave every delivery to a worker that is not there: they are owed, and stay so."""
    tree["serve"]["deliver"] = False


@contextmanager
def started(world: World, *who: str, env: dict[str, str] | None = None) -> Iterator[list[Child]]:
    """Start some of the world's processes, with more in their environment; end them after."""
    before = dict(os.environ)
    os.environ.update(env or {})
    children: list[Child] = []
    try:
        children += [world.start(one) for one in who]
        os.environ.clear()
        os.environ.update(before)
        yield children
    finally:
        os.environ.clear()
        os.environ.update(before)
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.wait()


@contextmanager
def program(*words: str, url: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Run one of the bench's own programs while the block runs."""
    process = subprocess.Popen([sys.executable, *words], cwd=HERE.parent)  # noqa: S603
    try:
        if url:
            wait_for(url)
        yield process
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def hello() -> Iterator[int]:
    """Serve the floor: Flask hello on gunicorn gthread, 1 worker, 16 threads; yield its port."""
    port = free_port()
    words = ["-m", "gunicorn", "bench.hello:app", "-b", f"127.0.0.1:{port}", "-k", "gthread",
             "-w", "1", "--threads", "16", "--log-level", "error",
             "--no-control-socket"]  # fmt: skip
    with program(*words, url=f"http://127.0.0.1:{port}/readyz"):
        yield port


def wait_for(url: str, seconds: float = 20.0) -> None:
    """Wait until *url* answers."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            requests.get(url, timeout=1)
            return
        except requests.RequestException:
            time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


def bundle(iris_id: str) -> dict[str, Any]:
    """Return a detection whose whole playbook the policy of the world covers."""
    document: dict[str, Any] = json.loads(_sample())
    carrier = document["objects"][0]
    carrier["detection"]["iris_id"] = iris_id
    carrier["playbook_actions"]["workflow"] = carrier["playbook_actions"]["workflow"][:1]
    return document


@lru_cache
def _sample() -> bytes:
    return sample().read_bytes()


def counted(world: World, who: str = "ci") -> dict[str, int]:
    """Return how many threats, open and delivered deliveries a sidecar's database holds."""
    database = sqlite3.connect(f"file:{world.folder}/{who}/data/eme.db?mode=ro", uri=True)
    try:
        states = dict(database.execute("SELECT state, count(*) FROM delivery GROUP BY state"))
        threats = database.execute("SELECT count(*) FROM threat").fetchone()[0]
    finally:
        database.close()
    is_open = states.get("owed", 0) + states.get("sending", 0)
    return {"threats": threats, "open": is_open, "delivered": states.get("delivered", 0)}
