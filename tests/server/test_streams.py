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


def test_every_page_sees_what_it_may_see_and_nothing_else(sidecar):
    answered, _, pages = send_to_pages(sidecar, seconds=3, rate=20)

    check_what_they_saw(pages, answered)


@pytest.mark.long
def test_every_page_sees_it_within_a_second_and_detections_do_not_wait(sidecar):
    send(sidecar, seconds=1, rate=40)
    _, alone = send(sidecar, seconds=30, rate=40)

    answered, together, pages = send_to_pages(sidecar, seconds=30, rate=40)

    check_what_they_saw(pages, answered)
    late = max(page.seen[threat] - answered[threat][1] for page in pages for threat in page.seen)
    figures = [f"{p99(one):.4f}" for one in (alone, together)]
    print(f"p99 {figures} s without and with {len(pages)} streams; latest {late:.3f} s")
    assert late < 1.0
    assert p99(together) <= 2 * p99(alone) + NOISE_S


def send_to_pages(sidecar, *, seconds, rate):
    """Send while pages of two organisations are open; return as `send` does, and the pages."""
    people = {name: Person(sidecar.url, name) for name in ("anna", "olga")}
    reading = Pages(sidecar.port, people, EACH)
    answered, waited = send(sidecar, seconds=seconds, rate=rate)
    return answered, waited, reading.close()


def check_what_they_saw(pages, answered):
    """Every page is still open and has seen all of its own organisation, and nothing else."""
    assert len(pages) == 2 * EACH
    assert not any(one.ended for one in pages)
    for page in pages:
        own = {"anna": "CI-1", "olga": "CI-2"}[page.who]
        assert set(page.seen) == {one for one, (whose, _) in answered.items() if whose == own}


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


def p99(waited):
    """Return how long all but a hundredth of the posts took at most."""
    return sorted(waited)[int(len(waited) * 0.99)]
