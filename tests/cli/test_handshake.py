"""Becoming peers on the command line, by three texts that people carry."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from eme_connector import config
from eme_connector.bootstrap import build
from eme_connector.cli import main
from eme_connector.usecases import enrol
from tests.build import CERT, CI
from tests.delivery.world import tree
from tests.doubles.peer import CONFIRMATION, PeerServer


class At:
    """One sidecar's command line."""

    def __init__(self, folder, organisation, monkeypatch, **sections):
        self.monkeypatch = monkeypatch
        self.path = folder / f"{organisation}.json"
        self.tree = tree(folder / organisation, organisation, **sections)
        self.path.write_text(json.dumps(self.tree))

    def __call__(self, *words, code=0):
        self.monkeypatch.setattr(sys, "argv", ["eme", *words, "--json"])
        done = CliRunner().invoke(main, ["--config", str(self.path), "peers", *words, "--json"])
        assert done.exit_code == code, (done.output, done.exception)
        return json.loads(done.output.strip().splitlines()[-1])

    def confirm(self, jws):
        eme = build(config.parse(json.loads(self.path.read_text()), {}))
        try:
            return enrol.confirm(jws, system=eme)
        finally:
            eme.store.close()


@pytest.fixture
def sides(tmp_path, monkeypatch):
    server = PeerServer(lambda jws: cert.confirm(jws), CONFIRMATION)
    ci = At(tmp_path, CI, monkeypatch)
    cert = At(tmp_path, CERT, monkeypatch, serve={"public_url": server.url})
    yield ci, cert
    server.close()


def test_three_texts_make_two_peers(sides, tmp_path):
    ci, cert = sides
    offer, answer = tmp_path / "offer", tmp_path / "answer"

    code = ci("offer", "CERT-1", str(offer))["code"]
    told = cert("accept", str(offer), str(answer), "--from", "CI-1")
    made = ci("finalise", str(answer), "--from", "CERT-1")

    assert told["code"] == code
    assert made["organisation"] == CERT
    assert [one["organisation"] for one in cert("list")["peers"]] == [CI]
    assert ci("handshakes")["handshakes"][0]["state"] == "finalised"
    assert ci("cancel", code, code=6)["status"] == 409


def test_a_cancelled_offer_is_over(sides, tmp_path):
    ci, cert = sides
    offer, answer = tmp_path / "offer", tmp_path / "answer"
    code = ci("offer", "CERT-1", str(offer))["code"]
    cert("accept", str(offer), str(answer), "--from", "CI-1")

    cancelled = {"code": code, "state": "cancelled"}
    assert ci("cancel", code, "--dry-run") == cancelled | {"dry_run": True}
    assert ci("cancel", code) == cancelled | {"dry_run": False}
    assert ci("finalise", str(answer), "--from", "CERT-1", code=6)["status"] == 409
    assert ci("list")["peers"] == []


def test_a_rehearsal_of_every_step_keeps_nothing_and_tells_nobody(sides, tmp_path):
    ci, cert = sides
    offer, answer, none = (tmp_path / name for name in ("offer", "answer", "none"))

    ci("offer", "CERT-1", str(none), "--dry-run")
    assert not none.exists()
    assert ci("handshakes")["handshakes"] == []

    ci("offer", "CERT-1", str(offer))
    seen = cert("accept", str(offer), str(none), "--from", "CI-1", "--dry-run")
    assert not none.exists()
    assert cert("handshakes")["handshakes"] == []
    assert (
        cert("accept", str(offer), str(answer), "--from", "CI-1")["fingerprint"]
        == seen["fingerprint"]
    )

    seen = ci("finalise", str(answer), "--from", "CERT-1", "--dry-run")
    assert seen["organisation"] == CERT
    assert ci("list")["peers"] == cert("list")["peers"] == []

    ci("finalise", str(answer), "--from", "CERT-1")
    (peer,) = ci("list")["peers"]
    ci("revoke", peer["fingerprint"], "--dry-run")
    assert ci("list")["peers"] == [peer]


def test_what_would_be_refused_is_refused_in_a_rehearsal(sides, tmp_path):
    ci, cert = sides
    offer = tmp_path / "offer"
    ci("offer", "CERT-1", str(offer))

    assert cert("accept", str(offer), "--from", "CERT-1", "--dry-run", code=7)
    assert ci("cancel", "no-such-code", "--dry-run", code=5)
