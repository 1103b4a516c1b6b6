"""The one client: where it goes, where it does not, and what it makes of a bad answer."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from eme_connector.adapters import egress
from eme_connector.adapters.egress import Gate, Target
from eme_connector.errors import DeliveryError
from tests.doubles.orchestrator import Orchestrator

LOOPBACK = Gate.of(["127.0.0.0/8"])
CLOSED = Gate()


@pytest.fixture
def hook():
    double = Orchestrator()
    yield double
    double.close()


def _target(url, gate=LOOPBACK, timeout=2.0):
    return Target(url, gate, timeout=timeout)


def _post(target, **headers):
    return target.call("POST", body=b"x", headers={"webhook-id": "k"} | headers)


def _fails(target):
    with pytest.raises(DeliveryError) as caught:
        _post(target)
    return caught.value


def test_an_answer_comes_back_whole(hook):
    answer = _post(_target(hook.url))

    assert (answer.status, answer.body) == (202, b'{"id": "run-1"}')
    assert answer.headers["content-length"] == "15"


def test_a_connection_is_kept_for_the_next_call(hook, monkeypatch):
    target = _target(hook.url)
    opened = []
    real = Target._open
    monkeypatch.setattr(Target, "_open", lambda *a: opened.append(1) or real(*a))

    for _ in range(5):
        _post(target)

    assert len(opened) == 1


def test_a_connection_that_has_idled_is_made_anew(hook, monkeypatch):
    monkeypatch.setattr(egress, "IDLE_S", 0.0)
    target = _target(hook.url)
    opened = []
    real = Target._open
    monkeypatch.setattr(Target, "_open", lambda *a: opened.append(1) or real(*a))

    _post(target)
    _post(target)

    assert len(opened) == 2


def test_a_kept_connection_that_the_other_side_closed_is_not_used(hook):
    target = _target(hook.url)
    hook.behave("accept")
    _post(target)
    target._kept[0][1].sock._sock.shutdown(socket.SHUT_RDWR)

    assert _post(target).status == 202


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9/", "private-address"),
        ("http://[::1]:9/", "private-address"),
        ("http://10.1.2.3/", "private-address"),
        ("http://192.168.0.1/", "private-address"),
        ("http://172.16.0.1/", "private-address"),
        ("http://169.254.169.254/latest/meta-data", "private-address"),
        ("http://[fe80::1]/", "private-address"),
        ("http://[fc00::1]/", "private-address"),
        ("http://[::ffff:127.0.0.1]:9/", "private-address"),
        ("http://[64:ff9b::7f00:1]/", "private-address"),
        ("http://[2002:7f00:1::]/", "private-address"),
        ("http://0.0.0.0:9/", "private-address"),
        ("http://100.64.0.1/", "private-address"),
        ("http://224.0.0.1/", "private-address"),
        ("http://255.255.255.255/", "private-address"),
        ("http://2130706433:9/", "private-address"),
        ("http://0x7f.1:9/", "private-address"),
        ("https://127.0.0.1:9/", "private-address"),
        ("http://localhost:9/", "private-address"),
        ("http://8.8.8.8/", "plain-http"),
        ("http://no-such-name.invalid/", "name-unresolved"),
    ],
)
def test_addresses_that_are_not_listed_are_not_called(url, reason):
    failure = _fails(_target(url, CLOSED, timeout=5))

    assert (failure.reason, failure.maybe_sent, failure.permanent) == (reason, False, False)


def test_only_the_listed_range_is_open():
    gate = Gate.of(["10.1.0.0/16", "fd00::/8"])

    assert gate.check("10.1.2.3", plain=True) is None
    assert gate.check("fd00::1", plain=True) is None
    assert gate.check("::ffff:10.1.2.3", plain=True) is None
    assert gate.check("10.2.0.1", plain=False) == "private-address"
    assert gate.check("8.8.8.8", plain=False) is None


def test_the_connection_goes_to_the_address_that_was_checked(hook, monkeypatch):
    """A name that is public when checked and private when used (rebinding) gains nothing."""
    port = int(hook.url.split(":")[2].split("/")[0])
    answers = iter([[(2, 1, 6, "", ("127.0.0.1", port))]])
    monkeypatch.setattr(egress.socket, "getaddrinfo", lambda *a, **k: next(answers))

    answer = _post(_target(f"http://orchestrator.example:{port}/hook"))

    assert answer.status == 202
    assert hook.posts[0][1]["host"] == f"orchestrator.example:{port}"


def test_of_several_addresses_only_the_allowed_are_tried(hook, monkeypatch):
    port = int(hook.url.split(":")[2].split("/")[0])
    found = [(2, 1, 6, "", ("10.0.0.1", port)), (2, 1, 6, "", ("127.0.0.1", port))]
    monkeypatch.setattr(egress.socket, "getaddrinfo", lambda *a, **k: found)

    assert _post(_target(f"http://two.example:{port}/hook")).status == 202


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("die", "broken-off"),
        ("short", "broken-off"),
        ("nonsense", "broken-off"),
        ("huge", "response-too-large"),
        ("redirect:http://127.0.0.1:9/", "redirect-refused"),
    ],
)
def test_a_bad_answer_may_follow_on_having_acted(hook, word, reason):
    hook.behave(word)

    failure = _fails(_target(hook.url))

    assert (failure.reason, failure.maybe_sent) == (reason, True)
    assert len(hook.posts) == 1


def test_a_redirect_is_never_followed(hook):
    other = Orchestrator()
    hook.behave(f"redirect:{other.url}", f"refuse-redirect:{other.url}")

    assert _fails(_target(hook.url)).maybe_sent
    assert not _fails(_target(hook.url)).maybe_sent
    assert other.posts == []
    other.close()


@pytest.mark.parametrize("word", ["hang", "drip"])
def test_one_deadline_bounds_the_whole_exchange(hook, word):
    hook.behave(word)
    began = time.monotonic()

    failure = _fails(_target(hook.url, timeout=0.4))

    assert (failure.reason, failure.maybe_sent) == ("timeout", True)
    assert time.monotonic() - began < 5


def test_a_refused_connection_is_surely_unsent():
    failure = _fails(_target("http://127.0.0.1:9/"))

    assert (failure.reason, failure.maybe_sent) == ("unreachable", False)


def test_a_silent_host_is_surely_unsent():
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    fill = [socket.socket() for _ in range(4)]
    for one in fill:
        one.setblocking(False)
        one.connect_ex(listener.getsockname())

    failure = _fails(_target(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.3))

    assert (failure.reason, failure.maybe_sent) == ("connect-timeout", False)
    for one in [*fill, listener]:
        one.close()


def test_a_handshake_with_what_speaks_no_tls_is_surely_unsent(hook):
    failure = _fails(_target(hook.url.replace("http:", "https:")))

    assert (failure.reason, failure.maybe_sent) == ("tls", False)


def test_a_certificate_of_nobody_we_trust_is_refused(tmp_path):
    import ssl

    port = _tls_server(tmp_path, ssl)

    failure = _fails(_target(f"https://localhost:{port}/"))

    assert (failure.reason, failure.maybe_sent) == ("tls", False)


def test_proxies_of_the_environment_are_not_used(hook, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert _post(_target(hook.url)).status == 202


def test_a_ping_makes_a_connection_and_asks_nothing(hook):
    _target(hook.url).ping()

    assert hook.posts == []
    with pytest.raises(DeliveryError):
        _target("http://127.0.0.1:9/").ping()


def _tls_server(folder, ssl):
    from eme_connector.adapters.keys import load_signer

    load_signer(folder, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "keys" / "signing.pem")
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = server.accept()
        try:
            context.wrap_socket(connection, server_side=True)
        except (ssl.SSLError, OSError):
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    return server.getsockname()[1]
