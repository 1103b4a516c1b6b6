"""200 open live pages: each sees what it may see within a second, and detections do not wait."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest
import requests

from tests.build import CI, OTHER_CI
from tests.bundles import bundle, carrier, step
from tests.conftest import find_free_port
from tests.faults.sidecar import PASSWORD, Sidecar
from tests.server.person import Person
from tests.server.streams import Pages

EACH = 100
NOISE_S = 0.02


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    found = Sidecar(
        tmp_path_factory.mktemp("streams"), find_free_port(),
        organisations=[{"uuid": CI, "name": "CI-1"}, {"uuid": OTHER_CI, "name": "CI-2"}],
    )  # fmt: skip
    found.tokens = {}
    for name, organisation in (("anna", "CI-1"), ("olga", "CI-2")):
        words = ("--organisation", organisation, "--json")
        found.eme("user", "add", name, "--role", "admin", "--password-file", "-", *words,
                  input=PASSWORD)  # fmt: skip
        made = found.eme("token", "create", name, "--right", "ingest", *words)
        found.tokens[organisation] = made["token"]
    found.start()
    yield found
    found.kill()


@pytest.mark.parametrize(
    ("seconds", "rate", "part"),
    [
        # of 60 posts the 99th percentile is the worst one, whatever else the machine does then
        pytest.param(3, 20, 0.8, id="short"),
        pytest.param(30, 40, 0.99, marks=pytest.mark.long, id="long"),
    ],
)
def test_every_page_sees_what_it_may_see_within_a_second(sidecar, seconds, rate, part):
    send(sidecar, seconds=1, rate=rate)
    _, alone = send(sidecar, seconds=seconds, rate=rate)
    people = {name: Person(sidecar.url, name) for name in ("anna", "olga")}
    reading = Pages(sidecar.port, people, EACH)

    answered, together = send(sidecar, seconds=seconds, rate=rate)
    time.sleep(1.5)
    pages = reading.close()

    assert len(pages) == 2 * EACH
    assert not any(one.ended for one in pages)
    for page in pages:
        own = {"anna": "CI-1", "olga": "CI-2"}[page.who]
        mine = {
            threat: at for threat, (organisation, at) in answered.items() if organisation == own
        }
        assert set(page.seen) == set(mine)
    late = max(page.seen[threat] - answered[threat][1] for page in pages for threat in page.seen)
    figures = [f"{percentile(one, part):.4f}" for one in (alone, together)]
    print(f"{part}: {figures} s without and with {len(pages)} streams; latest {late:.3f} s")
    assert late < 1.0
    assert percentile(together, part) <= 2 * percentile(alone, part) + NOISE_S


def send(sidecar, *, seconds, rate):
    """Send detections at a fixed rate; return ({threat: (organisation, answered at)}, seconds)."""
    answered, waited = {}, []
    http = requests.Session()
    begin = time.monotonic()
    for number in range(seconds * rate):
        due = begin + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        name = ("CI-1", "CI-2")[number % 2]
        document = bundle(carrier(name, iris_id=uuid4().hex, steps=[step(1)]))
        answer = http.post(
            f"{sidecar.url}/api/v1/ci/threats",
            json=document,
            headers={"Authorization": f"Bearer {sidecar.tokens[name]}"},
            timeout=20,
        )
        now = time.monotonic()
        waited.append(now - due)
        answered[answer.json()["threats"][0]["id"]] = (name, now)
    return answered, waited


def percentile(waited, part):
    """Return how long that part of the posts took at most."""
    return sorted(waited)[int(len(waited) * part)]
