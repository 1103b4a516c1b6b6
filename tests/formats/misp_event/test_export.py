"""Events of a MISP as one STIX 2.1 bundle."""

from __future__ import annotations

import base64
import copy
import json
import logging
from uuid import UUID

import pytest
import stix2
from hypothesis import given, settings

from eme_connector.domain.threat import Tlp
from eme_connector.formats import iris_bundle, stix_bundle, stix_playbook
from eme_connector.formats.misp_event import bundle, export, export_accounting, to_stix
from eme_connector.formats.misp_event import event as misp_event
from eme_connector.formats.misp_event.bundle import Options
from eme_connector.formats.misp_event.event import Rendering
from eme_connector.formats.misp_event.others import Foreign
from tests import bundles
from tests.build import threat
from tests.formats.misp_event import resolve
from tests.formats.misp_event.arbitrary import threats

HOW = Rendering("CI-1")
BASE = "https://eme.example"
NAMESPACE = UUID("7d3f0c51-2a0d-4a87-9b2a-5b9e4f0f6c11")


def render(*events, **options):
    return export.render(events, base_url=BASE, **options)


def by_type(found, kind):
    return [one for one in found.bundle["objects"] if one["type"] == kind]


def iris(found):
    return [one["extensions"][stix_bundle.EXTENSION] for one in by_type(found, "incident")]


def attribute(value="198.51.100.7", number=1, **fields):
    uuid = f"aaaaaaaa-0000-4000-8000-{number:012d}"
    return {"uuid": uuid, "type": "ip-dst", "category": "Network activity", "value": value,
            "to_ids": True, "timestamp": "1700000000"} | fields  # fmt: skip


def event(*attributes, **fields):
    return {
        "Event": {
            "uuid": "bbbbbbbb-0000-4000-8000-000000000001",
            "info": "an event",
            "date": "2026-01-01",
            "timestamp": "1700000000",
            "published": False,
            "Attribute": list(attributes),
        }
        | fields
    }


def test_a_threat_is_an_incident_with_our_extension_and_its_playbook_in_cacao():
    found = render({"Event": misp_event.render(threat(), HOW, b"{}")}, at_home=True)

    stix2.parse(found.bundle, allow_custom=False)
    assert found.refused == {}
    expected = stix_bundle.render(threat(), "CI-1", base_url=BASE)["objects"]
    labels = found.bundle["objects"][len(expected) - 1].pop("labels")
    assert found.bundle["objects"][: len(expected)] == expected
    assert 'rsit:intrusion-attempts="ids-alert"' in labels
    assert [one for one in labels if one.startswith("tlp:")] == []
    action = by_type(found, "course-of-action")[0]["extensions"][stix_playbook.EXTENSION]
    assert json.loads(base64.b64decode(action["playbook_bin"]))["spec_version"] == "cacao-2.0"
    assert [one["relationship_type"] for one in by_type(found, "relationship")] == ["related-to"]


@settings(max_examples=25)
@given(threats())
def test_what_is_exported_is_read_again_as_the_same_detection(one):
    found = render({"Event": misp_event.render(one, HOW)}, at_home=True)

    assert found.refused == {}
    stix2.parse(found.bundle, allow_custom=True)
    back = iris_bundle.parse(
        {"type": "bundle", "objects": by_type(found, "incident")},
        is_sender=lambda _: True,
        criticality_order="ascending",
    ).detections[0]
    sent = one.detection
    assert (back.name, back.threat, back.summary, back.kind, back.risk_score, back.assets) == (
        sent.name, sent.threat, sent.summary, sent.kind, sent.risk_score, sent.assets,
    )  # fmt: skip
    assert [step.action_text for step in back.steps] == [s.action_text for s in sent.steps]


def test_what_stays_at_home_is_not_exported_unless_asked_for():
    one = {"Event": misp_event.render(threat(), HOW, b"raw")}

    text = json.dumps(render(one).bundle)
    assert "10.0.0.7" not in text
    assert "cam-1" not in text
    assert iris(render(one))[0]["detection"]["detection_name"] == "Adversarial patch"
    assert "10.0.0.7" in json.dumps(render(one, at_home=True).bundle)


def test_an_imported_bundle_is_exported_with_its_detections_and_no_decision():
    document = bundles.bundle(bundles.carrier(), bundles.carrier(number=2, iris_id=9))
    content = bundle.render(document, NAMESPACE, Options(), lambda _: Foreign()).event

    found = render(event(**content), at_home=True)

    assert found.refused == {}
    assert [one["detection"]["iris_id"] for one in iris(found)] == ["7", "9"]
    assert [one["criticalities"][0]["criticality"] for one in iris(found)] == [4, 4]
    assert [one for one in iris(found) if "decision" in one] == []
    assert len(by_type(found, "course-of-action")) == 2


@pytest.mark.parametrize("at_home", [True, False])
def test_two_imports_are_exported_both(at_home):
    contents = [
        bundle.render(bundles.bundle(bundles.carrier(iris_id=at)), UUID(int=at << 104),
                      Options(several=True), lambda _: Foreign()).event
        for at in (1, 2)
    ]  # fmt: skip
    objects = [found for content in contents for found in content["Object"]]

    found = render(event(Object=objects), at_home=at_home)

    assert found.refused == {}
    assert sorted(one["detection"]["iris_id"] for one in iris(found)) == ["1", "2"]
    assert {one["type"] for one in found.bundle["objects"]}.isdisjoint({"x-misp-object", "note"})


def test_other_attributes_of_an_event_of_ours_travel_too():
    content = misp_event.render(threat(), HOW)
    content["Attribute"].append(attribute())
    note = {"uuid": "cccccccc-0000-4000-8000-000000000001", "name": "our view", "content": "# CERT",
            "timestamp": "1700000000", "distribution": "5"}  # fmt: skip
    content["EventReport"].append(note)

    found = render({"Event": content})

    assert "198.51.100.7" in json.dumps(by_type(found, "indicator"))
    assert [one["content"] for one in by_type(found, "note")] == ["# CERT"]


def test_one_event_that_stops_misp_stix_does_not_stop_the_others(monkeypatch):
    real = to_stix.by_misp_stix

    def stops(one):
        if one["info"] == "bad":
            raise KeyError("x")
        return real(one)

    monkeypatch.setattr(to_stix, "by_misp_stix", stops)
    found = render(event(attribute(), info="bad"), "nothing", event(attribute(number=2)))

    assert found.refused == {"/0": "misp-stix stops at it: KeyError", "/1": "is no event"}
    assert "198.51.100.7" in json.dumps(by_type(found, "indicator"))


def test_an_attribute_that_stops_misp_stix_is_left_out_by_itself():
    found = render(event(attribute(), attribute("203.0.113.9", uuid="a"), attribute("x", 3)))

    assert found.refused == {"/0/Attribute/1": "misp-stix stops at it: InvalidValueError"}
    assert "198.51.100.7" in json.dumps(found.bundle)
    assert "203.0.113.9" not in json.dumps(found.bundle)


def test_a_galaxy_that_stops_misp_stix_is_left_out_by_itself():
    broken = {
        "uuid": "698774c7-8022-42c4-917f-8d6e4f06ada3", "name": "Threat Actor", "version": "1",
        "type": "threat-actor", "description": "x",
        "GalaxyCluster": [{"uuid": "", "type": "threat-actor", "value": "APT", "description": "x",
                           "tag_name": 'misp-galaxy:threat-actor="APT"', "meta": {}}],
    }  # fmt: skip
    found = render(event(attribute(), Galaxy=[broken]))

    assert found.refused == {"/0/Galaxy/0": "misp-stix stops at it: InvalidValueError"}
    assert by_type(found, "indicator") != []


def test_too_much_is_refused_and_named(monkeypatch):
    monkeypatch.setattr(to_stix, "MAX_ITEMS", 1)

    assert render(event(attribute(), attribute(number=2))).refused == {
        "/0": "more than 1 attributes and objects"
    }


def test_the_bundle_of_the_same_events_is_the_same():
    one = {"Event": misp_event.render(threat(), HOW)}

    assert render(one).bundle == render(one).bundle


@given(threats())
@settings(max_examples=15)
def test_every_leaf_of_an_event_is_found_in_the_bundle_or_refused(one):
    document = {"Event": misp_event.render(one, HOW, b"{}")}

    exported, book = export_accounting.explain(document, base_url=BASE)

    assert book.count("unaccounted") == book.count("kept") == 0
    for entry in book.entries:
        if entry.fate == "mapped":
            sent = resolve.at(document, entry.pointer)
            assert resolve.tells(resolve.at(exported.bundle, entry.to), sent), entry
        else:
            assert entry.reason


def test_an_unmarked_import_is_red():
    content = bundle.render(bundles.bundle(), NAMESPACE, Options(), lambda _: Foreign()).event

    marking = by_type(render(event(**content)), "marking-definition")[0]
    assert marking["extensions"].popitem()[1]["tlp_2_0"] == Tlp.RED


def events_of(folder):
    for path in sorted(folder.rglob("*.json")):
        yield from _events(json.loads(path.read_text()))


def _events(document):
    inner = document.get("response", document) if isinstance(document, dict) else document
    if isinstance(inner, list):
        for one in inner:
            yield from _events(one)
    elif isinstance(inner, dict):
        yield inner


def stops_misp_stix(one):
    from misp_stix_converter import MISPtoSTIX21Parser

    try:
        parser = MISPtoSTIX21Parser()
        parser.parse_misp_event(copy.deepcopy(one))
        return not json.loads(parser.bundle.serialize()).get("objects")
    except Exception:
        return True


@pytest.mark.long
def test_no_event_of_the_corpora_stops_an_export(corpora):
    logging.getLogger("pymisp").setLevel(logging.CRITICAL)
    every = list(events_of(corpora / "misp"))
    stoppers = [one for one in every if stops_misp_stix(one)]

    found = render(*every)

    assert len(every) > 117
    assert len(stoppers) >= 10
    stix2.parse(found.bundle, allow_custom=True)
    for one in every:
        if one not in stoppers:
            assert {"/0"}.isdisjoint(render(one).refused)


def test_events_that_stop_misp_stix_do_not_stop_an_export(corpora):
    logging.getLogger("pymisp").setLevel(logging.CRITICAL)
    names = ("eset-osint/sednit__2018-11-20_Zebrocy", "pymisp/reportlab_testfiles__sighting_2")
    paths = [corpora / "misp" / f"{name}.json" for name in names]
    documents = [one for path in paths for one in _events(json.loads(path.read_text()))]
    assert [one for one in documents if not stops_misp_stix(one)] == []

    found = render(*documents)

    assert {pointer[:10] for pointer in found.refused} == {"/0/Galaxy/", "/1/Galaxy/"}
    assert len(found.bundle["objects"]) > 20
