"""What travels from one MISP to another, what does not, and what cannot be taken back."""

from __future__ import annotations

from uuid import uuid4

import pytest


@pytest.fixture
def published(pair, event):
    """Return how to add and publish an event of A; it gives the event as A stored it."""

    def act(**more):
        document = event(**more)
        added = pair.a.post("/events/add", document)
        assert added.status == 200, added.text
        done = pair.a.post(f"/events/publish/{document['uuid']}")
        assert done.message == "Event published without alerts", done.text
        return added.body["Event"]

    return act


def edit(pair, side, uuid, **change):
    pair.later()
    assert side.post(f"/events/edit/{uuid}", change).status == 200
    assert side.post(f"/events/publish/{uuid}").status == 200


def text(distribution, **more):
    value = f"{distribution} {uuid4()}"
    base = {"uuid": str(uuid4()), "type": "text", "category": "Other", "value": value}
    return base | {"distribution": distribution} | more


def test_parts_that_stay_at_home_are_stripped(pair, published):
    _, home = pair.group(orgs=[pair.a.organisation], servers=[pair.a.url])
    _, shared = pair.group(**pair.both())
    parts = [text("5"), text("0"), text("1"), text("2"), text("4", sharing_group_id=home)]

    stored = published(distribution="4", sharing_group_id=shared, Attribute=parts)

    there = pair.b.event(stored["uuid"])["Attribute"]
    assert sorted((one["value"][0], one["distribution"]) for one in there) == [
        ("2", "1"),
        ("5", "5"),
    ]


@pytest.mark.parametrize(("given", "arrives"), [({}, False), ({"description": "d"}, True)])
def test_an_object_without_a_description_is_lost_on_the_way(pair, published, given, arrives):
    part = {
        "type": "ip-dst",
        "category": "Network activity",
        "object_relation": "ip",
        "value": "198.18.7.7",
    }
    thing = {
        "name": "ip-port",
        "meta-category": "network",
        "template_uuid": "9f8cea74-16fe-4968-a2b4-026676949ac6",
        "template_version": "10",
        "distribution": "5",
        "Attribute": [part],
    }

    stored = published(distribution="3", Object=[thing | given])

    assert stored["Object"][0]["description"] == given.get("description")
    assert len(pair.b.event(stored["uuid"])["Object"]) == arrives


@pytest.mark.parametrize(("sent", "kept"), [("0", None), ("1", None), ("2", "1"), ("3", "3")])
def test_a_push_lowers_the_distribution(pair, published, sent, kept):
    stored = published(distribution=sent)

    if kept is None:
        assert not pair.b.has(stored["uuid"])
    else:
        assert pair.b.event(stored["uuid"])["distribution"] == kept


def test_a_copy_is_locked_and_belongs_to_the_sync_user(pair, published):
    stored = published(distribution="3")

    there = pair.b.event(stored["uuid"])

    assert there["locked"] is True
    assert (there["Org"]["uuid"], there["Orgc"]["uuid"]) == (pair.a.organisation,) * 2
    assert there["timestamp"] == stored["timestamp"]


def test_an_unchanged_event_is_refused_there_and_nobody_says_so(pair, published):
    stored = published(distribution="3")

    again = pair.a.post(f"/events/publish/{stored['uuid']}")

    assert again.message == "Event published without alerts"
    assert pair.b.event(stored["uuid"])["timestamp"] == stored["timestamp"]


def test_what_is_taken_back_stays_at_the_peer(pair, published):
    tags = [{"name": "tlp:amber"}, {"name": "tlp:green"}]
    stored = published(distribution="3", Tag=tags)
    uuid, attribute = stored["uuid"], stored["Attribute"][0]["uuid"]

    body = {"uuid": uuid, "tag": "tlp:green"}
    assert pair.a.post("/tags/removeTagFromObject", body).status == 200
    edit(pair, pair.a, uuid, info="changed")
    there = pair.b.event(uuid)
    assert there["info"] == "changed"
    assert {one["name"] for one in there["Tag"]} == {"tlp:amber", "tlp:green"}

    assert pair.a.post(f"/attributes/delete/{attribute}").status == 200
    edit(pair, pair.a, uuid, info="again")
    assert pair.b.event(uuid)["Attribute"] == []

    edit(pair, pair.a, uuid, distribution="0")
    assert pair.b.event(uuid)["distribution"] == "3"
    assert pair.a.post(f"/events/delete/{uuid}").status == 200
    assert pair.b.has(uuid)


def test_what_a_stranger_may_do_to_a_foreign_event(pair, published):
    uuid, shared = pair.group(**pair.both())
    stored = published(distribution="4", sharing_group_id=shared, Tag=[{"name": "tlp:amber"}])
    uuid = stored["uuid"]

    def post(path, body=None):
        return pair.b.post(path, body, role="publisher")

    assert post(f"/events/edit/{uuid}", {"info": "x"}).status == 403
    tag = {"uuid": uuid, "tag": "tlp:green"}
    assert post("/tags/attachTagToObject", tag).status == 403
    assert post("/tags/attachTagToObject", tag | {"local": 1}).status == 200
    attribute = {"type": "comment", "category": "Other", "value": str(uuid4())}
    assert post(f"/attributes/add/{uuid}", attribute).status == 403
    assert post(f"/shadow_attributes/add/{uuid}", attribute).status == 200
    assert post(f"/events/publish/{uuid}").status == 405
    assert post(f"/events/delete/{uuid}").status == 403
    assert post(f"/analyst_data/add/Note/{uuid}/Event", {"Note": {"note": "x"}}).status == 200

    pair.later()
    assert pair.b.post(f"/events/edit/{uuid}", {"info": "by admin"}).status == 200
    assert pair.b.event(uuid)["published"] is False


def test_an_extending_event_travels_back(pair, published, event):
    uuid, shared = pair.group(**pair.both())
    base = published(distribution="4", sharing_group_id=shared)
    there = pair.b.group(uuid)["SharingGroup"]["id"]
    extension = event(distribution="4", sharing_group_id=there, extends_uuid=base["uuid"])

    assert pair.b.post("/events/add", extension, role="publisher").status == 200
    assert pair.b.post(f"/events/publish/{extension['uuid']}", role="publisher").status == 200

    assert pair.a.event(extension["uuid"])["extends_uuid"] == base["uuid"]
    merged = pair.a.event(base["uuid"], how="/extended:1")
    assert extension["uuid"] in {pair.a.event(one)["uuid"] for one in merged["extensionEvents"]}
    assert len(merged["Attribute"]) == 2


def test_a_note_on_nothing_is_taken(pair):
    body = {"Note": {"note": "x", "distribution": "0"}}

    assert pair.a.post(f"/analyst_data/add/Note/{uuid4()}/Event", body).status == 200


def test_publish_says_yes_while_the_peer_is_down(pair, published):
    if pair.clock is None:
        pytest.skip("a real pair is not taken down")
    pair.b.double.down()

    stored = published(distribution="3")

    pair.b.double.up()
    assert pair.a.event(stored["uuid"])["published"] is True
    assert not pair.b.has(stored["uuid"])


@pytest.mark.parametrize(
    "left",
    [
        {"Attribute": []},
        {"Attribute": [text("0")]},
    ],
)
def test_an_event_of_which_nothing_is_left_does_say_that_it_failed(pair, event, left):
    document = event(distribution="3", **left)
    pair.a.post("/events/add", document)

    refused = pair.a.post(f"/events/publish/{document['uuid']}")

    assert refused.status == 403
    assert refused.body["errors"] == {"failed_servers": [pair.b.url]}
    assert not pair.b.has(document["uuid"])


def test_the_receiver_sends_it_straight_back_before_it_answers(pair, published):
    if pair.clock is None:
        pytest.skip("the wire of a real pair is not seen from here")
    calls = pair.a.double.calls
    calls.clear()

    stored = published(distribution="3")

    path = f"/events/edit/{stored['uuid']}/metadata:1"
    assert [one for one in calls if one[:2] == ("POST", path)] != []


def test_a_pull_lowers_the_distribution(pair, event):
    if pair.clock is None:
        pytest.skip("a full pull moves what is not ours")
    double = pair.a.double
    server = double.state.servers.by(url=pair.b.url)
    server.flags["push"] = False
    uuids = []
    for distribution in ("1", "2", "3"):
        document = event(distribution=distribution)
        pair.a.post("/events/add", document)
        pair.a.post(f"/events/publish/{document['uuid']}")
        uuids.append(document["uuid"])
    server.flags["push"] = True

    entry = pair.b.double.state.servers.by(url=pair.a.url).id
    assert pair.b.get(f"/servers/pull/{entry}/full").message.startswith("Pull completed. ")

    assert [pair.b.event(one)["distribution"] for one in uuids] == ["0", "1", "3"]
