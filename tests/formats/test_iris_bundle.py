"""IRIS bundles: both carriers, both nestings, every fault with its place, nothing lost."""

from __future__ import annotations

import contextlib
import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eme_connector.domain.threat import Kind, Tlp
from eme_connector.errors import EmeError, InvalidBundle
from eme_connector.formats import iris_bundle, iris_event
from eme_connector.formats.markings import marking_id
from tests.bundles import bundle, carrier, step

JUNK = [None, [], {}, "", "x", -1, 10**9, True, 3.5, [1], {"a": 1}, "\u202e"]


def parse(document, **how):
    return iris_bundle.parse(
        document,
        is_sender=how.pop("is_sender", lambda name: name == "CI-1"),
        criticality_order=how.pop("order", "descending"),
        **how,
    )


def one(document, **how):
    (found,) = parse(document, **how).detections
    return found


def faults(document, **how):
    with pytest.raises(InvalidBundle) as caught:
        parse(document, **how)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def test_a_bundle_is_read():
    found = one(bundle())

    assert (found.name, found.kind) == ("Modbus write from an unknown master", Kind.ATTACK)
    assert (found.risk_score, found.confidence, found.iris_id) == (7.5, 80, "7")
    assert [(a.address, a.device, a.criticality) for a in found.assets] == [
        ("10.1.2.9", "PLC-9", 4)
    ]
    assert [s.action for s in found.steps] == ["isolate", "block_service"]
    assert found.restrictions["shutdown"] is False
    assert found.pointer == "/objects/0/detection"


def test_blocks_inside_policies_mean_the_same():
    inside = carrier()
    for name in ("criticalities", "playbook_actions"):
        inside["policies"][name] = inside.pop(name)

    assert one(bundle(inside)).assets == one(bundle()).assets
    assert one(bundle(inside)).playbooks == one(bundle()).playbooks


def test_blocks_beside_and_inside_are_refused():
    both = carrier()
    both["policies"]["criticalities"] = both["criticalities"]

    assert "/objects/0/criticalities" in faults(bundle(both))


@pytest.mark.parametrize("nested", [True, False])
def test_extensions_on_another_object_mean_the_same(nested):
    blocks = {k: v for k, v in carrier().items() if k in iris_bundle.BLOCKS}
    sdo = {"type": "incident", "id": carrier()["id"], "name": "x"}
    if nested:
        sdo["extensions"] = {"extension-definition--1": {"extension_type": "x", **blocks}}
    else:
        sdo |= blocks
    found, usual = one(bundle(sdo)), one(bundle())

    assert (found.assets, found.playbooks, found.name) == (
        usual.assets, usual.playbooks, usual.name)  # fmt: skip


def test_several_detections_assets_and_workflows():
    many = carrier()
    second = many["detection"] | {"iris_id": 8, "detection_name": "second"}
    many["detection"] = [many["detection"], second]
    many["criticalities"] = [many["criticalities"], {"asset_device": "PLC-10", "criticality": 1}]
    many["playbook_actions"] = [many["playbook_actions"], copy.deepcopy(many["playbook_actions"])]
    found = parse(bundle(many)).detections

    assert [(d.iris_id, d.pointer) for d in found] == [
        ("7", "/objects/0/detection/0"),
        ("8", "/objects/0/detection/1"),
    ]
    assert [a.device for a in found[0].assets] == ["PLC-9", "PLC-10"]
    assert found[0].criticality == 5
    assert [s.id for s in found[0].steps] == ["1.1", "1.2", "2.1", "2.2"]
    assert all(book.start_found for book in found[0].playbooks)


def test_the_start_goes_first_and_the_rest_as_listed():
    steps = [step(2), step(3, "Restore"), step(4, "Reconfigure")]
    started = carrier(steps=steps)
    started["playbook_actions"]["workflow_start"] = 3
    (book,) = one(bundle(started)).playbooks

    assert [s.id for s in book.steps] == ["3", "2", "4"]
    assert (book.start_found, book.reordered) == (True, True)


@pytest.mark.parametrize("start", [None, "", "9", 9])
def test_a_missing_or_dangling_start_is_kept_for_a_person(start):
    dangling = carrier()
    dangling["playbook_actions"]["workflow_start"] = start

    assert not one(bundle(dangling)).playbooks[0].start_found


@pytest.mark.parametrize(
    ("text", "normal", "flags"),
    [
        ("2026-02-03T04:05:06Z", "2026-02-03T04:05:06+00:00", ()),
        ("2026-02-03t04:05:06.123456789z", "2026-02-03T04:05:06.123456+00:00", ()),
        ("2026-02-03 04:05:06+02:00", "2026-02-03T02:05:06+00:00", ()),
        ("2026-02-03T04:05:06", "2026-02-03T04:05:06+00:00", ("no-zone",)),
        ("2999-01-01T00:00:00Z", "2999-01-01T00:00:00+00:00", ()),
    ],
)
def test_dates(text, normal, flags):
    dated = carrier()
    dated["detection"] |= {"first_seen": text, "last_seen": ""}
    found = one(bundle(dated))

    assert (found.first_seen, found.flags) == (normal, flags)


@pytest.mark.parametrize(
    "text",
    ["14/06/2023 14:29", "2023-02-30T01:01:01Z", "2023-01-01T25:61:61Z", "1700000000", "now",
     "2016-12-31T23:59:60Z", "2023-01-01", "2023-01-01T01:01:01+99:99"],
)  # fmt: skip
def test_other_forms_and_impossible_dates_are_refused(text):
    dated = carrier()
    dated["detection"]["first_seen"] = text

    assert list(faults(bundle(dated))) == ["/objects/0/detection/first_seen"]


@pytest.mark.parametrize(
    ("block", "key", "value"),
    [
        ("detection", "confidence", "101"),
        ("detection", "confidence", True),
        ("detection", "risk_score", "10.5"),
        ("detection", "risk_score", "NaN"),
        ("detection", "classification", "party"),
        ("detection", "iris_id", None),
        ("detection", "detection_name", " "),
        ("criticalities", "criticality", 0),
        ("criticalities", "criticality", "2.5"),
        ("criticalities", "asset_ip", "010.040.017.021"),
        ("criticalities", "asset_ip", "host.example"),
        ("playbook_actions", "playbook_impact", "-1"),
        ("playbook_actions", "workflow", "Isolate Host"),
        ("playbook_actions", "playbook_valid_until", "soon"),
        ("policies", "action_policy", "enabled"),
    ],
)
def test_each_fault_is_named_with_its_place(block, key, value):
    wrong = carrier()
    wrong[block][key] = value

    assert f"/objects/0/{block}/{key}" in faults(bundle(wrong))


def test_all_faults_are_told_at_once():
    wrong = carrier(steps=[step(1), step(1, action_impact="x")])
    wrong["detection"] |= {"risk_score": "x", "confidence": "y"}

    assert list(faults(bundle(wrong))) == [
        "/objects/0/detection/confidence",
        "/objects/0/detection/risk_score",
        "/objects/0/playbook_actions/workflow/1/id",
        "/objects/0/playbook_actions/workflow/1/action_impact",
    ]


def test_two_detections_of_one_identity_are_refused():
    twice = carrier()
    twice["detection"] = [twice["detection"], dict(twice["detection"])]

    assert list(faults(bundle(twice))) == ["/objects/0/detection/1"]
    assert list(faults(bundle(carrier(), carrier(iris_id=8)))) == ["/objects/1/id"]


def test_too_many_steps_are_refused():
    many = bundle(carrier(steps=[step(n) for n in range(11)]))

    assert faults(many, max_steps=10)
    assert len(one(many, max_steps=11).steps) == 11


@pytest.mark.parametrize(
    ("refs", "tlp", "flags"),
    [
        ([marking_id(Tlp.RED)], Tlp.RED, ()),
        (["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"], Tlp.GREEN, ()),
        ([marking_id(Tlp.GREEN), marking_id(Tlp.AMBER_STRICT)], Tlp.AMBER_STRICT, ()),
        (["marking-definition--x"], Tlp.AMBER_STRICT, ("unknown-marking",)),
    ],
)
def test_markings(refs, tlp, flags):
    found = one(bundle(carrier(object_marking_refs=refs)))

    assert (found.tlp, found.flags) == (tlp, flags)


def test_what_has_no_field_is_kept_with_its_place():
    odd = carrier(x_note={"deep": [1, 2]})
    odd["detection"]["sensor_mood"] = "calm"
    odd["playbook_actions"]["workflow"][1]["x"] = 5
    extra = json.loads(one(bundle(odd)).extra)

    assert extra["/x_note"] == {"deep": [1, 2]}
    assert extra["/detection/sensor_mood"] == "calm"
    assert extra["/playbook_actions/workflow/1/x"] == 5


def test_every_file_of_the_corpus_is_read(corpora):
    for path in sorted((corpora / "iris").glob("*.json")):
        found = one(json.loads(path.read_bytes()), is_sender=lambda _: True)

        assert found.steps
        assert found.playbooks[0].start_found


@given(st.data())
def test_any_leaf_replaced_by_junk_is_a_detection_or_a_named_fault(data):
    document = bundle()
    node = document["objects"][0]
    while True:
        key = data.draw(st.sampled_from(sorted(node)) if isinstance(node, dict)
                        else st.integers(0, len(node) - 1))  # fmt: skip
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            node[key] = data.draw(st.sampled_from(JUNK))
            break
        node = node[key]
    pointers = []
    try:
        parse(document)
    except InvalidBundle as exc:
        pointers = [fault.pointer for fault in exc.faults]
    assert all(pointer.startswith("/") for pointer in pointers)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "objects", "detection", "policies", "id", "extensions",
                             "playbook_actions", "workflow", "criticalities"]),
            inner, max_size=4),
        max_leaves=25,
    )
)  # fmt: skip
def test_no_json_raises_anything_but_our_own_errors(document):
    for call in (parse, event):
        with contextlib.suppress(EmeError):
            call(document)


def event(document):
    return iris_event.parse(
        document, is_sender=lambda name: name == "CI-1", criticality_order="ascending"
    )


def test_a_single_event_is_read():
    (found,) = event(
        {
            "id": 4711,
            "name": "SSH brute force",
            "tlp": "TLP:GREEN",
            "asset": [{"address": "2001:DB8::1", "criticality": "5"}, {"device": "x"}],
            "organisation": "CI-1",
            "rule": {"sid": 2001219},
        }
    ).detections

    assert (found.iris_id, found.kind, found.tlp) == ("4711", Kind.ATTACK, Tlp.GREEN)
    assert [(a.address, a.device, a.criticality) for a in found.assets] == [
        ("2001:db8::1", "", 5),
        ("", "x", None),
    ]
    assert json.loads(found.extra) == {"/rule": {"sid": 2001219}}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [({"id": None}, "/id"), ({"name": ""}, "/name"), ({"organisation": "CI-2"}, "/organisation"),
     ({"tlp": "pink"}, "/tlp"), ({"asset": "x"}, "/asset"), ({"risk_score": 11}, "/risk_score")],
)  # fmt: skip
def test_a_wrong_event_names_the_place(change, pointer):
    with pytest.raises(InvalidBundle) as caught:
        event({"id": "1", "name": "x"} | change)
    assert caught.value.pointer == pointer
