"""What the modules do, asked over HTTP as MISP asks, with a real sidecar behind them."""

from __future__ import annotations

import base64
import json
import time
from uuid import uuid4

import pytest
import requests
import stix2

from eme_connector.cli.api import log_in
from eme_connector.formats import stix_bundle
from eme_connector.formats.misp_event import bundle as misp_bundle
from eme_connector.formats.misp_event import event as misp_event
from eme_connector.formats.misp_event.event import Rendering
from tests.build import CI, threat
from tests.bundles import bundle, carrier
from tests.faults.sidecar import PASSWORD


def packed(document):
    return base64.b64encode(json.dumps(document).encode()).decode()


def misp_event_of(content=None, **fields):
    return {
        "uuid": str(uuid4()),
        "info": "Scans of the depot",
        "date": "2026-01-01",
        "timestamp": "1700000000",
        "threat_level_id": "2",
        "distribution": "1",
        "Orgc": {"name": "CERT-1", "uuid": "33333333-3333-4333-8333-333333333333"},
        "Attribute": [],
        "Object": [],
        "Tag": [{"name": "tlp:green"}],
    } | (content or {}) | fields  # fmt: skip


def address(value="198.51.100.7"):
    return {"uuid": str(uuid4()), "type": "ip-dst", "category": "Network activity",
            "value": value, "to_ids": True, "timestamp": "1700000000"}  # fmt: skip


def ingest(sidecar, *carriers):
    headers = {"Authorization": f"Bearer {sidecar.token}"}
    answer = requests.post(f"{sidecar.url}/api/v1/ci/threats", json=bundle(*carriers),
                           headers=headers, timeout=10)  # fmt: skip
    assert answer.status_code in (200, 201), answer.text
    return [one["id"] for one in answer.json()["threats"]]


def threats_named(sidecar, keyword, holds=bool):
    """Return the threats that the index knows by a keyword, once they are as they should be."""
    headers = {"Authorization": f"Bearer {sidecar.token}"}
    until = time.monotonic() + 20
    while time.monotonic() < until:
        query = {"keyword": keyword}
        found = requests.get(f"{sidecar.url}/api/v1/ci/threats", params=query, headers=headers,
                             timeout=10).json()["threats"]  # fmt: skip
        if found and holds(found):
            return found
        time.sleep(0.1)
    return []


@pytest.fixture(scope="module")
def anna(sidecar):
    sidecar.eme("user", "add", "anna", "--role", "operator", "--password-file", "-", "--json",
                input=PASSWORD + "\n")  # fmt: skip
    return log_in(sidecar.url, "anna", PASSWORD)


def decide(anna, threat_id, word):
    path = f"/ci/threats/{threat_id}/playbook"
    tag = {"If-Match": anna.call("GET", path).headers["ETag"]}
    anna.call("PUT", path, body={"status": word, "reason": "seen it"}, headers=tag)


def import_into(server, document, **config):
    config = {"criticality_order": "descending", "share_assets": "0"} | config
    return server.query(module="eme_import", event_id="7", data=packed(document), config=config)


def test_an_iris_file_becomes_content_for_the_open_event(server):
    found = import_into(server, bundle())

    assert set(found["results"]) == {"Attribute", "Object", "Tag", "EventReport"}
    event = found["results"]
    assert "iris-detection" in [one["name"] for one in event["Object"]]
    assert misp_bundle.as_received(event) == bundle()
    report = event["EventReport"][0]
    assert (report["name"], report["distribution"]) == ("EME accounting", "0")
    assert report["content"].startswith("# What became of the file\n\n67 leaves: 65 mapped, 2 kept")
    assert "| `/type` | `about the bundle itself` |" in report["content"]


def test_importing_twice_into_one_event_gives_the_same_ids(server):
    assert import_into(server, bundle()) == import_into(server, bundle())


def test_other_objects_of_the_file_go_through_misp_stix(server):
    when = "2026-01-01T00:00:00.000Z"
    indicator = {
        "type": "indicator", "spec_version": "2.1", "created": when, "modified": when,
        "id": "indicator--11111111-1111-4111-8111-111111111111", "pattern_type": "stix",
        "pattern": "[ipv4-addr:value = '198.51.100.7']", "valid_from": when,
    }  # fmt: skip

    found = import_into(server, {"type": "bundle", "objects": [indicator]})

    assert [one["value"] for one in found["results"]["Attribute"]] == ["198.51.100.7"]


def test_assets_leave_with_the_event_where_the_person_says_so(server):
    def shared(**config):
        objects = import_into(server, bundle(), **config)["results"]["Object"]
        return json.dumps([one for one in objects if one["distribution"] != "0"])

    assert "10.1.2.9" not in shared()
    assert "10.1.2.9" in shared(share_assets="1")


def test_a_file_that_is_no_bundle_is_refused_with_the_place(server):
    assert import_into(server, [1])["error"] == "EME: /type expected a bundle"
    bad = server.query(module="eme_import", event_id="7", data=base64.b64encode(b"{").decode())
    assert bad["error"].startswith("EME: not JSON at byte 1")


def look_up(server, sidecar, value, **fields):
    config = {"eme_url": sidecar.url, "eme_token": sidecar.token}
    attribute = {"type": "text", "value": value, "uuid": str(uuid4())} | fields
    return server.query(module="eme_lookup", attribute=attribute, config=config, event_id="1")


def test_an_address_is_found_with_status_risk_playbook_and_decision(server, sidecar, anna):
    asset = {"asset_ip": "10.99.1.7", "asset_device": "PLC-77", "criticality": "2"}
    own = ingest(sidecar, carrier(number=41, iris_id=41, criticalities=asset))[0]
    assert threats_named(sidecar, "10.99.1.7")

    for value in ("10.99.1.7", "PLC-77", own, "10.99.1.7|443"):
        found = look_up(server, sidecar, value)["results"]
        assert [one["value"] for one in found["Attribute"]] == [f"{sidecar.url}/threats/{own}"]
        assert "pending, risk 48 (medium), attack: Modbus write" in found["Attribute"][0]["comment"]
    decide(anna, own, "approved")
    stands = look_up(server, sidecar, own)["results"]["Object"][0]
    relations = [(one["object_relation"], one["value"]) for one in stands["Attribute"]]
    assert ("status", "approved") in relations
    assert ("reason", "seen it") in relations
    assert ("step", "Contain the master, 1: Isolate Host on PLC-9, approved") in relations
    assert {one["distribution"] for one in (stands, *stands["Attribute"])} == {"0"}


def test_a_value_that_only_looks_alike_is_not_found(server, sidecar):
    ingest(sidecar, carrier(number=42, iris_id=42, criticalities={"asset_ip": "10.99.2.70"}))
    assert threats_named(sidecar, "10.99.2.70")

    assert look_up(server, sidecar, "10.99.2.7") == {"results": {}}
    assert look_up(server, sidecar, "ab") == {"results": {}}


def test_a_token_finds_what_its_organisation_may_see_and_nothing_else(server, sidecar):
    own = ingest(sidecar, carrier(number=43, iris_id=43, criticalities={"asset_ip": "10.99.3.7"}))
    assert threats_named(sidecar, "10.99.3.7")
    refused = server.query(
        module="eme_lookup", attribute={"value": own[0]},
        config={"eme_url": sidecar.url, "eme_token": "eme_abcdefghijkl_" + "A" * 43},
    )  # fmt: skip

    assert refused == {"error": "EME: the sidecar refuses the token (401)", "results": {}}


def export(server, *events, **config):
    found = server.query(module="eme_stix", data=list(events), config=config)
    return json.loads(base64.b64decode(found["data"]))


def test_events_are_exported_as_one_bundle(server):
    ours = {"Event": misp_event.render(threat(), Rendering("CI-1"), b"{}")}
    others = {"Event": misp_event_of({"Attribute": [address()]})}

    found = export(server, ours, others)

    stix2.parse(found, allow_custom=True)
    kinds = {one["type"] for one in found["objects"]}
    assert {"incident", "course-of-action", "indicator", "extension-definition"} <= kinds
    incident = next(one for one in found["objects"] if one["type"] == "incident")
    assert stix_bundle.EXTENSION in incident["extensions"]
    assert "10.0.0.7" not in json.dumps(found)
    assert "10.0.0.7" in json.dumps(export(server, ours, with_assets="1"))


def test_an_event_that_cannot_be_exported_is_named_and_the_others_go(server):
    broken = {"Event": misp_event_of({"Attribute": [address() | {"uuid": "a"}]})}
    good = {"Event": misp_event_of({"Attribute": [address("203.0.113.9")]})}

    found = export(server, broken, good)

    stix2.parse(found, allow_custom=True)
    note = found["objects"][-1]
    assert note["abstract"] == "Not exported (event, place, why)"
    assert note["content"] == "/0/Attribute/0 misp-stix stops at it: InvalidValueError"
    assert "203.0.113.9" in json.dumps(found)


def act(server, name, event, **params):
    return server.query(module=name, data={"Event": event}, params=params)


def test_an_event_becomes_a_threat_once(server, sidecar):
    event = misp_event_of({"Attribute": [address("198.51.100.99")]}, info="Scans of depot 99")
    event["Tag"].append({"name": 'misp-galaxy:mitre-atlas-attack-pattern="Evade ML Model"'})

    assert act(server, "eme_create", event, classification="vulnerability") == {"data": True}
    assert act(server, "eme_create", event, classification="vulnerability") == {"data": True}

    found = threats_named(sidecar, "198.51.100.99")
    assert [(one["name"], one["type"], one["tlp"], one["risk"]["factors"]["risk_score"]) for one in
            found] == [("Scans of depot 99", "vulnerability", "green", 5.0)]  # fmt: skip
    assert found[0]["description"] == "AML.T0015"
    assert found[0]["source"] == "MISP event of CERT-1"


def test_an_imported_bundle_becomes_its_threats(server, sidecar):
    document = bundle(carrier(number=44, iris_id="imported-44"))
    event = misp_event_of(import_into(server, document)["results"])

    assert act(server, "eme_create", event) == {"data": True}

    (own,) = ingest(sidecar, carrier(number=44, iris_id="imported-44"))
    assert threats_named(sidecar, "PLC-9", lambda found: own in [one["id"] for one in found])


def test_an_event_of_a_sidecar_does_not_come_back_as_another_threat(server, sidecar):
    event = misp_event.render(threat(), Rendering("CI-1"))

    assert act(server, "eme_create", event) == {"data": True}
    time.sleep(1)
    assert look_up(server, sidecar, threat().id) == {"results": {}}


def test_what_the_sidecar_refuses_is_told(server):
    document = bundle(carrier("Somebody else", number=45, iris_id=45))
    event = misp_event_of(import_into(server, document)["results"])

    error = act(server, "eme_create", event)["error"]

    assert error.startswith("EME: /objects/0/detection/organisation is not the sender's")


def test_the_gate_opens_when_a_person_approved_this_very_content(server, anna):
    event = misp_event_of({"Attribute": [address()]}, info="Gate one")

    first = act(server, "eme_gate", event)
    assert "waits for a person" in first["error"]
    asked = threats_by_name(anna, "Publish in MISP? Gate one")
    decide(anna, asked, "approved")

    assert act(server, "eme_gate", event) == {"data": True}
    assert act(server, "eme_gate", event | {"publish_timestamp": "9", "timestamp": "9"}) == {
        "data": True
    }
    changed = event | {"Attribute": [*event["Attribute"], address("203.0.113.1")]}
    assert "waits for a person" in act(server, "eme_gate", changed)["error"]


def threats_by_name(anna, name):
    found = anna.call("GET", "/ci/threats").json()["threats"]
    return next(one["id"] for one in found if one["name"] == name)


def test_the_gate_stays_shut_when_a_person_declined(server, anna):
    event = misp_event_of(info="Gate two")
    act(server, "eme_gate", event)
    decide(anna, threats_by_name(anna, "Publish in MISP? Gate two"), "declined")

    assert act(server, "eme_gate", event)["error"] == "EME: publishing was declined: seen it"


def test_the_gate_lets_the_sidecars_own_threats_pass_and_no_imitation(server, sidecar):
    own = ingest(sidecar, carrier(number=46, iris_id=46))[0]
    event = misp_event.render(threat(id=own), Rendering("CI-1"))

    assert act(server, "eme_gate", event) == {"data": True}
    forged = misp_event.render(threat(id=str(uuid4())), Rendering("CI-1"))
    assert "does not know it" in act(server, "eme_gate", forged)["error"]


def test_no_secret_and_no_content_is_in_the_servers_log(server, sidecar):
    log = server.log

    assert "POST /query" in log
    for secret in (sidecar.token, "10.99.1.7", "Modbus write", "198.51.100.99", CI):
        assert secret not in log
