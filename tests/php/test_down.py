"""A sidecar that is down, is none, or knows us no longer: always words, never an exception."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

import pytest

from tests.build import CERT, CI, GROUP
from tests.doubles.orchestrator import Server
from tests.php.conftest import ACTIONS, FORMS, connection, group, organisation

ROWS = {"organisations": [organisation(CI, "CI-1")], "groups": [group(GROUP, "Trams", CERT)]}
WRONG_SHAPES = {"organisations": 3, "sharing_groups": {"a": 1}, "threats": [1], "settings": [{}],
                "handshakes": "x", "parts": 4, "ok": 1}  # fmt: skip
BODIES = {
    "text": (200, "hello"),
    "another program": (200, '{"status": "fine"}'),
    "a list": (200, "[]"),
    "a number": (200, "7"),
    "wrong shapes": (200, json.dumps(WRONG_SHAPES)),
    "an error page": (500, "<html><script>alert(1)</script></html>"),
    "a hostile problem": (422, '{"title": "<img src=x>", "detail": ["no text"]}'),
    "a redirect": (302, ""),
}


class Nonsense(Server):
    """Answers every request with one body."""

    def __init__(self, status, body):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def log_message(self, *_):
                return

        super().__init__(Handler)


def everything(at):
    """Return every action in every form, on the connection *at*."""
    common = {"connection": at, "rows": ROWS}
    indexes = [common | {"do": name, "kind": kind} for name in ACTIONS for kind in ("html", "json")]
    forms = [
        common | {"do": name, "kind": kind, "method": "post", "params": params}
        for name, params in FORMS.items()
        for kind in ("html", "json", "ajax")
    ]
    batch = common | {"do": "batchPushAction", "kind": "json", "method": "post",
                      "params": {"connection_ids": ["7"], "what": "both"}}  # fmt: skip
    return indexes, forms, batch


def check(php, at, *, silent_forms=()):
    indexes, forms, batch = everything(at)
    answers = php(*indexes, *forms, batch)

    assert [one for one in answers if "thrown" in one] == []
    for command, answer in zip(indexes, answers, strict=False):
        if command["kind"] == "html":
            data = answer["result"]["data"]
            assert data["data"] == []
            assert "alert alert-danger" in data["html"]
            assert "<img" not in data["html"]
        else:
            assert answer["rest"]["status"] == 502
            assert answer["rest"]["body"]["message"]
    for command, answer in zip(forms, answers[len(indexes) :], strict=False):
        if command["do"] in silent_forms:
            continue
        body = answer["rest"]["body"] if command["kind"] != "html" else answer["result"]
        assert body["success"] == 0, command
        assert body["message"]
        if command["kind"] == "ajax":
            assert answer["rest"]["status"] == 200
    if "batchPushAction" not in silent_forms:
        assert answers[-1]["result"]["success"] == 0


def test_a_sidecar_that_is_down_is_told_everywhere(php, free_port):
    check(php, connection(f"http://127.0.0.1:{free_port()}"))


@pytest.mark.parametrize("kind", BODIES)
def test_an_answer_that_makes_no_sense_is_told_everywhere(php, kind):
    server = Nonsense(*BODIES[kind])
    at = connection(server.url)
    # what only writes believes any JSON object that says 200
    believed = ("pushOrganisationAction", "withdrawSharingGroupAction", "cancelHandshakeAction")
    silent = believed if kind in ("another program", "a list", "wrong shapes") else ()
    try:
        check(php, at, silent_forms=silent)
        (diagnosed,) = php({"do": "diagnosticsAction", "connection": at, "kind": "json"})
        assert "thrown" not in diagnosed
    finally:
        server.shutdown()
        server.server_close()


def test_a_token_that_was_revoked_is_told_everywhere(php, sidecar):
    at = connection(sidecar.url)

    check(php, at)
    (health,) = php({"do": "health", "connection": at})
    assert health["result"]["status"] == 3
    assert "token" in health["result"]["message"]


def test_a_token_without_the_right_is_told(php, sidecar):
    from eme_connector.domain.rights import Right

    headers = sidecar.site.token(Right.READ)
    at = connection(sidecar.url, headers["Authorization"].removeprefix("Bearer "))
    health, pushed = php(
        {"do": "health", "connection": at},
        {"do": "pushOrganisationsAction", "connection": at, "rows": ROWS, "method": "post",
         "kind": "json"},
    )  # fmt: skip

    assert health["result"]["status"] == 1
    assert "sync" in pushed["rest"]["body"]["message"]


def test_the_log_of_the_connector_has_no_values(php):
    server = Nonsense(200, json.dumps({"organisations": "secret name"}))
    try:
        (answer,) = php({"do": "organisationsAction", "connection": connection(server.url)})
        assert answer["log"]
        assert "secret" not in json.dumps(answer["log"])
    finally:
        server.shutdown()
        server.server_close()


HOSTILE = "');alert(1);('"


@pytest.mark.parametrize(
    ("name", "row"),
    [("handshakes", {"code": HOSTILE, "role": "ours", "name": "x", "state": "open",
                     "organisation": "x", "fingerprint": "", "created_at": "", "expires_at": ""}),
     ("sharingGroups", {"uuid": HOSTILE, "name": "x", "members": [], "releasability": "",
                        "source": "x"})],
)  # fmt: skip
def test_a_hostile_key_gets_no_button_because_it_would_be_put_into_a_script(php, name, row):
    document = {"handshakes": [row], "sharing_groups": [row]}
    harmless = {"handshakes": [row | {"code": "A" * 26}],
                "sharing_groups": [row | {"uuid": CI}]}  # fmt: skip
    for content, expected in ((document, []), (harmless, [0])):
        server = Nonsense(200, json.dumps(content))
        try:
            (answer,) = php({"do": f"{name}Action", "connection": connection(server.url)})
        finally:
            server.shutdown()
            server.server_close()
        table = answer["result"]["data"]
        assert len(table["data"]) == 1
        assert table["actions"][-1]["rows"] == expected
