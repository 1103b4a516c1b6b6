"""What MISP keeps, drops and hides of an event that is added or edited (S1-S3, G1-G4, G7)."""

from __future__ import annotations

from uuid import uuid4

import pytest

NO_GROUP = "Invalid Sharing Group or not authorised."


def attribute(**more):
    base = {"uuid": str(uuid4()), "type": "text", "category": "Other", "value": str(uuid4())}
    return base | more


def add(side, document, **more):
    added = side.post("/events/add", document, **more)
    assert added.status == 200, added.text
    return added.body["Event"]


@pytest.mark.parametrize(
    "group", [{}, {"sharing_group_id": "999999"}, {"sharing_group_id": "known"}]
)
def test_an_event_needs_a_group_that_is_there(pair, event, group):
    if group.get("sharing_group_id") == "known":
        group = {"sharing_group_id": pair.group(**pair.both())[0]}
    document = event(distribution="4", **group)

    refused = pair.a.post("/events/add", document)

    assert (refused.status, refused.message) == (405, NO_GROUP)
    assert not pair.a.has(document["uuid"])


def test_an_attribute_in_an_unknown_group_is_hidden(pair, event):
    lost = attribute(distribution="4", sharing_group_id="999999")

    stored = add(pair.a, event(Attribute=[lost]))["Attribute"][0]

    assert (stored["distribution"], stored["sharing_group_id"]) == ("0", "0")


def test_an_inline_group_is_for_an_admin_and_rewrites_the_groups_time(pair, event):
    uuid, number = pair.group(**pair.both())
    before = pair.a.group(uuid)["SharingGroup"]["modified"]
    pair.later()

    stored = add(pair.a, event(distribution="4", SharingGroup={"uuid": uuid}))

    assert (stored["distribution"], stored["sharing_group_id"]) == ("4", number)
    assert pair.a.group(uuid)["SharingGroup"]["modified"] > before


@pytest.mark.parametrize("role", ["user", "publisher", "org_admin"])
def test_others_name_the_group_by_its_id(pair, event, role):
    uuid, number = pair.group(**pair.both())
    inline = {"distribution": "4", "SharingGroup": {"uuid": uuid}}

    refused = pair.a.post("/events/add", event(**inline), role=role)
    assert (refused.status, refused.message) == (405, NO_GROUP)

    assert add(pair.a, event(**inline, sharing_group_id=number), role=role)["distribution"] == "4"


def test_an_admins_inline_group_is_made(pair, event):
    uuid = str(uuid4())
    org = {"extend": True, "Organisation": {"uuid": pair.a.organisation, "name": pair.a.name}}
    group = {
        "uuid": uuid,
        "name": f"inline {uuid}",
        "releasability": "x",
        "description": "",
        "SharingGroupOrg": [org],
    }

    stored = add(pair.a, event(distribution="4", SharingGroup=group))

    assert "SharingGroup" not in stored
    made = pair.a.group(uuid)
    assert stored["sharing_group_id"] == made["SharingGroup"]["id"]
    assert made["SharingGroupServer"] == []


def test_a_4_byte_character_in_the_info_is_an_error(pair, event):
    document = event(info="boom \U0001f4a5")

    assert pair.a.post("/events/add", document).status == 500
    assert not pair.a.has(document["uuid"])


def test_a_4_byte_character_in_a_value_becomes_a_question_mark(pair, event):
    stored = add(pair.a, event(Attribute=[attribute(value="a \U0001f4a5 b")]))

    assert stored["Attribute"][0]["value"] == "a ? b"


def test_a_4_byte_character_in_an_objects_comment_leaves_half_an_event(pair, event):
    thing = {
        "name": "ip-port",
        "meta-category": "network",
        "template_uuid": "9f8cea74-16fe-4968-a2b4-026676949ac6",
        "template_version": "10",
        "comment": "\U0001f4a5",
        "Attribute": [attribute(type="ip-dst", category="Network activity", value="198.18.0.9")],
    }
    document = event(Object=[thing])

    assert pair.a.post("/events/add", document).status == 500
    half = pair.a.event(document["uuid"])
    assert (len(half["Attribute"]), half["Object"]) == (1, [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "ip-dst", "category": "Network activity", "value": "999.1.2.3"},
        {"type": "iris-thing"},
        {"type": "ip-dst", "category": "Person", "value": "198.18.0.1"},
        {"value": "x" * 66_000},
        {"value": ""},
    ],
)
def test_an_invalid_attribute_is_dropped_without_a_word(pair, event, wrong):
    added = pair.a.post("/events/add", event(Attribute=[attribute(**wrong), attribute()]))

    assert added.status == 200
    assert len(added.body["Event"]["Attribute"]) == 1
    assert "errors" not in added.body


def test_attributes_add_does_tell_what_is_wrong(pair, event):
    uuid = add(pair.a, event())["uuid"]
    wrong = {"type": "ip-dst", "category": "Network activity", "value": "nope"}

    one = pair.a.post(f"/attributes/add/{uuid}", wrong)
    assert (one.status, one.body["errors"]) == (
        403,
        {"value": ["IP address has an invalid format."]},
    )
    both = pair.a.post(f"/attributes/add/{uuid}", [wrong | {"value": "198.18.0.7"}, wrong])
    assert both.status == 200
    assert "attribute_1" in both.body["errors"]


def test_a_uuid_that_is_in_another_event_is_dropped(pair, event):
    taken = attribute()
    add(pair.a, event(Attribute=[taken]))

    assert add(pair.a, event(Attribute=[taken | {"value": "other"}]))["Attribute"] == []


def test_the_same_attribute_twice_is_one(pair, event):
    twice = [attribute(value="same"), attribute(value="same")]

    assert len(add(pair.a, event(Attribute=twice))["Attribute"]) == 1


@pytest.mark.parametrize(("given", "kept"), [({}, "0"), ({"distribution": "5"}, "5")])
def test_an_object_without_a_distribution_stays_at_home(pair, event, given, kept):
    thing = {
        "name": "ip-port",
        "meta-category": "network",
        "template_uuid": "9f8cea74-16fe-4968-a2b4-026676949ac6",
        "template_version": "10",
        "description": "d",
        "Attribute": [
            {
                "type": "ip-dst",
                "category": "Network activity",
                "object_relation": "ip",
                "value": "198.18.3.4",
            }
        ],
    }

    stored = add(pair.a, event(Object=[thing | given]))["Object"][0]

    assert stored["distribution"] == kept
    assert stored["Attribute"][0]["distribution"] == "5"


def test_an_unknown_tag_needs_the_right_to_make_it(pair, event):
    def tags(role, name):
        stored = add(pair.a, event(Tag=[{"name": name}, {"name": "tlp:amber"}]), role=role)
        return [one["name"] for one in stored["Tag"]]

    mine = f"contract:{uuid4()}"
    for role in ("user", "publisher"):
        assert tags(role, mine) == ["tlp:amber"]
    assert sorted(tags("org_admin", mine)) == sorted([mine, "tlp:amber"])
    assert mine in tags("user", mine)


def test_published_true_is_for_those_who_may_publish(pair, event):
    silent = add(pair.a, event(published=True, distribution="3"), role="user")
    assert silent["published"] is False
    assert not pair.b.has(silent["uuid"])

    sent = add(pair.a, event(published=True, distribution="3"), role="publisher")
    assert sent["published"] is True
    assert pair.b.has(sent["uuid"])


def test_a_foreign_creator_is_for_admins_and_sync_users(pair, event):
    foreign = {"Orgc": {"uuid": pair.b.organisation, "name": pair.b.name}}

    assert add(pair.a, event(**foreign), role="publisher")["Orgc"]["uuid"] == pair.a.organisation
    assert add(pair.a, event(**foreign))["Orgc"]["uuid"] == pair.b.organisation
    mine = {"Orgc": {"uuid": pair.a.organisation, "name": pair.a.name}}
    relayed = add(pair.a, event(**mine, locked=True), role="sync")
    assert (relayed["Orgc"]["uuid"], relayed["Org"]["uuid"]) == (
        pair.a.organisation,
        pair.b.organisation,
    )


def test_an_edit_has_to_be_newer_and_unpublishes(pair, event):
    stored = add(pair.a, event())
    uuid, now = stored["uuid"], int(stored["timestamp"])
    pair.a.post(f"/events/publish/{uuid}")

    for moment in (now - 1, now):
        refused = pair.a.post(f"/events/edit/{uuid}", {"info": "x", "timestamp": str(moment)})
        assert refused.status == 403
        assert "not newer than the local copy" in refused.body["errors"]
    pair.later()
    edited = pair.a.post(f"/events/edit/{uuid}", {"info": "new"}).body["Event"]
    assert (edited["info"], edited["published"]) == ("new", False)
    assert int(edited["timestamp"]) > now


def test_an_edit_adds_and_changes_but_removes_nothing(pair, event):
    first = attribute(value="first")
    uuid = add(pair.a, event(Attribute=[first], Tag=[{"name": "tlp:amber"}]))["uuid"]
    pair.later()

    change = {"Attribute": [attribute(value="second")], "Tag": [{"name": "tlp:green"}]}
    edited = pair.a.post(f"/events/edit/{uuid}", change).body["Event"]
    assert {one["value"] for one in edited["Attribute"]} == {"first", "second"}
    assert {one["name"] for one in edited["Tag"]} == {"tlp:amber", "tlp:green"}

    gone = {"Attribute": [{"uuid": first["uuid"], "deleted": True}]}
    pair.later()
    left = pair.a.post(f"/events/edit/{uuid}", gone).body["Event"]
    assert [one["value"] for one in left["Attribute"]] == ["second"]


def test_an_edit_to_an_unknown_group_is_refused(pair, event):
    uuid = add(pair.a, event())["uuid"]

    refused = pair.a.post(
        f"/events/edit/{uuid}", {"distribution": "4", "sharing_group_id": "999999"}
    )

    assert refused.status == 403
    assert "Invalid sharing group" in refused.body["errors"]


def test_a_known_uuid_is_a_404_with_a_location(pair, event):
    document = event()
    number = add(pair.a, document)["id"]

    again = pair.a.post("/events/add", document)

    assert again.status == 404
    assert again.message.startswith("Event already exists, if you would like to edit it")
    assert again.headers["Location"].endswith(f"/events/{number}")


def test_a_deleted_uuid_is_blocked(pair, event):
    document = event()
    add(pair.a, document)

    assert pair.a.post(f"/events/delete/{document['uuid']}").message == "Event deleted."
    again = pair.a.post("/events/add", document)

    assert (again.status, again.message) == (403, "Event blocked by event blocklist.")
    assert pair.a.post(f"/events/delete/{document['uuid']}").status == 403


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"info": ""}, "info"),
        ({"date": "21/11/2026"}, "date"),
        ({"uuid": "not-a-uuid"}, "uuid"),
        ({"distribution": "9"}, "distribution"),
    ],
)
def test_an_invalid_event_is_a_403_that_names_the_field(pair, event, change, field):
    refused = pair.a.post("/events/add", event(**change))

    assert refused.status == 403
    assert list(refused.body["errors"]["Event"]) == [field]


def test_what_another_organisation_may_not_see_is_not_found(pair, event):
    uuid = add(pair.a, event())["uuid"]

    assert pair.a.get(f"/events/view/{uuid}", role="sync").status == 404
    assert not pair.a.has(uuid, role="sync")


def test_metadata_answers_with_less(pair, event):
    stored = pair.a.post("/events/add/metadata:1", event()).body["Event"]

    assert "Attribute" not in stored
    assert stored["attribute_count"] == "1"


def test_reports_want_the_numeric_id(pair, event):
    stored = add(pair.a, event())
    report = {"name": "run", "content": "# run", "distribution": "5"}

    refused = pair.a.post(f"/event_reports/add/{stored['uuid']}", report)
    assert (refused.status, refused.body["errors"]) == (403, "numeric")
    assert pair.a.post(f"/event_reports/add/{stored['id']}", report).status == 200
    assert pair.a.event(stored["uuid"])["EventReport"][0]["name"] == "run"
