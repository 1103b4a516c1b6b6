"""A threat as an event, and back."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymisp import MISPEvent

from eme_connector.domain.threat import Asset, Decision, Kind, Resolution, Status, Tlp
from eme_connector.errors import EmeError, InvalidMessage
from eme_connector.formats.misp_event import event as misp_event
from eme_connector.formats.misp_event import tags
from eme_connector.formats.misp_event.event import Rendering
from eme_connector.formats.misp_event.others import Foreign
from tests.build import detection, playbook, step, threat
from tests.formats.misp_event import misp
from tests.formats.misp_event.arbitrary import threats

HOW = Rendering("CI-1", "https://eme.example/threats/1")
SHARED = replace(HOW, share_assets=True)


@given(threats(), st.sampled_from([HOW, SHARED]))
def test_a_threat_comes_back_from_what_misp_keeps_of_it(one, how):
    event = misp_event.render(one, how)

    assert event["Attribute"] == []
    assert misp_event.parse(misp.answer(event)) == one


@given(threats())
def test_no_character_of_four_bytes_is_sent(one):
    event = misp_event.render(one, HOW)

    assert [text for text in misp.texts(event) if any(ord(c) > 0xFFFF for c in text)] == []


@given(threats())
def test_ids_are_the_threats_own_and_differ_from_each_other(one):
    event = misp_event.render(one, HOW, b"{}")

    parts = [*event["Object"], *event["Attribute"], *event["EventReport"]]
    parts += [inner for found in event["Object"] for inner in found["Attribute"]]
    ids = [found["uuid"] for found in parts]
    assert len(ids) == len(set(ids))
    assert misp_event.render(one, HOW, b"{}") == event


@given(threats())
def test_pymisp_reads_the_event_as_it_is(one):
    event = misp_event.render(one, HOW)
    read = MISPEvent()
    read.load(json.dumps({"Event": event}))

    assert misp_event.parse(json.loads(read.to_json())) == one


def shared_text(event):
    """Return everything of an event that leaves with it."""
    parts = [one for one in event["EventReport"] if one["distribution"] != "0"]
    for found in (*event["Object"], *event["Attribute"]):
        if found["distribution"] != "0":
            inner = [one for one in found.get("Attribute", ()) if one["distribution"] != "0"]
            parts.append(found | {"Attribute": [_decoded(one) for one in inner]})
    return json.dumps([event["info"], event["Tag"], parts], ensure_ascii=False)


def _decoded(one):
    return one | {"data": base64.b64decode(one["data"]).decode()} if "data" in one else one


def secretive():
    return threat(
        detection=detection(
            summary="cam-1 at 10.0.0.7 sees a patch",
            playbooks=(playbook(step(1, description="isolate cam-1", execution_api="http://x")),),
            extra='{"/x_serial":"SN-4711"}',
        ),
        decision=Decision(Status.APPROVED, "anna.k", 5, "cam-1 is bad", steps=("1",)),
        resolution=Resolution("anna.k", 6, "10.0.0.7 is clean"),
    )


def test_assets_people_and_raw_bytes_stay_at_home():
    event = misp_event.render(secretive(), HOW, b"raw of SN-4711")

    told = shared_text(event)
    for secret in ("cam-1", "10.0.0.7", "SN-4711", "anna.k", "isolate cam", "http://x", "raw of"):
        assert secret not in told
    assert misp_event.parse(event) == secretive()


def test_what_others_get_is_a_threat_without_its_assets():
    event = misp_event.render(secretive(), HOW, b"raw")
    left = [
        found | {"Attribute": [one for one in found["Attribute"] if one["distribution"] != "0"]}
        for found in event["Object"]
        if found["distribution"] != "0"
    ]

    there = misp_event.parse(event | {"Object": left})

    assert (there.id, there.status, there.sequence) == (threat().id, Status.RESOLVED, 1)
    assert there.detection.assets == (Asset(criticality=4),)
    assert there.decision.by == "person"


def test_assets_leave_where_the_operator_says_so():
    told = shared_text(misp_event.render(secretive(), SHARED, b"raw of SN-4711"))

    assert "10.0.0.7" in told
    assert "raw of" not in told
    assert "anna.k" not in told


def test_an_address_that_many_networks_have_does_not_correlate():
    def correlates(address):
        one = threat(detection=detection(assets=(Asset(address, "", 3),)))
        event = misp_event.render(one, SHARED)
        return [
            not inner["disable_correlation"]
            for found in event["Object"]
            for inner in found["Attribute"]
            if inner["value"] == address
        ]

    assert correlates("10.0.0.7") == [False]
    assert correlates("8.8.8.8") == [True]


def test_a_playbook_correlates_by_its_id():
    one = threat(detection=detection(playbooks=(playbook(source_id="playbook--1"),)))
    objects = misp_event.render(one, HOW)["Object"]
    book = next(found for found in objects if found["name"] == "security-playbook")

    assert {i["object_relation"]: not i["disable_correlation"] for i in book["Attribute"]} == {
        "playbook-id": True,
        "description": False,
        "labels": False,
        "playbook-file": False,
    }


def test_tags_say_marking_state_risk_response_class_and_technique():
    one = threat(
        detection=detection(threat="AML.T0015", kind=Kind.ATTACK),
        decision=Decision(Status.APPROVED, "anna", 5, steps=("1",)),
    )

    event = misp_event.render(one, HOW)

    assert [tag["name"] for tag in event["Tag"] if not tag.get("local")] == [
        "tlp:amber",
        "PAP:AMBER",
        'rsit:intrusion-attempts="ids-alert"',
        'misp-galaxy:mitre-atlas-attack-pattern="Evade ML Model"',
    ]
    assert [tag["name"] for tag in event["Tag"] if tag.get("local")] == state_of(event)
    assert state_of(event) == [
        'workflow:state="ongoing"',
        "priority-level:high",
        'course-of-action:active="deny"',
    ]


def test_each_state_is_an_attribute_of_its_own_so_that_its_tags_leave_with_it():
    first = threat(decision=Decision(Status.PENDING))
    second = replace(first, decision=Decision(Status.DECLINED, "anna", 5))

    before, after = (status_of(misp_event.render(one, HOW)) for one in (first, second))

    assert before["uuid"] != after["uuid"]
    assert status_of(misp_event.render(first, HOW)) == before


def test_tags_of_a_state_before_are_stale_and_those_of_people_are_not():
    event = misp_event.render(threat(decision=Decision(Status.DECLINED, "anna", 5)), HOW)
    kept = ['workflow:state="draft"', "tlp:green", "ours:watch"]
    by_hand = [{"name": name, "local": True} for name in ("tlp:red", 'workflow:state="review"')]
    held = {"Tag": [*event["Tag"], *({"name": name} for name in kept), *by_hand]}

    assert tags.stale(event, held) == ['workflow:state="draft"', "tlp:green"]


def status_of(event):
    (stand,) = [one for one in event["Object"] if one["comment"] == "decision"]
    (found,) = [one for one in stand["Attribute"] if one["object_relation"] == "status"]
    return found


def state_of(event):
    return [one["name"] for one in status_of(event)["Tag"]]


def others():
    attribute = {"uuid": "1", "type": "ip-dst", "distribution": "5", "disable_correlation": False}
    return Foreign(
        [attribute | {"value": "198.51.100.7"}, attribute | {"uuid": "2", "value": "10.0.0.7"},
         attribute | {"uuid": "3", "value": "203.0.113.9", "Tag": [{"name": "tlp:red"}]}],
        [{"name": "file", "distribution": "5", "comment": "",
          "Attribute": [attribute | {"uuid": "4", "value": "cam-1.bin"}]}],
        ["tlp:green", 'misp-galaxy:tool="x"', 'x="cam-1"'],
    )  # fmt: skip


def test_what_stood_beside_the_detection_travels_within_the_marking_and_without_assets():
    event = misp_event.render(threat(), HOW, None, others())

    told = shared_text(event)
    assert "198.51.100.7" in told
    assert 'misp-galaxy:tool=\\"x\\"' in told
    for secret in ("10.0.0.7", "203.0.113.9", "cam-1", "tlp:green"):
        assert secret not in told
    assert misp_event.parse(event) == threat()


def test_others_marked_more_strictly_as_a_whole_stay_at_home():
    strict = replace(others(), tags=["tlp:red"])

    assert "198.51.100.7" not in shared_text(misp_event.render(threat(), HOW, None, strict))


def test_a_long_title_is_cut_and_kept_on_one_line():
    one = threat(detection=detection(name="a\nb " + "x" * 1000))

    event = misp_event.render(one, HOW)

    assert event["info"].startswith("a b x")
    assert len(event["info"]) == misp_event.MAX_INFO
    assert misp_event.parse(event) == one


def test_text_from_outside_stays_text_in_the_report():
    one = threat(detection=detection(name="<img src=x> [a](javascript:b) | # no\n## head"))

    content = misp_event.render(one, HOW)["EventReport"][0]["content"]

    assert content.splitlines()[0] == r"# \<img src=x\> \[a\]\(javascript:b\) \| \# no \#\# head"


def test_an_unmarked_event_is_read_as_red():
    event = misp_event.render(threat(tlp=Tlp.GREEN), HOW)

    assert misp_event.parse(event | {"Tag": []}).tlp is Tlp.RED


def test_other_events_are_refused():
    with pytest.raises(InvalidMessage):
        misp_event.parse({"info": "x", "Attribute": [], "Object": [], "Tag": []})


_BROKEN = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.none(), max_size=2)


@given(st.data())
def test_whatever_a_misp_answers_is_read_or_refused(data):
    event = misp.answer(misp_event.render(secretive(), HOW, b"{}"))
    for _ in range(data.draw(st.integers(1, 4))):
        holder = event
        for _ in range(data.draw(st.integers(0, 5))):
            inner = list(holder.values() if isinstance(holder, dict) else holder)
            inner = [one for one in inner if isinstance(one, dict | list) and one]
            holder = data.draw(st.sampled_from(inner)) if inner else holder
        key = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict)
                                        else range(len(holder))))  # fmt: skip
        holder[key] = data.draw(_BROKEN)

    with suppress(EmeError):
        misp_event.parse(event)
