"""How sharing groups travel with events, and what of it is silent (S4-S17)."""

from __future__ import annotations

import pytest


@pytest.fixture
def publish(pair, event):
    """Return how to publish an event of A in a group; it gives the answer and the event's uuid."""

    def act(group_id, *, side=None, **more):
        at = side or pair.a
        document = event(distribution="4", sharing_group_id=group_id, **more)
        added = at.post("/events/add", document)
        assert added.status == 200, added.text
        answer = at.post(f"/events/publish/{document['uuid']}")
        return answer, document["uuid"]

    return act


def bump(side, group, text="bump"):
    assert side.post(f"/sharing_groups/edit/{group}", {"description": text}).status == 200


def send_again(pair, side, uuid):
    pair.later()
    assert side.post(f"/events/edit/{uuid}", {"info": f"again {uuid}"}).status == 200
    assert side.post(f"/events/publish/{uuid}").status == 200


def group_id(side, uuid):
    return side.group(uuid)["SharingGroup"]["id"]


def test_an_event_arrives_with_its_group(pair, publish):
    uuid, number = pair.group(
        orgs=[pair.a.organisation, pair.b.organisation],
        servers=[pair.a.url, pair.b.url, "http://127.0.0.1:9"],
    )

    answer, event = publish(number)

    assert answer.message == "Event published without alerts"
    there = pair.b.event(event)
    assert (there["distribution"], there["locked"], there["published"]) == ("4", True, True)
    assert there["Orgc"]["uuid"] == pair.a.organisation
    assert pair.b.members(uuid) == {pair.a.organisation, pair.b.organisation}
    urls = {row["Server"]["url"] for row in pair.b.group(uuid)["SharingGroupServer"]}
    assert urls == {pair.a.url, pair.b.url}
    assert pair.b.has(event, role="publisher")


def test_without_the_pushing_organisation_nobody_can_read_it(pair, publish):
    uuid, number = pair.group(orgs=[pair.b.organisation], servers=[pair.a.url, pair.b.url])

    answer, event = publish(number)

    assert answer.message == "Event published without alerts"
    there = pair.b.event(event)
    assert (there["distribution"], there["sharing_group_id"]) == ("0", "0")
    assert not pair.b.has(event, role="publisher")
    assert pair.b.has(event, role="sync")
    assert pair.b.get(f"/sharing_groups/view/{uuid}").status == 405


def test_a_group_without_the_receiver_is_not_sent_and_nobody_says_so(pair, publish):
    _, number = pair.group(orgs=[pair.a.organisation, pair.b.organisation], servers=[pair.a.url])

    answer, event = publish(number)

    assert answer.message == "Event published without alerts"
    assert pair.a.event(event)["published"] is True
    assert not pair.b.has(event)


def test_a_roaming_group_needs_no_server(pair, publish):
    uuid, number = pair.group(
        orgs=[pair.a.organisation, pair.b.organisation], servers=[], roaming=True
    )

    _, event = publish(number)

    assert pair.b.event(event)["distribution"] == "4"
    assert pair.b.group(uuid)["SharingGroup"]["roaming"] is True


def test_all_organisations_of_a_server_do_not_include_one_that_is_not_listed(pair, publish):
    rows = [
        {"all_orgs": one == pair.b.url, "Server": {"url": one, "name": one}}
        for one in (pair.a.url, pair.b.url)
    ]
    _, number = pair.group(orgs=[pair.a.organisation], servers=[], SharingGroupServer=rows)

    _, event = publish(number)

    assert not pair.b.has(event)


def test_a_new_member_reaches_the_peer_only_after_a_bump(pair, publish, other):
    uuid, number = pair.group(**pair.both())
    _, event = publish(number)
    body = {"name": f"Other {other[:8]}", "uuid": other}
    assert pair.a.post("/admin/organisations/add", body).status == 200

    before = pair.a.group(uuid)["SharingGroup"]["modified"]
    pair.later()
    added = pair.a.post("/sharing_groups/addOrg", {"sg_id": uuid, "org_id": other})
    assert added.message == "Organisation added to the sharing group."
    assert pair.a.group(uuid)["SharingGroup"]["modified"] == before
    send_again(pair, pair.a, event)
    assert other not in pair.b.members(uuid)

    bump(pair.a, uuid)
    send_again(pair, pair.a, event)
    assert other in pair.b.members(uuid)


def test_a_removed_member_stays_at_the_peer_and_comes_back(pair, publish, other):
    uuid, number = pair.group(
        orgs=[pair.a.organisation, pair.b.organisation, other], servers=[pair.a.url, pair.b.url]
    )
    _, event = publish(number)
    pair.later()

    gone = pair.a.post("/sharing_groups/removeOrg", {"sg_id": uuid, "org_id": other})
    assert gone.message == "Organisation removed from the sharing group."
    bump(pair.a, uuid)
    send_again(pair, pair.a, event)
    assert other not in pair.a.members(uuid)
    assert other in pair.b.members(uuid)

    pair.later()
    publish(group_id(pair.b, uuid), side=pair.b)
    assert other in pair.a.members(uuid)
