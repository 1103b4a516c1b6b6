"""Our modules called by a real MISP, and not by us in its name.

EME_TEST_MISP_MODULES=1 beside EME_TEST_MISP_A_URL and EME_TEST_MISP_A_ADMIN_KEY: the settings of
that MISP for modules are ours while it runs; what had a value gets it back. With =workflow its
trigger *Event Publish* has to lead what is tagged `eme-test:gate` to `eme_gate`, and what is
tagged `eme-test:create` to `eme_create`.
"""

from __future__ import annotations

import base64
import json
import os
from contextlib import contextmanager
from uuid import uuid4

import pytest

from tests.build import CI
from tests.bundles import bundle, carrier
from tests.misp.contract.conftest import REAL, Side
from tests.misp_modules.test_modules import (  # noqa: F401  (a fixture)
    anna,
    decide,
    ingest,
    packed,
    threats_by_name,
)

HOW = os.environ.get("EME_TEST_MISP_MODULES", "")
if not (HOW and all(os.environ.get(name) for name in REAL)):
    pytest.skip("no real MISP to call our modules: EME_TEST_MISP_MODULES", allow_module_level=True)

FAMILIES = {
    "Enrichment": ["eme_lookup"],
    "Import": ["eme_import"],
    "Export": ["eme_stix"],
    "Action": ["eme_create", "eme_gate"],
}


@pytest.fixture(scope="module")
def misp(server, sidecar):
    made = Side(os.environ[REAL[0]], os.environ[REAL[1]])
    address, _, port = server.url.rpartition(":")
    # a module has settings only while its server answers, so these come last and go first
    wanted = {}
    for family, names in FAMILIES.items():
        known = {"services_enable": True, "services_url": address, "services_port": int(port)}
        known |= {f"{name}_enabled": True for name in names}
        wanted |= {f"Plugin.{family}_{name}": value for name, value in known.items()}
    wanted |= {
        "Plugin.Enrichment_eme_lookup_eme_url": sidecar.url,
        "Plugin.Enrichment_eme_lookup_eme_token": sidecar.token,
    }
    with settings(made, wanted):
        yield made


@contextmanager
def settings(misp, wanted):
    before = {name: misp.get(f"/servers/getSetting/{name}").body.get("value") for name in wanted}
    try:
        for name, value in wanted.items():
            change(misp, name, value)
        yield
    finally:
        for name, value in reversed(before.items()):
            # what was not set cannot be unset
            if value not in (None, ""):
                change(misp, name, value)


def change(misp, name, value):
    answer = misp.post(f"/servers/serverSettingsEdit/{name}", {"value": value})
    assert answer.status == 200, (name, answer.text)


def add(misp, *tags, **more):
    attribute = {"type": "ip-dst", "category": "Network activity", "value": "198.51.100.77"}
    named = [{"name": name} for name in ("tlp:amber", *tags)]
    fields = {"uuid": str(uuid4()), "info": f"modules {uuid4()}", "distribution": "0"}
    event = fields | {"Tag": named, "Attribute": [attribute]} | more
    assert misp.post("/events/add", event).status == 200
    return event


def publish(misp, event):
    answer = misp.post(f"/events/publish/{event['uuid']}")
    return answer, misp.event(event["uuid"])["published"]


def test_a_bundle_becomes_objects_of_the_open_event_and_an_account_of_it(misp):
    event = add(misp)
    body = {"data": packed(bundle(carrier())), "source": "1",
            "config": {"criticality_order": "descending", "share_assets": "0"}}  # fmt: skip

    answer = misp.post(f"/events/importModule/eme_import/{event['uuid']}", {"Event": body})

    assert answer.status == 200, answer.text
    stored = misp.event(event["uuid"])
    assert {"iris-detection", "security-playbook"} <= {one["name"] for one in stored["Object"]}
    assert [one["name"] for one in stored["EventReport"]] == ["EME accounting"]
    homes = {one["comment"].endswith("(stays at home)"): one["distribution"]
             for one in stored["Object"]}  # fmt: skip
    assert homes == {False: "5", True: "0"}


def test_a_value_that_a_threat_names_is_found_by_it(misp, sidecar):
    (known,) = ingest(sidecar, carrier(number=71, iris_id=71))
    event = add(misp, Attribute=[{"type": "text", "category": "Other", "value": known}])
    (attribute,) = misp.event(event["uuid"])["Attribute"]

    about = {key: attribute[key] for key in ("uuid", "type", "value")}
    query = {"module": "eme_lookup", "persistent": 1, "attribute": about}
    asked = misp.post("/modules/queryEnrichment", query)
    # 2.5.1 does it and answers 500: it has no JSON for its answer
    misp.post(f"/events/enrichEvent/{event['uuid']}", {"Event": {"eme_lookup": True}})

    assert any(known in one["value"] for one in asked.body["results"]["Attribute"])
    stored = misp.event(event["uuid"])
    assert [one["name"] for one in stored["Object"]] == ["response-decision"]
    assert {one["distribution"] for one in stored["Object"]} == {"0"}
    assert any(known in one["value"] for one in stored["Attribute"] if one["type"] == "link")


def test_an_event_leaves_as_a_bundle_with_the_extension_and_its_playbook(misp):
    event = add(misp)
    body = {"data": packed(bundle(carrier(number=72, iris_id=72))), "source": "1",
            "config": {"criticality_order": "descending", "share_assets": "0"}}  # fmt: skip
    misp.post(f"/events/importModule/eme_import/{event['uuid']}", {"Event": body})
    number = misp.event(event["uuid"])["id"]

    answer = misp.get(f"/events/exportModule/eme_stix/{number}")

    found = json.loads(answer.text)
    kinds = [one["type"] for one in found["objects"]]
    assert {"incident", "course-of-action", "extension-definition"} <= set(kinds)
    (incident,) = [one for one in found["objects"] if one["type"] == "incident"]
    assert any("detection" in one for one in incident["extensions"].values())
    playbook = next(one for one in found["objects"] if one["type"] == "course-of-action")
    (extension,) = [one for one in playbook["extensions"].values() if "playbook_bin" in one]
    assert json.loads(base64.b64decode(extension["playbook_bin"]))["spec_version"] == "cacao-2.0"


@pytest.fixture
def workflow():
    if HOW != "workflow":
        pytest.skip("no workflow leads to our actions: EME_TEST_MISP_MODULES=workflow")


def test_an_event_is_published_once_a_person_approved_it_as_it_stands(workflow, misp, anna):  # noqa: F811
    event = add(misp, "eme-test:gate")

    answer, published = publish(misp, event)
    assert (answer.status, published) == (403, False)
    assert answer.body["errors"] == {"Module": "Module failure."}

    decide(anna, threats_by_name(anna, f"Publish in MISP? {event['info']}"), "approved")
    assert publish(misp, event)[1] is True

    more = {"type": "domain", "category": "Network activity", "value": f"{uuid4()}.example"}
    assert misp.post(f"/attributes/add/{event['uuid']}", more).status == 200
    assert publish(misp, event)[1] is False


def test_an_event_becomes_a_threat_and_goes_on(workflow, misp, anna):  # noqa: F811
    event = add(misp, "eme-test:create")

    assert publish(misp, event)[1] is True

    assert threats_by_name(anna, event["info"])


def test_without_a_sidecar_the_gate_stays_shut(workflow, misp, start):
    event = add(misp, "eme-test:gate")
    alone = start(EME_MODULES_URL="http://127.0.0.1:9", EME_MODULES_TOKEN=CI)

    with settings(misp, {"Plugin.Action_services_port": int(alone.url.rpartition(":")[2])}):
        assert publish(misp, event)[1] is False
