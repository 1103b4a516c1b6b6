"""`kill -9` during ingests and decisions: what was answered 2xx survives, nothing is sent twice."""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.aftermath import check_deliveries, check_threats, drain, provision
from tests.faults.client import Client
from tests.faults.receiver import SECRET, Receiver
from tests.faults.sidecar import Sidecar

READY_S = 10.0
SETTLE_S = 2.0


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.release()
    found.close()


@pytest.fixture(params=["idempotent", "look-first"])
def sidecar(request, tmp_path, receiver, free_port):
    found = Sidecar(
        tmp_path,
        free_port(),
        orchestrators=[
            {
                "name": "demo",
                "url": receiver.url,
                "secret": SECRET,
                "idempotent": request.param == "idempotent",
                "timeout_s": 3,
            }
        ],
        delivery={"settle_s": SETTLE_S, "retry_first_s": 0.1, "retry_most_s": 1.0},
        limits={"logins_per_minute": 1000},
    )
    found.idempotent = request.param == "idempotent"
    yield found
    found.kill()


@pytest.mark.parametrize(
    ("bundles", "kills", "held"),
    [
        pytest.param(60, 3, 1, id="short"),
        pytest.param(1_200, 15, 5, id="long", marks=pytest.mark.long),
    ],
)
def test_what_was_acknowledged_survives_kill_9(sidecar, receiver, bundles, kills, held):
    token, admin = provision(sidecar)
    slowest = sidecar.start()
    client = Client(sidecar.url, token, "anna", bundles)
    client.start()

    for moment in _moments(bundles, kills, held):
        slowest = max(slowest, _kill_at(moment, sidecar, receiver, client))
    client.join()
    assert client.problems == []
    sidecar.kill()
    slowest = max(slowest, sidecar.start())
    counts = drain(sidecar, admin)

    assert slowest <= READY_S
    check_threats(sidecar, admin, client)
    check_deliveries(receiver, client, counts, idempotent=sidecar.idempotent)


def _moments(bundles, kills, held):
    """Yield (operations after which to kill, whether to wait for a held request)."""
    total = bundles * 5 // 3
    how = [True] * held + [False] * kills
    random.Random(7).shuffle(how)
    for number, between in enumerate(how, start=1):
        yield total * number // (len(how) + 1), between


def _kill_at(moment, sidecar, receiver, client):
    operations, between = moment
    while client.log.operations < operations and client.busy:
        time.sleep(0.005)
    if between:
        receiver.hold_next()
        receiver.held.wait(10)
    sidecar.kill()
    receiver.release()
    return sidecar.start()
