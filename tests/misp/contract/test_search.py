"""restSearch and what it overlooks; warninglists."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest


@pytest.fixture
def marked(pair, event):
    """Return the name of a tag and three events that have it; the first is published."""
    tag = f"contract:{uuid4()}"
    documents = [event(Tag=[{"name": tag}]) for _ in range(3)]
    for one in documents:
        assert pair.a.post("/events/add", one).status == 200
    pair.a.post(f"/events/publish/{documents[0]['uuid']}")
    return tag, [one["uuid"] for one in documents]


def search(side, role="admin", **what):
    found = side.post("/events/restSearch", {"metadata": True, **what}, role=role)
    assert found.status == 200, found.text
    uuids = [one["Event"]["uuid"] for one in found.body["response"]]
    return uuids, int(found.headers["X-Result-Count"])


def test_the_count_is_the_total_and_pages_follow(pair, marked):
    tag, uuids = marked

    first = search(pair.a, tags=[tag], limit=2, page=1)
    second = search(pair.a, tags=[tag], limit=2, page=2)

    assert first == (uuids[:2], 3)
    assert second == (uuids[2:], 3)
    assert search(pair.a, tags=[tag], limit=2, page=9) == ([], 3)


def test_unpublished_only_is_filtered_after_paging(pair, marked):
    tag, uuids = marked

    assert search(pair.a, tags=[tag], published=False, limit=2) == ([uuids[1]], 3)
    assert search(pair.a, tags=[tag], published=True) == ([uuids[0]], 1)


def test_no_hit_and_no_right_look_alike(pair, marked):
    _, uuids = marked

    assert search(pair.a, uuid=str(uuid4())) == ([], 0)
    assert search(pair.a, uuid=uuids[0], role="sync") == ([], 0)


def test_tags_by_and_and_not(pair, event):
    one, two = f"contract:{uuid4()}", f"contract:{uuid4()}"
    both = event(Tag=[{"name": one}, {"name": two}])
    only = event(Tag=[{"name": one}])
    for document in (both, only):
        pair.a.post("/events/add", document)

    assert search(pair.a, tags={"AND": [one], "NOT": [two]})[0] == [only["uuid"]]


def test_groups_are_found_by_their_local_id_only(pair, event):
    # a text counts as its first digits, or as 0: what has no group
    uuid, number = pair.group(**pair.both() | {"uuid": f"f{str(uuid4())[1:]}"})
    document, without = event(distribution="4", sharing_group_id=number), event()
    for one in (document, without):
        pair.a.post("/events/add", one)

    assert search(pair.a, sharinggroup=[number])[0] == [document["uuid"]]
    found = search(pair.a, sharinggroup=[uuid])[0]
    assert without["uuid"] in found
    assert document["uuid"] not in found


def test_what_extends_an_event_cannot_be_searched_for(pair, marked):
    tag, uuids = marked

    assert len(search(pair.a, tags=[tag], extends_uuid=uuids[0])[0]) == 3


def test_unknown_filters_are_overlooked_and_formats_are_not(pair, marked):
    tag, _ = marked

    assert search(pair.a, tags=[tag], nosuchfilter="x")[1] == 3
    assert pair.a.post("/events/restSearch", {"returnFormat": "nosuch"}).status == 404


def test_timestamps_absolute_and_relative(pair, marked):
    tag, uuids = marked
    now = int(pair.a.event(uuids[0])["timestamp"])

    assert search(pair.a, tags=[tag], timestamp=now - 60)[1] == 3
    assert search(pair.a, tags=[tag], timestamp=now + 3600)[1] == 0
    assert search(pair.a, tags=[tag], timestamp="1h")[1] == 3


def test_attributes_by_value(pair, event):
    value = f"host-{uuid4().hex}.example.com"
    part = {"type": "domain", "category": "Network activity", "value": value}
    document = event(Attribute=[part])
    pair.a.post("/events/add", document)

    found = pair.a.post("/attributes/restSearch", {"value": value, "includeEventUuid": True})

    rows = found.body["response"]["Attribute"]
    assert [(one["value"], one["event_uuid"]) for one in rows] == [(value, document["uuid"])]
    assert rows[0]["Event"]["info"] == "contract"
    several = {"value": [value, "nothing.example.com"]}
    assert len(pair.a.post("/attributes/restSearch", several).body["response"]["Attribute"]) == 1
    none = pair.a.post("/attributes/restSearch", {"value": "nothing.example.com"})
    assert none.body == {"response": {"Attribute": []}}


def test_attachments_come_on_request(pair, event):
    uuid, data = str(uuid4()), "aGVsbG8="
    part = {
        "uuid": uuid,
        "type": "attachment",
        "category": "External analysis",
        "value": "x.json",
        "data": data,
    }
    pair.a.post("/events/add", event(Attribute=[part]))

    def found(**more):
        rows = pair.a.post("/attributes/restSearch", {"uuid": uuid, **more}).body
        return rows["response"]["Attribute"][0]

    assert "data" not in found()
    assert found(withAttachments=True)["data"] == data


def test_warninglists_know_what_is_harmless(pair):
    value = f"warned-{uuid4().hex}.example.com"
    body = {
        "Warninglist": {
            "name": f"contract {uuid4()}",
            "description": "d",
            "type": "string",
            "category": "false_positive",
            "entries": value,
            "matching_attributes": ["domain", "hostname"],
        }
    }
    made = pair.a.post("/warninglists/add", body).body["Warninglist"]

    def check():
        asked = json.dumps([value, "unknown.example.com"]).encode()
        return pair.a.call("POST", "/warninglists/checkValue", data=asked, role="user").body

    assert not check()
    pair.a.post("/warninglists/toggleEnable", {"id": made["id"], "enabled": True})
    assert {name: [one["name"] for one in hits] for name, hits in check().items()} == {
        value: [made["name"]]
    }
    pair.a.post(f"/warninglists/delete/{made['id']}")
