"""STIX objects that are not ours, by way of the real misp-stix."""

from __future__ import annotations

import json
from uuid import UUID

from eme_connector.domain.threat import Asset, Tlp
from eme_connector.formats.misp_event import accounting, bundle, foreign, others
from eme_connector.formats.misp_event.bundle import Options
from tests import bundles
from tests.build import detection
from tests.formats.misp_event import misp, resolve

NAMESPACE = UUID("7d3f0c51-2a0d-4a87-9b2a-5b9e4f0f6c11")
WHEN = "2026-01-01T00:00:00.000Z"
MADE = {"spec_version": "2.1", "created": WHEN, "modified": WHEN}
RED = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"


def numbered(kind, number, **fields):
    return MADE | {"type": kind, "id": f"{kind}--11111111-1111-4111-8111-{number:012d}"} | fields


def indicator(number=1, pattern="[ipv4-addr:value = '198.51.100.7']", **fields):
    times = {"valid_from": "2026-01-02T03:04:05Z", "pattern_type": "stix"}
    return numbered("indicator", number, pattern=pattern, **times | fields)


def stopper(number=9):
    """Return an object on which misp-stix 2026 ends with an exception."""
    return numbered("x-note", number, extensions={"extension-definition--1": "no object"})


def convert(*objects, **options):
    return foreign.converter(NAMESPACE, **options)(list(enumerate(objects)))


def values(found):
    inner = [one for each in found.objects for one in each["Attribute"]]
    return [one["value"] for one in (*found.attributes, *inner)]


def test_an_indicator_becomes_an_attribute_under_an_id_of_ours():
    found = convert(indicator())

    assert values(found) == ["198.51.100.7"]
    assert found.attributes[0]["uuid"] != indicator()["id"].partition("--")[2]
    assert found.attributes[0]["distribution"] == "5"


def test_characters_of_four_bytes_are_escaped():
    file = {"type": "file", "id": numbered("file", 3)["id"], "name": "a😀.exe"}
    found = convert(indicator(description="seen 😀"), file | {"spec_version": "2.1"})

    assert "a\\u{1F600}.exe" in values(found)
    assert [t for t in misp.texts([found.attributes, found.objects]) if "😀" in t] == []


def test_a_value_that_misp_would_drop_is_left_out():
    assert convert(indicator(pattern=f"[url:value = 'https://x/{'a' * 70_000}']")).attributes == []


def test_a_type_that_misp_stix_does_not_know_is_named():
    found = convert(indicator(), numbered("infrastructure", 2, name="C2"))

    assert values(found) == ["198.51.100.7"]
    assert found.refused == {1: "misp-stix does not know infrastructure"}


def test_more_than_the_limit_is_refused_as_a_whole():
    found = convert(indicator(), indicator(2), max_bytes=300)

    assert found.attributes == []
    assert set(found.refused) == {0, 1}


def test_an_object_that_stops_misp_stix_is_set_aside_by_itself(monkeypatch):
    real = foreign._by_misp_stix

    def stops_at_notes(objects):
        if any(one["type"] == "x-note" for _, one in objects):
            raise KeyError("x")
        return real(objects)

    monkeypatch.setattr(foreign, "_by_misp_stix", stops_at_notes)
    found = convert(indicator(), stopper(), indicator(2, "[domain-name:value = 'a.example']"))

    assert values(found) == ["198.51.100.7", "a.example"]
    assert found.refused == {1: "misp-stix stops at it: KeyError"}


def test_patterns_times_and_descriptions_are_found_where_they_went():
    document = bundles.bundle(indicator(description="C2 of a botnet"))
    mapped = bundle.render(document, NAMESPACE, Options(), foreign.converter(NAMESPACE))
    book = accounting.account(document, mapped)

    fates = {one.pointer.rpartition("/")[2]: one.fate for one in book.entries}
    assert {fates[one] for one in ("pattern", "description")} == {"mapped"}
    assert fates["spec_version"] == "kept"
    resolve.check(document, mapped.event, book)


def test_what_stands_beside_a_detection_is_read_from_the_raw_bytes():
    raw = json.dumps(bundles.bundle(bundles.carrier(), indicator())).encode()

    assert values(others.beside(raw, foreign.converter(NAMESPACE))) == ["198.51.100.7"]
    for nothing in (b"{", b"[]", b'{"objects": 3}', json.dumps(bundles.bundle()).encode()):
        assert others.beside(nothing, foreign.converter(NAMESPACE)) == others.Foreign()


def test_markings_of_others_are_heeded():
    marking = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": RED,
        "created": "2017-01-20T00:00:00.000Z",
        "name": "TLP:RED",
        "definition_type": "tlp",
        "definition": {"tlp": "red"},
    }
    found = convert(
        marking, indicator(object_marking_refs=[RED]), indicator(2, "[url:value = 'x:']")
    )

    kept = others.within(found, Tlp.AMBER)

    assert [one["distribution"] for one in kept.attributes] == ["0", "5"]
    assert [one["distribution"] for one in others.within(found, Tlp.RED).attributes] == [
        "5",
        "5",
    ]


def test_what_names_an_asset_stays_at_home():
    one = detection(assets=(Asset("198.51.100.7", "", 3),))
    found = convert(indicator(), indicator(2, "[domain-name:value = 'a.example']"))

    kept = others.kept_home(found, [one])

    assert [(a["value"], a["distribution"]) for a in kept.attributes] == [
        ("198.51.100.7", "0"),
        ("a.example", "5"),
    ]
