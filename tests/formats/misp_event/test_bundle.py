"""A bundle as the content of an event, and back; every leaf accounted for."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import given

from eme_connector.errors import InvalidBundle, InvalidMessage
from eme_connector.formats.misp_event import accounting, bundle
from eme_connector.formats.misp_event.bundle import Options
from eme_connector.formats.misp_event.others import Foreign
from eme_connector.formats.strict_json import canonical
from tests import bundles
from tests.formats.misp_event import misp, resolve
from tests.formats.misp_event.arbitrary import iris_bundles

NAMESPACE = UUID("7d3f0c51-2a0d-4a87-9b2a-5b9e4f0f6c11")


def nothing(objects):
    return Foreign(refused={at: "not asked" for at, _ in objects})


def render(document, **options):
    return bundle.render(document, NAMESPACE, Options(**options), nothing)


@given(iris_bundles())
def test_a_bundle_comes_back_from_what_misp_keeps_of_it(document):
    sent = canonical(document)

    mapped = render(document)

    assert mapped.refused == {}
    assert "bundle.json" not in [one["value"] for one in mapped.event["Attribute"]]
    assert canonical(bundle.as_received(misp.answer(mapped.event))) == sent
    assert canonical(document) == sent


@given(iris_bundles())
def test_every_leaf_is_accounted_for_and_what_is_mapped_is_found(document):
    mapped = render(document)

    book = accounting.account(document, mapped)

    assert book.count("unaccounted") == book.count("refused") == 0
    resolve.check(document, mapped.event, book)


@given(iris_bundles())
def test_no_character_of_four_bytes_is_sent(document):
    event = render(document).event

    assert [text for text in misp.texts(event) if any(ord(c) > 0xFFFF for c in text)] == []


@given(iris_bundles())
def test_a_bundle_comes_back_from_an_event_that_it_was_imported_into(document):
    content = render(document, several=True).event

    assert bundle.every_received(misp.imported(content)) == [document]


@given(iris_bundles(), iris_bundles())
def test_two_bundles_come_back_from_one_event(one, other):
    contents = [
        bundle.render(document, UUID(int=number << 104), Options(several=True), nothing).event
        for number, document in enumerate((one, other))
    ]

    found = map(canonical, bundle.every_received(misp.imported(*contents)))
    assert sorted(found) == sorted(map(canonical, (one, other)))


def test_what_is_mapped_is_not_told_twice():
    """The attributes are the truth: change one, and the bundle changes."""
    document = bundles.bundle()
    event = render(document, share_assets=True).event
    for found in event["Object"]:
        for one in found["Attribute"]:
            if one["value"] == "Modbus write from an unknown master":
                one["value"] = "changed in MISP"

    back = bundle.as_received(event)

    assert back["objects"][0]["detection"]["detection_name"] == "changed in MISP"


def test_a_carrier_with_faults_is_refused_by_itself():
    broken = bundles.carrier(number=2, iris_id=8, detection={"organisation": "CI-1"})
    document = bundles.bundle(bundles.carrier(), broken)

    mapped = render(document)
    book = accounting.account(document, mapped)

    assert list(mapped.carriers) == [0]
    assert list(mapped.refused) == [1]
    fates = {one.pointer: one for one in book.entries}
    assert fates["/objects/0/detection/threat"].fate == "mapped"
    assert fates["/objects/1/detection/organisation"].fate == "refused"
    assert "/objects/1/detection/classification is missing" in fates["/objects/1/name"].reason
    assert canonical(bundle.as_received(mapped.event)) == canonical(document)


def test_a_leaf_that_is_wrong_itself_says_so():
    document = bundles.bundle(bundles.carrier(criticalities={"criticality": "9"}))

    book = accounting.account(document, render(document))

    entry = next(one for one in book.entries if one.pointer.endswith("criticalities/criticality"))
    assert (entry.fate, entry.reason) == ("refused", "must be from 1 to 5")


def test_assets_stay_at_home_unless_they_may_leave():
    document = bundles.bundle()

    def told(**options):
        event = render(document, **options).event
        shared = [one for one in event["Object"] if one["distribution"] != "0"]
        return json.dumps([event["info"], event["Tag"], shared])

    assert "10.1.2.9" not in told()
    assert "PLC-9" not in told()
    assert "10.1.2.9" in told(share_assets=True)


def test_an_address_of_an_asset_in_another_object_stays_at_home():
    mirai = {"type": "ip-dst", "value": "10.1.2.9", "uuid": "1", "distribution": "5"}
    document = bundles.bundle(bundles.carrier(), {"type": "ipv4-addr", "value": "10.1.2.9"})

    mapped = bundle.render(document, NAMESPACE, Options(), lambda _: Foreign([mirai]))

    assert [one["distribution"] for one in mapped.event["Attribute"]] == ["0"]


def test_each_detection_of_a_list_has_its_cves():
    inner = bundles.carrier()["detection"]
    several = [inner | {"iris_id": at, "threat": f"CVE-2024-000{at}"} for at in (1, 2)]
    document = bundles.bundle(bundles.carrier(detection=several))

    objects = render(document).event["Object"]

    values = [a["value"] for o in objects if o["name"] == "vulnerability" for a in o["Attribute"]]
    assert [one for one in values if one.startswith("CVE")] == ["CVE-2024-0001", "CVE-2024-0002"]


def test_only_the_strictest_marking_is_a_tag():
    green, red = "bab4a63c-aed9-4cf5-a766-dfca5abac2bb", "e828b379-4e03-4974-9ac4-e53a884c97c1"
    carriers = [
        bundles.carrier(number=at, iris_id=at, object_marking_refs=[f"marking-definition--{one}"])
        for at, one in enumerate((green, red))
    ]

    names = [one["name"] for one in render(bundles.bundle(*carriers)).event["Tag"]]

    assert [one for one in names if one.startswith("tlp:")] == ["tlp:red"]


def test_a_big_and_a_deep_bundle_come_back_too():
    deep = inner = {}
    for _ in range(58):
        inner["x"] = inner = {}
    other = {"type": "x-big", "id": "x", "text": ["y" * 60_000] * 60, "deep": deep}
    document = bundles.bundle(bundles.carrier(), other)

    assert bundle.as_received(render(document).event) == document


@pytest.mark.parametrize(
    "document", [[], "x", {}, {"type": "bundle"}, {"type": "bundle", "objects": {}}]
)
def test_what_is_no_bundle_is_refused(document):
    with pytest.raises(InvalidBundle):
        render(document)


@pytest.mark.parametrize("objects", [[], [1, None, "x"], [{}], [{"type": "ipv4-addr"}]])
def test_a_bundle_without_detections_is_kept_as_it_is(objects):
    document = {"type": "bundle", "id": "bundle--1", "objects": objects}
    mapped = render(document)

    assert canonical(bundle.as_received(mapped.event)) == canonical(document)
    assert accounting.account(document, mapped).count("unaccounted") == 0


def test_an_event_of_somebody_else_holds_no_bundle():
    with pytest.raises(InvalidMessage):
        bundle.as_received({"Object": [], "Attribute": []})
