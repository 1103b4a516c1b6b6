"""What we emit is proper STIX 2.1, and we read it back."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest
import stix2
from stix2validator import ValidationOptions, validate_string

from eme_connector.domain.threat import Decision, Status, Tlp
from eme_connector.formats import iris_bundle, stix_bundle
from eme_connector.formats.codec import dump_threat, load_threat
from tests.build import detection, playbook, step, threat
from tests.bundles import bundle, carrier

BASE = "https://eme.example"
FULL = threat(
    detection=detection(
        summary="said «something»",
        first_seen="2026-02-03T04:05:06.250000+00:00",
        restrictions={"isolate": True, "shutdown": False},
        playbooks=(playbook(), playbook(step(3, "Odd thing"), name="Other", kind="mitigation")),
    ),
    decision=Decision(Status.APPROVED, by="anna", steps=("1",)),
)


def render(found):
    return stix_bundle.render(found, "CI-1", base_url=BASE)


@pytest.mark.parametrize("tlp", list(Tlp))
def test_it_parses_without_custom_content_and_validates(tlp):
    document = render(replace(FULL, tlp=tlp))

    stix2.parse(json.loads(json.dumps(document)), allow_custom=False)
    found = validate_string(json.dumps(document), ValidationOptions(version="2.1"))
    assert found.is_valid, [str(e) for e in found.errors]


@pytest.mark.parametrize("found", [FULL, threat(), threat(detection=detection(playbooks=()))])
def test_the_extension_is_what_our_schema_says(found):
    schema = stix_bundle.load_schema()
    jsonschema.Draft202012Validator.check_schema(schema)

    jsonschema.validate(stix_bundle.extension(found, "CI-1"), schema)


def test_the_extension_definition_points_at_the_published_schema():
    definition = stix_bundle.extension_definition(BASE)

    assert definition["schema"] == BASE + stix_bundle.SCHEMA_PATH


def read_back(document, order="ascending"):
    (found,) = iris_bundle.parse(
        document, is_sender=lambda _: True, criticality_order=order
    ).detections
    return found


def same(found):
    return replace(found, carrier_id="", extra="", pointer="", flags=(), tlp=None)


def test_we_read_back_what_we_emit():
    back = read_back(render(threat(detection=replace(FULL.detection, playbooks=(playbook(),)))))

    assert same(back) == same(replace(FULL.detection, playbooks=(playbook(),)))
    assert back.tlp is Tlp.AMBER


def test_every_bundle_of_the_corpus_comes_back(corpora):
    for path in sorted((corpora / "iris").glob("*.json")):
        first = read_back(json.loads(path.read_bytes()), "descending")
        back = read_back(render(threat(detection=first)))
        books = [replace(b, reordered=False) for b in first.playbooks]
        assert same(replace(back, playbooks=())) == same(replace(first, playbooks=()))
        assert [replace(b, reordered=False) for b in back.playbooks] == books


def test_a_threat_comes_back_from_its_own_json():
    (found,) = iris_bundle.parse(
        bundle(carrier()), is_sender=lambda _: True, criticality_order="descending"
    ).detections

    for one in (FULL, threat(detection=found)):
        assert load_threat(dump_threat(one)) == one
