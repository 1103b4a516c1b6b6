"""Protected events: signed by the instance that sends them, checked by the one that gets them."""

from __future__ import annotations

import shutil
from uuid import uuid4

import pytest

from tests.conftest import left_out
from tests.doubles.misp.protection import make_key


@pytest.fixture(scope="module")
def public_key(pair):
    """Return the public key of A's instance."""
    if shutil.which("gpg") is None:
        left_out("gpg is not installed: apt-get install gnupg")
    if pair.clock is None:
        return pair.a.get("/gpg.asc").text
    make_key(pair.b.double)
    return make_key(pair.a.double)


@pytest.fixture
def protected(pair, event):
    _, number = pair.group(**pair.both())
    document = event(distribution="4", sharing_group_id=number)
    stored = pair.a.post("/events/add", document).body["Event"]
    switched = pair.a.post(f"/events/protect/{stored['uuid']}")
    assert switched.message == "Event switched to protected mode."
    return stored


def give_key(pair, event, data):
    body = {"type": "pgp", "key_data": data}
    return pair.a.post(f"/cryptographicKeys/add/Event/{event['id']}", body)


def test_without_a_key_publishing_does_say_that_it_failed(pair, protected, public_key):
    refused = pair.a.post(f"/events/publish/{protected['uuid']}")

    assert refused.status == 403
    assert refused.body["errors"] == {"failed_servers": [pair.b.url]}
    assert not pair.b.has(protected["uuid"])


def test_with_its_key_it_arrives_and_can_be_updated(pair, protected, public_key):
    added = give_key(pair, protected, public_key)
    assert len(added.body["CryptographicKey"]["fingerprint"]) == 40
    assert give_key(pair, protected, "nonsense").body["errors"] == {"key_data": ["Invalid key."]}
    uuid = protected["uuid"]

    assert pair.a.post(f"/events/publish/{uuid}").status == 200
    assert pair.b.event(uuid)["protected"] is True

    pair.later()
    assert pair.a.post(f"/events/edit/{uuid}", {"info": "v2"}).status == 200
    assert pair.a.post(f"/events/publish/{uuid}").status == 200
    assert pair.b.event(uuid)["info"] == "v2"


def test_a_forged_update_is_refused(pair, protected, public_key):
    give_key(pair, protected, public_key)
    uuid = protected["uuid"]
    pair.a.post(f"/events/publish/{uuid}")
    pair.later()
    forged = {"uuid": uuid, "info": "forged", "timestamp": str(int(protected["timestamp"]) + 60)}

    unsigned = pair.b.post(f"/events/edit/{uuid}", forged, role="sync")
    assert (unsigned.status, unsigned.message) == (
        405,
        "Protected event failed signature validation as no key was provided.",
    )
    wrong = pair.b.post(
        f"/events/edit/{uuid}", forged, role="sync", headers={"x-pgp-signature": "bm9uc2Vuc2U="}
    )
    assert (wrong.status, wrong.message) == (405, "Protected event failed signature validation.")
    assert pair.b.event(uuid)["info"] != "forged"


def test_an_instance_that_is_not_on_it_does_not_list_it_and_signs_it_anew(
    pair, protected, public_key
):
    give_key(pair, protected, public_key)
    uuid = protected["uuid"]
    pair.a.post(f"/events/publish/{uuid}")

    def listed(side):
        rows = side.post("/events/index", {"minimal": 1}).body
        return uuid in {one["uuid"] for one in rows}

    assert (listed(pair.a), listed(pair.b)) == (True, False)
    agent = {"User-Agent": "MISP 2.5.1"}
    here = pair.a.get(f"/events/view/{uuid}", headers=agent).headers["x-pgp-signature"]
    there = pair.b.get(f"/events/view/{uuid}", headers=agent).headers["x-pgp-signature"]
    assert here != there


@pytest.mark.parametrize(("agent", "signed"), [("MISP 2.5.1", True), ("curl/8", False)])
def test_a_program_that_is_misp_gets_the_signature(pair, protected, public_key, agent, signed):
    give_key(pair, protected, public_key)

    got = pair.a.get(f"/events/view/{protected['uuid']}", headers={"User-Agent": agent})

    assert ("x-pgp-signature" in got.headers) is signed


def test_it_can_be_unprotected(pair, protected):
    answer = pair.a.post(f"/events/unprotect/{protected['uuid']}")

    assert answer.message == "Event switched to unprotected mode."
    assert pair.a.post(f"/events/protect/{uuid4()}").status == 404
