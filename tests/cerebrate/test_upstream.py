"""Taking over from one double into another, and what only a double can be made to do."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from eme_connector.adapters.database.tables import audit
from tests.build import CERT, CI
from tests.cerebrate.place import Place
from tests.cerebrate.upstream import Link, UpstreamContract


def place(server):
    return Place(server.url, server.state.key("admin"), server.state.key("reader"))


@pytest.fixture
def theirs(upstream):
    return place(upstream)


@pytest.fixture
def ours(cerebrate):
    return place(cerebrate)


class TestDoubles(UpstreamContract):
    pass


@pytest.fixture
def pair(make, theirs, ours):
    """A sidecar that follows everything of a trusted upstream."""
    section = {"url": ours.url, "key": ours.key, "upstreams": [
        {"name": "national", "url": theirs.url, "key": theirs.key,
         "strategy": "trusted-upstream"}]}  # fmt: skip
    return Link(make(CERT, cerebrate=section))


def test_cerebrates_own_download_of_a_group_loses_its_members(upstream, cerebrate, theirs, ours):
    one = upstream.state.organisation(name="CI-1")
    upstream.state.group(one["id"], [one["id"]], name="Trams")
    cerebrate.state.brood(upstream.url, upstream.state.key("admin"))

    found = ours.call("POST", "/broods/downloadSharingGroup/1/1", {})

    assert found.status_code == 500
    (left,) = ours.directory().fetch().groups.values()
    assert (left.name, left.members) == ("Trams", {})


def test_meta_fields_travel_with_their_organisation(pair, upstream, cerebrate, ours):
    one = upstream.state.organisation(name="CI-1", uuid=CI)
    template = upstream.state.templates[1]
    given = {"IPv4 address": "192.0.2.0/24", "AS Number": "AS64500", "Country": "Greece"}
    for field, value in given.items():
        upstream.state.meta_field(one["id"], template, field, value)

    found = pair.turn()

    here = ours.directory().fetch().organisations[CI]
    assert here.constituency == ("192.0.2.0/24", "AS64500")
    assert found.detail["unset_fields"] == ["CI-1: CSIRT Constituency/Country"]
    writes = len(cerebrate.writes())
    pair.turn()
    assert len(cerebrate.writes()) == writes


def test_every_write_has_a_line_in_the_audit_log(pair, upstream):
    one = upstream.state.organisation(name="CI-1", uuid=CI)
    upstream.state.group(one["id"], [one["id"]], name="Trams")
    pair.turn()

    query = select(audit.c.by, audit.c.detail).where(audit.c.event == "relayed")
    found = [(row.by, json.loads(row.detail)) for row in pair.sidecar.store._all(query)]

    words = [detail["word"] for _, detail in found]
    assert words == ["organisation-missing"] * 2 + ["group-missing", "member-missing"]
    assert {by for by, _ in found} == {"cerebrate:national"}
    assert {detail["target"] for _, detail in found} == {"cerebrate<national"}


def test_a_new_organisation_arrives_although_it_is_in_no_group(make, upstream, theirs, ours):
    section = {"url": ours.url, "key": ours.key, "upstreams": [
        {"name": "national", "url": theirs.url, "key": theirs.reader_key}]}  # fmt: skip
    way = Link(make(CERT, cerebrate=section))
    one = upstream.state.organisation(name="CI-1", uuid=CI)
    way.turn()
    one["name"] = "CI-one"
    way.turn()

    assert ours.directory().fetch().organisations[CI].name == "CI-1"


def test_a_key_of_ours_that_may_not_write_is_said_so(make, theirs, ours):
    section = {"url": ours.url, "key": ours.reader_key, "upstreams": [
        {"name": "national", "url": theirs.url, "key": theirs.key}]}  # fmt: skip

    found = Link(make(CERT, cerebrate=section)).turn()

    assert (found.state, found.reason) == ("failed", "not-allowed")
    assert "perm_community_admin" in found.detail["said"]


def test_an_owner_that_cannot_be_changed_is_told_and_the_rest_is_done(pair, upstream, cerebrate):
    theirs = upstream.state.organisation(name="CI-1", uuid=CI)
    group = upstream.state.group(theirs["id"], [theirs["id"]], name="Trams")
    other = cerebrate.state.organisation(name="Other")
    cerebrate.state.group(other["id"], uuid=group["uuid"], name="Trams", releasability="x")

    found = pair.turn()

    assert found.detail["stuck"] == 1
    assert [one["name"] for one in cerebrate.state.groups.values()] == ["Trams"]
    assert len(cerebrate.state.members) == 1


@pytest.mark.parametrize("at", range(1, 8))
def test_cut_off_at_any_call_the_next_turn_ends_where_it_would_have(
    make, upstream, cerebrate, theirs, ours, pair, at
):
    several = [upstream.state.organisation(name=f"CI-{n}") for n in range(3)]
    numbers = [one["id"] for one in several]
    group = upstream.state.group(numbers[0], numbers[:2], name="Trams")
    upstream.state.members[group["id"], numbers[1]] = True

    def cut(method, path):
        if method == "POST" and len(cerebrate.writes()) == at:
            cerebrate.stop()

    cerebrate.after = cut
    pair.turn()
    cerebrate.after = lambda method, path: None
    cerebrate.start()

    assert pair.turn().state == "done"

    assert ours.directory().fetch().groups == theirs.directory().fetch().groups
    assert pair.preview().is_converged


def test_many_members_take_a_few_calls(pair, upstream, cerebrate, ours):
    numbers = [upstream.state.organisation(name=f"CI-{n}")["id"] for n in range(300)]
    for number in numbers:
        row = upstream.state.organisations[number]
        cerebrate.state.organisation(uuid=row["uuid"], name=row["name"])
    group = upstream.state.group(numbers[0], numbers, name="Trams")
    cerebrate.calls.clear()

    pair.turn()

    assert ours.directory().fetch().groups[group["uuid"]].members.keys() == {
        upstream.state.organisations[number]["uuid"] for number in numbers
    }
    assert len(cerebrate.writes()) < 10
