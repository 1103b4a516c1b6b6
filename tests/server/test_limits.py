"""Nobody can sit on the server: what is half sent, too large or not taken has an end."""

from __future__ import annotations

import re
import socket
import ssl
import time
from contextlib import suppress

import pytest
import requests

from eme_connector.web import server, worker
from tests.conftest import ROOT, find_free_port
from tests.faults.sidecar import PASSWORD, Sidecar
from tests.server.conftest import HOST
from tests.server.person import Person

READ_S = 2.0
DRAIN_S = 5.0  # gunicorn's own, for the rest of a body that was refused
THREADS = 216
SEND_S = 3.0
SHORT = f"from eme_connector.web import worker; worker.READ_S = {READ_S}"
IMPATIENT = f"{SHORT}; worker.SEND_MS = {SEND_S * 1000:.0f}"
FEW_FILES = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({}, {}))"
BEHIND = {"behind_proxy": True, "public_url": f"https://{HOST}"}
HEAD = f"POST /api/v1/ci/threats HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
HALF_A_HEAD = HEAD.encode()
HALF_A_BODY = (HEAD + 'Content-Length: 500\r\n\r\n{"type": "bundle"').encode()


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    """Return a sidecar that gives a request two seconds to arrive."""
    folder = tmp_path_factory.mktemp("limits")
    found = Sidecar(folder, find_free_port(), before=SHORT, serve=BEHIND)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def hold():
    """Return how to open connections that send *data* and then nothing."""
    opened = []

    def held(port, data, number=1, ca=None):
        fresh = []
        for _ in range(number):
            one = socket.create_connection(("127.0.0.1", port), timeout=20)
            if ca:
                one = ssl.create_default_context(cafile=ca).wrap_socket(
                    one, server_hostname="127.0.0.1"
                )
            one.sendall(data)
            fresh.append(one)
        opened.extend(fresh)
        return fresh

    yield held
    for one in opened:
        one.close()


def seconds_to_answer(url, **how):
    began = time.monotonic()
    answer = requests.get(f"{url}/healthz", timeout=30, headers={"Host": HOST}, **how)
    assert answer.status_code == 200
    return time.monotonic() - began


def once_of_three(is_so):
    """Say whether it is so once: a busy machine can be late, and is not so three times."""
    return any(is_so() for _ in range(3))


@pytest.mark.parametrize("data", [HALF_A_HEAD, HALF_A_BODY], ids=["head", "body"])
def test_behind_nginx_half_sent_requests_hold_nobody_up(sidecar, make_nginx, hold, data):
    front = make_nginx(f"127.0.0.1:{sidecar.port}")

    def is_quick():
        hold(front.port, data, 64, front.ca)
        return seconds_to_answer(front.url, verify=front.ca) < 1.0

    assert once_of_three(is_quick)


@pytest.mark.parametrize("authenticated", [False, True])
@pytest.mark.parametrize("data", [HALF_A_HEAD, HALF_A_BODY], ids=["head", "body"])
def test_bare_64_half_sent_requests_hold_nobody_up_and_are_cut_off(
    sidecar, hold, data, authenticated
):
    if authenticated:
        token = sidecar.eme("token", "create", "half", "--right", "ingest", "--json")["token"]
        data = data.replace(b"\r\n", f"\r\nAuthorization: Bearer {token}\r\n".encode(), 1)

    held = []

    def is_quick():
        held.extend(hold(sidecar.port, data, 64))
        return seconds_to_answer(sidecar.url) < 1.0

    assert once_of_three(is_quick)
    began = time.monotonic()
    for one in held:
        read_to_the_end(one)
    assert time.monotonic() - began < READ_S + DRAIN_S + 2


def test_bare_more_than_there_are_threads_hold_others_up_until_they_are_cut_off(sidecar, hold):
    def is_held_up():
        hold(sidecar.port, HALF_A_HEAD, THREADS + 20)
        return 0.5 < seconds_to_answer(sidecar.url) < READ_S + 4

    assert once_of_three(is_held_up)


def test_connections_that_keep_their_thread_leave_half_of_them_to_others(make_sidecar, hold):
    staying = make_sidecar(before="from eme_connector.web import worker; worker.STAY_MS = 60_000")
    staying.start()
    ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

    opened = hold(staying.port, ask, THREADS + 10)
    for one in opened:
        assert whole(one).startswith(b"HTTP/1.1 200")

    began = time.monotonic()
    assert requests.get(f"{staying.url}/healthz", timeout=20).status_code == 200
    assert time.monotonic() - began < 5
    for one in opened:  # those that had to give it back are still served
        one.sendall(ask)
        assert whole(one).startswith(b"HTTP/1.1 200")


def whole(connection):
    """Return the answer of /healthz; it may come in two pieces."""
    data = b""
    while not data.endswith(b"ok\n"):
        piece = connection.recv(4096)
        assert piece, data
        data += piece
    return data


def test_a_request_that_trickles_in_is_cut_off_too(sidecar, hold):
    (one,) = hold(sidecar.port, HALF_A_HEAD)
    began = time.monotonic()

    with suppress(ConnectionError):
        while time.monotonic() - began < 20:
            one.sendall(b"X")
            time.sleep(0.2)

    assert time.monotonic() - began < READ_S + 3


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """Return a sidecar whose answers have to be taken within three seconds."""
    found = Sidecar(tmp_path_factory.mktemp("impatient"), find_free_port(), before=IMPATIENT)
    found.eme("user", "add", "anna", "--role", "admin", "--password-file", "-", "--json",
              input=PASSWORD)  # fmt: skip
    found.start()
    yield found
    found.kill()


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 60000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"],
    ids=["length", "chunks"],
)
def test_the_rest_of_a_refused_body_cannot_trickle_in_for_ever(impatient, hold, head):
    (one,) = hold(impatient.port, HEAD.replace(HOST, "localhost").encode() + head)
    assert one.recv(4096).startswith(b"HTTP/1.1 401")
    began = time.monotonic()

    with suppress(ConnectionError):
        while time.monotonic() - began < 20:
            one.sendall(b"0")
            time.sleep(0.1)

    assert time.monotonic() - began < SEND_S + 5


def test_a_stream_may_stay_open_for_longer_than_an_answer(impatient, hold):
    (cookie,) = Person(impatient.url, "anna").http.cookies
    head = f"Host: localhost\r\nCookie: {cookie.name}={cookie.value}"
    (one,) = hold(impatient.port, f"GET /live HTTP/1.1\r\n{head}\r\n\r\n".encode())
    assert one.recv(4096).startswith(b"HTTP/1.1 200")

    one.settimeout(SEND_S + 2)
    with pytest.raises(TimeoutError):
        read_to_the_end(one)


def read_to_the_end(connection):
    while connection.recv(4096):
        pass


@pytest.mark.parametrize("most", [20_000, 256])
def test_more_connections_than_files_end_no_worker(make_sidecar, hold, most):
    sidecar = make_sidecar(
        before=FEW_FILES.format(256, most), serve={"threads": 4}, live={"max_streams": 4}
    )
    sidecar.start()
    before = sidecar.workers()

    opened = hold(sidecar.port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400)
    time.sleep(2)
    assert sidecar.workers() == before
    for one in opened:
        one.close()

    assert requests.get(f"{sidecar.url}/healthz", timeout=20).status_code == 200
    assert sidecar.workers() == before
    assert "Too many open files" not in sidecar.log


def test_a_silent_connection_holds_no_thread(sidecar, hold):
    def is_quick():
        hold(sidecar.port, b"", THREADS + 20)
        return seconds_to_answer(sidecar.url) < 1.0

    assert once_of_three(is_quick)


def test_silent_connections_hold_no_thread_when_the_kernel_keeps_them_no_longer(make_sidecar, hold):
    sidecar = make_sidecar(before="from eme_connector.web import worker; worker.SILENT_S = 1")
    sidecar.start()
    hold(sidecar.port, b"", THREADS + 20)

    waited, began = [], time.monotonic()
    while time.monotonic() - began < 4:
        asked = time.monotonic()
        assert requests.get(f"{sidecar.url}/healthz", timeout=20).status_code == 200
        waited.append(time.monotonic() - asked)
        time.sleep(0.1)

    assert max(waited) < 3


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * server.LINE_BYTES + b" HTTP/1.1\r\n\r\n", {400, 414}),
        (b"GET /healthz HTTP/1.1\r\n" + b"X: 1\r\n" * (server.HEADERS + 2) + b"\r\n", {400, 431}),
        (b"GET /healthz HTTP/1.1\r\nX: " + b"a" * server.HEADER_BYTES + b"\r\n\r\n", {400, 431}),
    ],
    ids=["request line", "number of fields", "size of a field"],
)
def test_heads_are_bounded(sidecar, hold, data, status):
    (one,) = hold(sidecar.port, data)

    assert int(one.recv(4096).split()[1]) in status


def test_nobody_moves_a_path_by_a_header(sidecar):
    headers = {"Host": HOST, "SCRIPT_NAME": "/open"}

    moved = requests.get(f"{sidecar.url}/open/healthz", headers=headers, timeout=20)
    plain = requests.get(f"{sidecar.url}/healthz", headers=headers, timeout=20)

    assert (moved.status_code, plain.status_code) == (404, 200)


def test_bodies_are_bounded_at_both(sidecar, make_nginx):
    front = make_nginx(f"127.0.0.1:{sidecar.port}")
    written = sidecar.eme("token", "create", "limits", "--right", "ingest", "--json")["token"]
    headers = {"Authorization": f"Bearer {written}", "Host": HOST,
               "Content-Type": "application/json"}  # fmt: skip

    def post(url, size, **how):
        path = f"{url}/api/v1/ci/threats"
        return requests.post(path, data=b" " * size, headers=headers, timeout=20, **how)

    assert post(sidecar.url, 1_048_577).status_code == 413
    assert (
        post(front.url, 1_048_577, verify=front.ca)
        .headers["Content-Type"]
        .startswith("application/problem+json")
    )
    assert post(front.url, 6_000_000, verify=front.ca).status_code == 413


def test_an_answer_that_nobody_takes_has_an_end(sidecar):
    """The kernel ends it; what is checked here is that connections inherit the limit."""
    assert worker.SEND_MS == 30_000
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, worker.SEND_MS)
        listening.listen()
        with socket.create_connection(listening.getsockname()):
            taken, _ = listening.accept()
            with taken:
                found = taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert found == worker.SEND_MS


def test_a_unix_socket_serves_its_group_only(tmp_path, make_sidecar, make_nginx):
    path = tmp_path / "eme.sock"
    sidecar = make_sidecar(serve=BEHIND | {"socket": str(path)})
    front = make_nginx(f"unix:{path}")
    sidecar.spawn()

    until = time.monotonic() + 30
    while time.monotonic() < until:
        answer = requests.get(
            f"{front.url}/readyz", verify=front.ca, headers={"Host": HOST}, timeout=20
        )
        if answer.status_code == 200:
            break
        time.sleep(0.1)

    assert answer.status_code == 200
    assert path.stat().st_mode & 0o777 == 0o660


def test_the_limits_are_documented():
    text = (ROOT / "docs" / "deployment.md").read_text()

    assert f"request line {server.LINE_BYTES:,} bytes" in text
    assert f"{server.HEADERS} header fields of {server.HEADER_BYTES:,} bytes" in text
    assert f"here within {worker.READ_S:.0f} s" in text
    assert f"taken within {worker.SEND_MS // 1000} s" in text
    assert f"idle for at most {server.KEEP_ALIVE_S} s" in text
    upstream = re.search(r"keepalive_timeout (\d+)s", text)
    assert int(upstream[1]) < server.KEEP_ALIVE_S
