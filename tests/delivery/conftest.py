"""Sidecars, an orchestrator that misbehaves, and a peer behind a real port."""

from __future__ import annotations

import pytest

from eme_connector.usecases import peering, share
from tests.build import CERT, CI, person
from tests.delivery.two import Two
from tests.delivery.world import Sidecar, orchestrator
from tests.doubles.orchestrator import Orchestrator
from tests.doubles.peer import PeerServer


@pytest.fixture
def engine():
    """Where sidecars keep their data; a module that proves both has its own."""
    return "sqlite"


@pytest.fixture(scope="session")
def empty_postgres(postgres):
    """Return the URL of a database of our schema, and how to empty it."""
    import psycopg

    from eme_connector.adapters.database import upgrade
    from eme_connector.adapters.database.tables import metadata

    url = postgres.create_database()
    upgrade(url)
    names = ", ".join(f'"{one.name}"' for one in metadata.sorted_tables)

    def empty():
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"TRUNCATE {names}")
        return url

    return empty


@pytest.fixture
def make(tmp_path, engine, request):
    """Make sidecars that are closed at the end; on PostgreSQL they share one database."""
    made = []
    url = request.getfixturevalue("empty_postgres")() if engine == "postgresql" else ""

    def one(organisation=CI, folder="", **sections):
        place = tmp_path / (folder or organisation)
        made.append(Sidecar(place, organisation, url=url, **sections))
        return made[-1]

    yield one
    for each in made:
        each.close()


@pytest.fixture
def hook():
    double = Orchestrator()
    yield double
    double.close()


@pytest.fixture
def ci(make, hook):
    """A sidecar whose orchestrator neither dedupes nor can be asked."""
    return make(orchestrators=[orchestrator(hook)])


@pytest.fixture
def asking(make, hook):
    """A sidecar whose orchestrator can be asked what it has."""
    return make(orchestrators=[orchestrator(hook, look_up_url=hook.look_up_url)])


@pytest.fixture
def safe(make, hook):
    """A sidecar whose orchestrator dedupes by key."""
    return make(orchestrators=[orchestrator(hook, idempotent=True)])


class Pair:
    """A CI and a CERT that have peered; `server` stands before the CERT's use case."""

    def __init__(self, ci, cert):
        self.ci, self.cert = ci, cert
        self.server = PeerServer(lambda jws: share.receive_message(jws, system=cert.eme))

    def peer(self):
        introduce(self.cert, self.ci, self.server.url)
        introduce(self.ci, self.cert, "http://127.0.0.1:9")


def introduce(one, to, url):
    """Let *to* trust *one* at *url*."""
    import json

    file = json.dumps(peering.export_peer(one.eme) | {"url": url}).encode()
    caller = person(to.eme.organisation.uuid)
    fingerprint = peering.own_fingerprint(one.eme)
    return peering.add_peer(file, fingerprint, caller=caller, system=to.eme)


@pytest.fixture
def strangers(make):
    ci = make(CI)
    found = Pair(ci, make(CERT, clock=ci.clock))
    yield found
    found.server.close()


@pytest.fixture
def pair(strangers):
    strangers.peer()
    return strangers


@pytest.fixture
def two(make):
    """Two sidecars that are about to become peers."""
    found = Two(make)
    yield found
    found.server.close()
