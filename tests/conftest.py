"""Fixtures for every test: servers of our own, the corpora, a browser."""

from __future__ import annotations

import os
import random
import shutil
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

from tests import ready
from tests.servers.postgres import Postgres, PostgresMissing
from tests.servers.redis import RedisMissing, RedisServer

ROOT = Path(__file__).parent.parent
IN_CI = bool(os.environ.get("CI"))

settings.register_profile("short", max_examples=60, deadline=None, derandomize=IN_CI)
settings.register_profile("long", max_examples=2_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


def pytest_terminal_summary(terminalreporter) -> None:
    """Print how long each folder of tests took, the slowest first."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for one in reports:
            if hasattr(one, "duration"):
                seconds["/".join(one.nodeid.split("::")[0].split("/")[:2])] += one.duration
    terminalreporter.section("seconds by folder")
    for folder, took in seconds.most_common():
        terminalreporter.write_line(f"{took:7.1f} {folder}")


def left_out(reason: str) -> None:
    """Skip with a reason; in CI a missing server or browser is a failure."""
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


def find_free_port() -> int:
    """Return a port that is free now, and that nobody gets who asks the system for any port."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000, 2)  # Caddy takes the next one too
        with socket.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                listening.bind(("127.0.0.1", port))
                return port


@pytest.fixture
def free_port():
    """Return how to find a port that is free now."""
    return find_free_port


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    try:
        server = Postgres(find_free_port())
    except PostgresMissing:
        left_out("PostgreSQL is not installed: apt-get install postgresql")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_database(postgres: Postgres) -> str:
    """Return the URL of a fresh empty PostgreSQL database."""
    return postgres.create_database()


@pytest.fixture
def ready_postgres(postgres: Postgres) -> str:
    """Return the URL of a fresh PostgreSQL database of our schema."""
    return ready.postgresql(postgres)


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """Return a Redis; a test that stops it starts it again."""
    try:
        server = RedisServer(find_free_port())
    except RedisMissing:
        left_out("Redis is not installed: apt-get install redis-server")
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Return the folder of real bundles; where it is not, say so."""
    folder = Path(os.environ.get("EME_CORPORA", ROOT.parent / "shared" / "corpora"))
    if not folder.is_dir():
        pytest.skip("the corpora are not on this machine (EME_CORPORA)")
    return folder


@pytest.fixture(scope="session")
def chromium_path() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        left_out("Chromium is not installed: apt-get install chromium")
    return str(found)
