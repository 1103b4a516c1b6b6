"""Sightings: the back channel that works on events of others (G9)."""

from __future__ import annotations

from uuid import uuid4

import pytest


@pytest.fixture
def shared(pair, event):
    """Return an event of A that B has, as A stored it."""
    _, number = pair.group(**pair.both())
    document = event(distribution="4", sharing_group_id=number)
    stored = pair.a.post("/events/add", document).body["Event"]
    pair.a.post(f"/events/publish/{document['uuid']}")
    return stored


def sightings(side, event):
    number = side.event(event)["id"]
    found = side.get(f"/sightings/listSightings/{number}/event").body
    return [(one["Sighting"]["source"], one["Sighting"]["type"]) for one in found]


@pytest.mark.parametrize("role", ["user", "publisher"])
def test_a_sighting_travels_only_when_it_is_asked_to(pair, shared, role):
    attribute = shared["Attribute"][0]["uuid"]

    added = pair.b.post(
        "/sightings/add", {"uuid": attribute, "source": "EME:contained", "type": "0"}, role=role
    )
    assert added.body["Sighting"]["source"] == "EME:contained"
    assert sightings(pair.a, shared["uuid"]) == []

    told = pair.b.post(f"/events/publishSightings/{shared['uuid']}", role=role)
    assert told.body["message"] == "Sightings published"
    assert sightings(pair.a, shared["uuid"]) == [("EME:contained", "0")]
    inside = pair.a.event(shared["uuid"])["Attribute"][0]["Sighting"][0]
    assert inside["Organisation"]["uuid"] == pair.b.organisation


def test_only_the_minimal_index_shows_when_something_was_seen(pair, shared):
    pair.b.post("/sightings/add", {"uuid": shared["Attribute"][0]["uuid"], "source": "x"})
    pair.b.post(f"/events/publishSightings/{shared['uuid']}")

    rows = pair.a.post("/events/index", {"minimal": 1}).body
    row = next(one for one in rows if one["uuid"] == shared["uuid"])
    assert int(row["sighting_timestamp"]) > 0
    assert "sighting_timestamp" not in pair.a.event(shared["uuid"])


def test_sightings_are_found_by_their_time(pair, shared):
    body = {"uuid": shared["Attribute"][0]["uuid"], "source": "by time"}
    made = pair.a.post("/sightings/add", body).body["Sighting"]
    when = int(made["date_sighting"])

    def found(first, last):
        rows = pair.a.post("/sightings/restSearch", {"from": first, "to": last}).body["response"]
        return made["uuid"] in {one["Sighting"]["uuid"] for one in rows}

    assert found(when - 5, when + 5)
    assert not found(when - 500, when - 400)


def test_no_match_is_a_200_with_words(pair):
    for body in ({"values": [str(uuid4())]}, {"uuid": str(uuid4()), "type": "0"}):
        answer = pair.a.post("/sightings/add", body)
        assert answer.status == 200
        assert "Sighting" not in answer.body
        assert "No valid attributes found" in answer.body["message"]


def test_the_index_by_uuid_finds_nothing(pair, shared):
    body = {"uuid": shared["Attribute"][0]["uuid"], "source": "x", "type": "1"}
    assert pair.a.post("/sightings/add", body).body["Sighting"]["type"] == "1"

    assert pair.a.get(f"/sightings/index/{shared['uuid']}").body == []
    assert len(pair.a.get(f"/sightings/index/{shared['id']}").body) == 1
