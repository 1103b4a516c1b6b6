"""`kill -9` during ingests and decisions: what was answered 2xx survives, nothing is sent twice."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
import requests

from tests.faults.client import Client
from tests.faults.receiver import SECRET, Receiver
from tests.faults.sidecar import PASSWORD, Sidecar

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
    token, admin = _provision(sidecar)
    slowest = sidecar.start()
    client = Client(sidecar.url, token, "anna", bundles)
    client.start()

    for moment in _moments(bundles, kills, held):
        slowest = max(slowest, _kill_at(moment, sidecar, receiver, client))
    client.join()
    assert client.problems == []
    sidecar.kill()
    slowest = max(slowest, sidecar.start())
    counts = _drain(sidecar, admin)

    assert slowest <= READY_S
    _check_threats(sidecar, admin, client)
    _check_deliveries(receiver, client, counts, idempotent=sidecar.idempotent)


def _provision(sidecar):
    sidecar.eme("user", "add", "anna", "--role", "admin", "--password-file", "-", "--json",
                input=PASSWORD)  # fmt: skip
    sidecar.eme("policy", "set", "contain.isolate=on", "--yes", "--json")
    ingest = sidecar.eme("token", "create", "atio", "--right", "ingest", "--json")
    admin = sidecar.eme("token", "create", "check", "--right", "read", "--right", "admin", "--json")
    return ingest["token"], admin["token"]


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


def _drain(sidecar, admin):
    """Wait until nothing is owed or being settled; return deliveries by state."""
    for _ in range(600):
        found = _deliveries(sidecar, admin)
        states = Counter(one["state"] for one in found)
        if not states["owed"] and not states["sending"]:
            return found
        time.sleep(0.1)
    raise AssertionError(f"still open: {states}")


def _deliveries(sidecar, admin):
    found, after = [], 0
    while True:
        page = requests.get(
            f"{sidecar.url}/api/v1/deliveries",
            params={"after": after, "limit": 100},
            headers={"Authorization": f"Bearer {admin}"},
            timeout=20,
        ).json()["deliveries"]
        found += [one for one in page if one["kind"] == "dispatch"]
        if not page:
            return found
        after = page[-1]["id"]


def _check_threats(sidecar, admin, client):
    headers = {"Authorization": f"Bearer {admin}"}
    assert len(set(client.log.ingested.values())) == len(client.log.ingested)
    with requests.Session() as http:
        for threat in client.log.ingested.values():
            answer = http.get(
                f"{sidecar.url}/api/v1/ci/threats/{threat}", headers=headers, timeout=20
            )
            assert answer.status_code == 200
            word = client.log.decided[threat]
            expected = "declined" if word == "declined" else "approved"
            assert answer.json()["status"] in (expected, "resolved")


def _check_deliveries(receiver, client, deliveries, *, idempotent):
    keys = Counter(key for key, _, _ in receiver.seen)
    seen = {threat for _, threat, _ in receiver.seen}
    approved = client.log.approved()
    assert seen <= approved
    if idempotent:
        assert seen == approved
        assert all(len(set(receiver.keys_of(threat))) == 1 for threat in approved)
        assert all(one["state"] == "delivered" for one in deliveries)
    else:
        uncertain = {one["threat_id"] for one in deliveries if one["state"] == "uncertain"}
        assert max(keys.values()) == 1
        assert seen | uncertain == approved
