"""The documented Caddyfile holds in front of a sidecar, in the version that Debian has too."""

from __future__ import annotations

import json
import socket
import ssl
import time

import pytest
import requests

from tests.bundles import bundle, carrier, step
from tests.conftest import find_free_port, left_out
from tests.faults.sidecar import PASSWORD, Sidecar
from tests.server.conftest import HOST, Front, block, certify
from tests.servers.caddy import Caddy, CaddyMissing

BEHIND = {"behind_proxy": True, "public_url": f"https://{HOST}"}
HALF = f"POST /api/v1/ci/threats HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 500\r\n\r\n{{".encode()


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    found = Sidecar(tmp_path_factory.mktemp("behind"), find_free_port(), serve=BEHIND)
    found.eme("user", "add", "anna", "--role", "admin", "--password-file", "-", "--json",
              input=PASSWORD)  # fmt: skip
    found.token = found.eme("token", "create", "atio", "--right", "ingest", "--json")["token"]
    found.start()
    yield found
    found.kill()


@pytest.fixture(scope="module")
def front(sidecar, tmp_path_factory):
    """Return Caddy as documented, in front of the sidecar."""
    folder, port = tmp_path_factory.mktemp("caddy"), find_free_port()
    certify(folder)
    site = block("deployment.md", "text", number=0)
    tls = f"    tls {folder}/eme.pem {folder}/eme.key\n    bind 127.0.0.1\n"
    for told, here in {
        f"{HOST} {{\n": f"https://{HOST}:{port}, https://127.0.0.1:{port} {{\n{tls}",
        "127.0.0.1:8150": f"127.0.0.1:{sidecar.port}",
    }.items():
        assert told in site, told
        site = site.replace(told, here)
    try:
        caddy = Caddy(folder, port, block("deployment.md", "text", number=1), site)
    except CaddyMissing:
        left_out("Caddy is not installed: apt-get install caddy")
    caddy.start()
    yield Front(f"https://127.0.0.1:{port}", port, str(folder / "eme.pem"))
    caddy.stop()


def call(front, method, path, **how):
    headers = {"Host": HOST} | how.pop("headers", {})
    return requests.request(
        method, front.url + path, headers=headers, verify=front.ca, timeout=20, **how
    )


def test_a_detection_passes_and_a_body_over_the_limit_does_not(sidecar, front):
    document = bundle(carrier(steps=[step(1)]))
    ours = {"Authorization": f"Bearer {sidecar.token}", "Content-Type": "application/json"}

    taken = call(front, "POST", "/api/v1/ci/threats", json=document, headers=ours)
    refused = call(front, "POST", "/api/v1/ci/threats", data=b"x" * 6_000_000, headers=ours)

    assert taken.status_code == 201, taken.text
    assert refused.status_code in (413, 502)


def test_half_sent_requests_never_reach_the_sidecar(front):
    context = ssl.create_default_context(cafile=front.ca)
    held = []
    for _ in range(64):
        plain = socket.create_connection(("127.0.0.1", front.port), timeout=20)
        held.append(context.wrap_socket(plain, server_hostname="127.0.0.1"))
        held[-1].sendall(HALF)

    began = time.monotonic()
    assert call(front, "GET", "/healthz").status_code == 200
    assert (
        time.monotonic() - began < 5
    )  # else they would hold it up for as long as it waits for their rest
    for one in held:
        one.close()


def test_a_live_page_hears_at_once(sidecar, front):
    with requests.Session() as http:
        http.headers["Host"] = HOST
        form = {"name": "anna", "password": PASSWORD}
        answer = http.post(f"{front.url}/api/v1/session", json=form, verify=front.ca, timeout=20)
        assert answer.status_code == 200, answer.text
        cookie = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
        stream = call(front, "GET", "/live", headers={"Cookie": cookie}, stream=True)
        assert stream.status_code == 200
        lines = stream.iter_lines(chunk_size=1)
        ours = {"Authorization": f"Bearer {sidecar.token}"}
        document = bundle(carrier(iris_id="live", steps=[step(1)]))
        made = call(front, "POST", "/api/v1/ci/threats", json=document, headers=ours).json()
        told = next(line for line in lines if line.startswith(b'data: {"id"'))
        stream.close()

    assert json.loads(told[6:])["threat"] == made["threats"][0]["id"]
