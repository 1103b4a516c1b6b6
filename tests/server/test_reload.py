"""A running sidecar takes a new configuration over and loses nothing."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest
import requests

from tests.build import CI
from tests.conftest import find_free_port
from tests.faults.receiver import SECRET
from tests.faults.sidecar import Sidecar
from tests.server.conftest import HOST
from tests.server.load import Load

SLOW_TO_FAIL = """
import os, time
from eme_connector import bootstrap
from eme_connector.errors import StoreUnavailable
from eme_connector.web import worker
worker.ALIVE_S, prepare = 0.1, bootstrap.prepare_alone

def fail_if_told(config):
    if os.path.exists(config.instance.data_dir.parent / "fail"):
        time.sleep(1)
        raise StoreUnavailable("the database cannot be reached")
    return prepare(config)

bootstrap.prepare_alone = fail_if_told
"""
BEHIND = {"behind_proxy": True, "public_url": f"https://{HOST}"}


def token(sidecar, *rights):
    words = [word for right in rights for word in ("--right", right)]
    return sidecar.eme("token", "create", "test", *words, "--json")["token"]


def reload(sidecar, seconds=20):
    """Tell it to reload and wait until other processes serve than before."""
    before = sidecar.workers()
    said = sidecar.log.count("\nreloaded") + sidecar.log.startswith("reloaded")
    sidecar.tell(signal.SIGHUP)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        now = sidecar.workers()
        if now and not set(now) & set(before) and sidecar.log.count("reloaded") > said:
            return
        time.sleep(0.05)
    raise AssertionError(sidecar.log[-2000:])


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Return a sidecar that all tests of this file reload in turn, and a token for it."""
    found = Sidecar(tmp_path_factory.mktemp("running"), find_free_port(), serve=BEHIND)
    written = token(found, "ingest", "read")
    found.start()
    yield found, written
    found.kill()


def test_a_reload_under_load_loses_no_request(running):
    sidecar, written = running

    with Load(sidecar.url, written) as load:
        time.sleep(0.5)
        reload(sidecar)
        time.sleep(0.5)

    assert load.failures == []
    assert len(load.threats) > 20
    assert _stored(sidecar.url, written) >= set(load.threats.values())


def test_a_reload_behind_nginx_loses_no_request(running, make_nginx):
    sidecar, written = running
    front = make_nginx(f"127.0.0.1:{sidecar.port}")

    with Load(front.url, written, verify=front.ca, headers={"Host": HOST}) as load:
        time.sleep(0.5)
        reload(sidecar)
        time.sleep(0.5)

    assert load.failures == []
    assert len(load.threats) > 20


def test_a_reload_takes_the_new_configuration(running):
    sidecar, written = running
    body = b'{"name": "' + b"a" * 2000 + b'"}'
    before = _post(sidecar.url, written, body)

    sidecar.configure(serve=BEHIND, limits={"body_bytes": 1024})
    reload(sidecar)

    assert (before, _post(sidecar.url, written, body)) == (422, 413)


@pytest.mark.parametrize(
    ("sections", "word"),
    [
        ({"limits": {"body_bytes": "many"}}, "limits.body_bytes"),
        ({"serve": {"port": 1}}, "where it listens"),
    ],
)
def test_a_configuration_that_cannot_be_used_changes_nothing(running, sections, word):
    sidecar, _ = running
    before = sidecar.workers()

    sidecar.configure(**sections)
    sidecar.tell(signal.SIGHUP)
    _wait_for(sidecar, word)

    assert sidecar.workers() == before
    assert requests.get(f"{sidecar.url}/readyz", timeout=5).status_code == 200


def test_workers_that_do_not_start_change_nothing(running):
    sidecar, _ = running
    before = sidecar.workers()
    sidecar.configure(serve=BEHIND)
    key = sidecar.folder / "data" / "keys" / "signing.pem"
    key.chmod(0o644)

    sidecar.tell(signal.SIGHUP)
    _wait_for(sidecar, "the old ones go on")
    key.chmod(0o600)

    assert sidecar.workers() == before
    assert requests.get(f"{sidecar.url}/readyz", timeout=5).status_code == 200


def test_nobody_keeps_the_old_worker_by_a_half_sent_request(make_sidecar):
    sidecar = make_sidecar(before="from eme_connector.web import worker; worker.LAST_S = 1")
    sidecar.start()
    (old,) = sidecar.workers()
    with socket.create_connection(("127.0.0.1", sidecar.port)) as half_sent:
        half_sent.sendall(b"GET /")
        time.sleep(0.5)

        sidecar.tell(signal.SIGHUP)
        _wait_for(sidecar, "reloaded")

        until = time.monotonic() + 9  # sooner than the end of its grace
        while old in sidecar.workers():
            assert time.monotonic() < until, "it is still there"
            time.sleep(0.05)


def test_workers_that_only_say_that_they_live_are_not_waited_for_in_vain(make_sidecar):
    sidecar = make_sidecar(before=SLOW_TO_FAIL)
    sidecar.start()
    before = sidecar.workers()
    (sidecar.folder / "fail").touch()

    sidecar.tell(signal.SIGHUP)
    _wait_for(sidecar, "the old ones go on")

    assert sidecar.workers() == before
    assert requests.get(f"{sidecar.url}/readyz", timeout=5).status_code == 200


def test_what_is_being_sent_at_a_stop_is_recorded_though_somebody_sits_on_a_connection(
    make_sidecar, receiver
):
    sidecar = make_sidecar(
        before="from eme_connector.web import server; server.GRACE_S = 2",
        orchestrators=[{"name": "demo", "url": receiver.url, "secret": SECRET,
                        "timeout_s": 20}],
    )  # fmt: skip
    sidecar.eme("policy", "set", "contain.isolate=on", "--yes", "--json")
    written = token(sidecar, "ingest", "read", "admin")
    sidecar.start()
    receiver.hold_next()
    with Load(sidecar.url, written, threads=1):
        assert receiver.held.wait(10)

    with socket.create_connection(("127.0.0.1", sidecar.port)) as half_sent:
        half_sent.sendall(b"GET /")
        time.sleep(0.5)
        sidecar.tell(signal.SIGTERM)
        time.sleep(3)
        receiver.release()
        sidecar.wait(20)

    states = {one["state"] for one in sidecar.eme("outbox", "list", "--json")["deliveries"]
              if one["kind"] == "dispatch"}  # fmt: skip
    assert "sending" not in states


def test_a_worker_that_dies_is_replaced(running):
    sidecar, _ = running
    (worker,) = sidecar.workers()

    os.kill(worker, signal.SIGKILL)

    until = time.monotonic() + 20
    while time.monotonic() < until and sidecar.workers() in ([], [worker]):
        time.sleep(0.05)
    assert requests.get(f"{sidecar.url}/readyz", timeout=20).status_code == 200


def test_a_second_server_on_the_same_data_ends_with_a_clear_word(running, make_sidecar):
    sidecar, _ = running
    data = str(sidecar.folder / "data")
    again = make_sidecar(instance={"organisation": CI, "data_dir": data})

    with pytest.raises(AssertionError, match="another process uses"):
        again.start()


def test_what_is_being_sent_during_a_reload_is_recorded_by_who_sent_it(make_sidecar, receiver):
    sidecar = make_sidecar(
        orchestrators=[{"name": "demo", "url": receiver.url, "secret": SECRET,
                        "timeout_s": 8}],
    )  # fmt: skip
    sidecar.eme("policy", "set", "contain.isolate=on", "--yes", "--json")
    written = token(sidecar, "ingest", "read", "admin")
    sidecar.start()
    receiver.hold_next()

    with Load(sidecar.url, written, threads=1) as load:
        assert receiver.held.wait(10)
    sidecar.tell(signal.SIGHUP)
    time.sleep(1)
    receiver.release()

    headers = {"Authorization": f"Bearer {written}"}
    until = time.monotonic() + 20
    while time.monotonic() < until:
        found = requests.get(f"{sidecar.url}/api/v1/deliveries", headers=headers, timeout=5).json()
        states = {one["state"] for one in found["deliveries"] if one["kind"] == "dispatch"}
        if states == {"delivered"}:
            break
        time.sleep(0.1)
    assert states == {"delivered"}
    keys = [key for key, _, _ in receiver.seen]
    assert len(keys) == len(set(keys)) == len(load.threats)


def _wait_for(sidecar, word, seconds=40):
    until = time.monotonic() + seconds
    while word not in sidecar.log:
        if time.monotonic() > until:
            raise AssertionError(sidecar.log[-2000:])
        time.sleep(0.05)


def _post(url, token, body):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return requests.post(
        f"{url}/api/v1/ci/threats/event", data=body, headers=headers, timeout=10
    ).status_code


def _stored(url, token):
    found, cursor = set(), None
    headers = {"Authorization": f"Bearer {token}"}
    while True:
        page = requests.get(
            f"{url}/api/v1/ci/threats",
            params={"limit": 100} | ({"cursor": cursor} if cursor else {}),
            headers=headers,
            timeout=10,
        ).json()
        found |= {one["id"] for one in page["threats"]}
        cursor = page.get("next")
        if not cursor:
            return found
