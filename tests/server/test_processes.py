"""Several servers and workers on one PostgreSQL, with Redis beside them, which may die."""

from __future__ import annotations

import re
import time
from collections import Counter
from functools import partial

import pytest
import requests

from tests.bundles import bundle, carrier, step
from tests.conftest import find_free_port
from tests.faults.client import Client
from tests.faults.receiver import SECRET, Receiver
from tests.faults.sidecar import PASSWORD, Sidecar
from tests.faults.sockets import holder
from tests.server.person import Person, Stream

BUNDLES = 90
# no worker looks by itself within the time of a test: what it sends, it was woken for
NO_LOOKS = "from eme_connector.usecases import work; work.POLL_S = 60.0"


@pytest.fixture(scope="module")
def receiver():
    found = Receiver()
    yield found
    found.close()


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory, postgres, redis, receiver):
    """Return a server of two processes that deliver nothing, and two workers beside it."""
    found = Sidecar(
        tmp_path_factory.mktemp("processes"), find_free_port(), before=NO_LOOKS,
        store={"url": postgres.create_database()},
        redis={"url": redis.url},
        serve={"workers": 2, "deliver": False},
        orchestrators=[{"name": "demo", "url": receiver.url, "secret": SECRET}],
        limits={"logins_per_minute": 1000},
    )  # fmt: skip
    found.eme("user", "add", "anna", "--role", "admin", "--password-file", "-", "--json",
              input=PASSWORD)  # fmt: skip
    found.eme("policy", "set", "contain.isolate=on", "--yes", "--json")
    found.token = found.eme("token", "create", "atio", "--right", "ingest", "--json")["token"]
    found.reader = found.eme("token", "create", "check", "--right", "read", "--right", "audit",
                             "--right", "admin", "--json")["token"]  # fmt: skip
    found.also("worker")
    found.also("worker")
    found.start()
    yield found
    found.kill()


def test_everything_goes_on_when_redis_dies_in_the_middle(sidecar, redis, receiver):
    people = [Person(sidecar.url, "anna") for _ in range(6)]
    streams = [Stream(one) for one in people]
    client = Client(sidecar.url, sidecar.token, "anna", BUNDLES)

    client.start()
    while client.log.operations < BUNDLES // 2 and client.busy:
        time.sleep(0.01)
    redis.stop()
    client.join()
    down = read(sidecar, "/api/v1/health").json()
    figures = read(sidecar, "/metrics").text
    redis.start()

    assert client.problems == []
    assert requests.get(f"{sidecar.url}/readyz", timeout=10).status_code == 200
    assert {one["part"]: one["ok"] for one in down["parts"]}["redis"] is False
    assert "eme_redis_up 0.0" in figures
    _wait_until(lambda: {key for key, _, _ in receiver.seen} and _all_delivered(sidecar))
    approved = client.log.approved()
    assert Counter(threat for _, threat, _ in receiver.seen) == Counter(approved)
    _wait_until(lambda: all(len(one.seen) == BUNDLES for one in streams))
    assert not any(one.ended for one in streams)
    _wait_until(lambda: _ok(read(sidecar, "/api/v1/health").json(), "redis"))
    assert "eme_redis_up 1.0" in read(sidecar, "/metrics").text


def test_what_one_process_commits_wakes_those_that_show_and_send_it(sidecar, receiver):
    streams = [Stream(Person(sidecar.url, "anna")) for _ in range(6)]
    shown = []
    for number in range(5):
        began = time.monotonic()
        threat = _ingest(sidecar, f"at-once-{number}")
        _wait_until(partial(receiver.keys_of, threat))
        for one in streams:
            _wait_until(partial(one.seen.get, threat))
        shown.append(max(one.seen[threat] for one in streams) - began)
        time.sleep(0.3)

    # pages that are not woken look every 2 s: all six within one would be luck
    assert min(shown) < 1.0, shown


def test_figures_are_those_of_all_processes(sidecar):
    for http in (both := _connections_to_both(sidecar)):
        for _ in range(20):
            http.get(f"{sidecar.url}/healthz", timeout=10)

    def counts():
        headers = {"Authorization": f"Bearer {sidecar.reader}"}
        texts = [http.get(f"{sidecar.url}/metrics", headers=headers).text for http in both]
        count = r'eme_requests_total\{endpoint="public.alive",status="200"\} (\S+)'
        return [float(one) for text in texts for one in re.findall(count, text) or [0]]

    _wait_until(lambda: min(counts()) >= 40)
    assert len(set(counts())) == 1


def _connections_to_both(sidecar):
    """Return a connection that is kept to each server process."""
    found = {}
    for _ in range(60):
        http = requests.Session()
        answer = http.get(f"{sidecar.url}/healthz", stream=True, timeout=10)
        port = answer.raw.connection.sock.getsockname()[1]
        at = holder(sidecar.port, port, sidecar.workers())
        assert answer.text == "ok\n"
        if at is not None:
            found.setdefault(at, http)
        if len(found) == 2:
            return list(found.values())
    raise AssertionError("all connections are at one process")


def read(sidecar, path):
    headers = {"Authorization": f"Bearer {sidecar.reader}"}
    return requests.get(f"{sidecar.url}{path}", headers=headers, timeout=20)


def _ingest(sidecar, number):
    answer = requests.post(
        f"{sidecar.url}/api/v1/ci/threats",
        json=bundle(carrier(iris_id=number, steps=[step(1)], policies=None)),
        headers={"Authorization": f"Bearer {sidecar.token}"},
        timeout=20,
    )
    return answer.json()["threats"][0]["id"]


def _all_delivered(sidecar):
    found, after = [], 0
    while page := read(sidecar, f"/api/v1/deliveries?limit=100&after={after}").json()["deliveries"]:
        found += [one["state"] for one in page if one["kind"] == "dispatch"]
        after = page[-1]["id"]
    return bool(found) and set(found) == {"delivered"}


def _ok(health, part):
    return {one["part"]: one["ok"] for one in health["parts"]}[part]


def _wait_until(holds, seconds=20):
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)
