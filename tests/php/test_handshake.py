"""The three calls of an inter-connection, between two sidecars on real ports (C6)."""

from __future__ import annotations

import json

import pytest

from tests.build import CERT, CI, OTHER_CI


@pytest.fixture
def step(php):
    """Do one call of the handshake; `remote` is the organisation of the brood."""

    def run(name, at, remote, **data):
        params = {"remote_org": {"uuid": remote}, "remote_tool_data": data}
        (found,) = php({"do": name, "connection": at.connection, "params": params})
        return found

    return run


def test_three_clicks_make_two_peers_and_no_token_travels(step, sidecar, other):
    offer = step("initiateConnectionWrapper", sidecar, CERT.upper())["result"]
    answer = step("acceptConnectionWrapper", other, CI, **offer)["result"]
    done = step("finaliseConnectionWrapper", sidecar, CERT, **answer)

    assert set(offer) == {"eme_offer"}
    assert set(answer) == {"eme_answer"}
    travelled = json.dumps([offer, answer])
    assert "eme_" + sidecar.token.split("_")[1] not in travelled
    assert done["result"] is False  # what Cerebrate's own wrapper returns
    assert [one.organisation for one in sidecar.store.peers()] == [CERT]
    assert [one.organisation for one in other.store.peers()] == [CI]


def test_handshakes_are_listed_and_can_be_cancelled(php, step, sidecar):
    step("initiateConnection", sidecar, CERT)
    (table,) = php({"do": "handshakesAction", "connection": sidecar.connection})
    (row,) = table["result"]["data"]["data"]

    assert (row["organisation"], row["state"], row["began"]) == (CERT, "open", "here")
    assert table["result"]["data"]["actions"][0]["rows"] == [0]
    cancel = {"do": "cancelHandshakeAction", "connection": sidecar.connection, "method": "post",
              "kind": "ajax", "params": {"code": row["code"]}}  # fmt: skip
    php(cancel)
    (table,) = php({"do": "handshakesAction", "connection": sidecar.connection, "kind": "json"})
    assert table["rest"]["body"][0]["state"] == "cancelled"


@pytest.mark.parametrize("remote", [None, {}, {"uuid": None}])
def test_a_brood_without_an_organisation_is_refused(php, sidecar, remote):
    (found,) = php({"do": "initiateConnection", "connection": sidecar.connection,
                    "params": {"remote_org": remote}})  # fmt: skip

    assert "organisation" in found["message"]


def test_every_failure_is_thrown_because_cerebrate_ignores_what_is_returned(step, sidecar, other):
    offer = step("initiateConnection", sidecar, CERT)["result"]
    wrong = [
        step("initiateConnection", sidecar, "99999999-9999-4999-8999-999999999999"),
        step("acceptConnection", other, OTHER_CI, **offer),
        step("acceptConnection", other, CI, eme_offer="nonsense"),
        step("acceptConnection", other, CI),
        step("finaliseConnection", sidecar, CERT),
        step("finaliseConnection", sidecar, CERT, eme_answer=offer["eme_offer"]),
    ]

    assert [one["thrown"] for one in wrong] == [r"EmeConnector\SidecarError"] * 6
    assert all(one["message"].startswith("The sidecar refused") for one in wrong)
    assert wrong[-1]["log"] == ["finalise: " + wrong[-1]["message"]]
    assert sidecar.store.peers() == ()


def test_a_sidecar_that_is_down_at_the_last_step_makes_no_peer(step, sidecar, other):
    offer = step("initiateConnection", sidecar, CERT)["result"]
    answer = step("acceptConnection", other, CI, **offer)["result"]
    other.close()

    assert "thrown" in step("finaliseConnection", sidecar, CERT, **answer)
    assert sidecar.store.peers() == ()
