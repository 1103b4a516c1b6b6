"""Replicas of `eme worker` on PostgreSQL, killed between sending and recording; others go on."""

from __future__ import annotations

import time

import pytest

from tests.faults.aftermath import check_deliveries, check_threats, drain, provision
from tests.faults.client import Client
from tests.faults.receiver import SECRET, Receiver
from tests.faults.sidecar import Sidecar
from tests.faults.sockets import holder
from tests.server.person import Person, Stream

# a lease lasts twice the time-out and this much longer: nobody needs to wait for it in a test
SHORT_LEASES = "import eme_connector.usecases.attempt as attempt; attempt.LEASE_MARGIN_S = 0.5"
TIMEOUT_S = 1.5
SERVERS = 2


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.release()
    found.close()


@pytest.fixture(params=["idempotent", "look-first"])
def sidecar(request, tmp_path, receiver, free_port, postgres_database):
    """Return servers behind one port that deliver nothing themselves."""
    found = Sidecar(
        tmp_path,
        free_port(),
        before=SHORT_LEASES,
        store={"url": postgres_database},
        serve={"workers": SERVERS, "deliver": False},
        orchestrators=[
            {
                "name": "demo",
                "url": receiver.url,
                "secret": SECRET,
                "idempotent": request.param == "idempotent",
                "timeout_s": TIMEOUT_S,
            }
        ],
        delivery={"settle_s": 1.0, "retry_first_s": 0.1, "retry_most_s": 1.0},
        limits={"logins_per_minute": 1000},
    )
    found.idempotent = request.param == "idempotent"
    yield found
    found.kill()


@pytest.mark.parametrize(
    ("bundles", "kills"),
    [
        pytest.param(30, 2, id="short"),
        pytest.param(600, 20, id="long", marks=pytest.mark.long),
    ],
)
def test_a_worker_killed_between_send_and_record_loses_and_doubles_nothing(
    sidecar, receiver, bundles, kills
):
    token, admin = provision(sidecar)
    replicas = [sidecar.also("worker"), sidecar.also("worker")]
    sidecar.start()
    streams = _streams_at_every_server(sidecar)
    client = Client(sidecar.url, token, "anna", bundles)
    client.start()

    for number in range(1, kills + 1):
        _wait_until(lambda n=number: client.log.operations >= bundles * n // (kills + 1))
        replicas = _kill_who_sends(sidecar, receiver, replicas)
    client.join()

    assert client.problems == []
    found = drain(sidecar, admin)
    check_threats(sidecar, admin, client)
    check_deliveries(receiver, client, found, idempotent=sidecar.idempotent)
    if sidecar.idempotent:
        assert len(receiver.seen) > len(client.log.approved()), "no kill came between"
    else:
        assert [one for one in found if one["state"] == "uncertain"]
    ingested = set(client.log.ingested.values())
    _wait_until(lambda: all(set(one.seen) == ingested for one in streams))
    assert not any(one.ended for one in streams)


def _kill_who_sends(sidecar, receiver, replicas):
    """Kill the replica whose request the receiver has and has not answered; start another."""
    killed = _hold_one(receiver, replicas)
    killed.kill()
    killed.wait(10)
    receiver.release()
    assert all(one.poll() is None for one in replicas if one is not killed)
    return [one for one in replicas if one is not killed] + [sidecar.also("worker")]


def _hold_one(receiver, replicas):
    """Return a replica that waits for its answer now."""
    by_pid = {one.pid: one for one in replicas}
    for _ in range(20):
        receiver.hold_next()
        assert receiver.held.wait(20), "nothing is sent"
        pid = holder(receiver.held_port, receiver.port, by_pid)
        if pid in by_pid:
            return by_pid[pid]
        receiver.release()  # it came from one that was killed before, or waits no longer
    raise AssertionError("no replica waits for an answer")


def _streams_at_every_server(sidecar):
    """Open live pages until each server process has one."""
    streams, servers = [], set()
    _wait_until(lambda: len(sidecar.workers()) >= SERVERS)
    while len(servers) < SERVERS:
        assert len(streams) < 60, f"all pages are at {len(servers)} of {SERVERS} servers"
        streams.append(Stream(Person(sidecar.url, "anna")))
        servers.add(holder(sidecar.port, streams[-1].port, sidecar.workers()))
    assert None not in servers
    return streams


def _wait_until(holds, seconds=30):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)
