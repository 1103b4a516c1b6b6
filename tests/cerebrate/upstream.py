"""What taking over from one Cerebrate into another has to do; doubles and real ones run it.

Cerebrate's own download is run beside it where it can be: it leaves the group without members.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from eme_connector.usecases import cerebrate as usecase
from tests.build import CERT, person

TRUSTED, NEW = "trusted-upstream", "new-records"


class UpstreamContract:
    """Subclass it and give `theirs` and `ours` (Place), and the fixture `make` of sidecars."""

    @pytest.fixture
    def link(self, make, theirs, ours):
        """Return how to make a sidecar that takes over some groups, and do its turns."""

        def one(strategy=TRUSTED, groups=()):
            # of a shared one, nothing but our own records is taken over
            upstream = {"name": "national", "url": theirs.url, "key": theirs.key,
                        "strategy": strategy, "groups": list(groups),
                        "organisations": "members"}  # fmt: skip
            section = {"url": ours.url, "key": ours.key, "upstreams": [upstream]}
            return Link(make(CERT, cerebrate=section))

        return one

    @pytest.fixture
    def world(self, theirs, ours):
        """Make three organisations and a group of two upstream; return them."""
        several = [theirs.organisation(contacts="soc@metro.example") for _ in range(3)]
        theirs.put(*several)
        group = theirs.group(several[0].uuid, [several[0].uuid, several[1].uuid])
        there = theirs.directory()
        there.put_group(group)
        there.set_members(group.uuid, {several[0].uuid: True, several[1].uuid: False})
        ours.remove += theirs.remove
        return several, group

    def test_a_group_arrives_with_its_owner_members_and_flags(self, link, ours, world):
        several, group = world

        found = link(groups=[group.uuid]).turn()

        assert (found.state, found.detail["failed"]) == ("done", [])
        _, there = ours.directory().client.find_group(group.uuid)
        assert there == replace(group, members={several[0].uuid: True, several[1].uuid: False})
        _, one = ours.directory().client.find_organisation(several[0].uuid)
        assert (one, one.contacts) == (several[0], "soc@metro.example")

    def test_a_second_turn_writes_nothing(self, link, world):
        way = link(groups=[world[1].uuid])
        way.turn()

        found = way.turn()

        assert found.detail["done"] == 0
        assert way.preview().is_converged

    def test_changes_and_removals_are_followed_from_a_trusted_one(self, link, theirs, ours, world):
        several, group = world
        way = link(groups=[group.uuid])
        way.turn()
        there = theirs.directory()
        there.put_group(replace(group, description="changed"))
        there.remove_members(group.uuid, [several[1].uuid])
        there.set_members(group.uuid, {several[2].uuid: True})
        theirs.put(replace(several[0], sector="Transport", contacts=""))

        assert way.turn().detail["failed"] == []

        _, found = ours.directory().client.find_group(group.uuid)
        assert found.description == "changed"
        assert found.members == {several[0].uuid: True, several[2].uuid: True}
        _, one = ours.directory().client.find_organisation(several[0].uuid)
        assert (one.sector, one.contacts) == ("Transport", "")

    def test_new_records_only_adds_and_never_touches_again(self, link, theirs, ours, world):
        several, group = world
        way = link(NEW, groups=[group.uuid])
        way.turn()
        there = theirs.directory()
        there.put_group(replace(group, description="changed"))
        there.set_members(group.uuid, {several[2].uuid: True})
        theirs.put(replace(several[0], sector="Transport"))

        assert way.turn().state == "done"

        _, found = ours.directory().client.find_group(group.uuid)
        assert (found.description, len(found.members)) == (group.description, 2)
        _, one = ours.directory().client.find_organisation(several[0].uuid)
        assert one.sector == ""

    def test_what_was_changed_here_is_set_back_by_a_trusted_one(self, link, ours, world):
        several, group = world
        way = link(groups=[group.uuid])
        way.turn()
        ours.put(several[2])
        here = ours.directory()
        here.remove_members(group.uuid, [several[1].uuid])
        here.set_members(group.uuid, {several[2].uuid: False})

        way.turn()

        _, found = here.client.find_group(group.uuid)
        assert found.members == {several[0].uuid: True, several[1].uuid: False}

    def test_what_only_we_have_stays(self, link, ours, world):
        group = world[1]
        mine = ours.organisation(sector="Water")
        ours.put(mine)
        own = ours.group(mine.uuid, [mine.uuid])
        here = ours.directory()
        here.put_group(own)
        here.set_members(own.uuid, own.members)

        link(groups=[group.uuid]).turn()

        assert here.client.find_group(own.uuid)[1] == own
        assert here.client.find_organisation(mine.uuid)[1] == mine

    def test_a_group_that_is_gone_upstream_keeps_its_owner_alone(self, link, theirs, ours, world):
        several, group = world
        way = link(groups=[group.uuid])
        way.turn()
        number = theirs.number("sharingGroups", group.uuid)
        theirs.call("POST", f"/sharingGroups/delete/{number}", {})

        found = way.turn(group.uuid, "all")

        assert found.state == "done"
        _, left = ours.directory().client.find_group(group.uuid)
        assert (set(left.members), left.active) == ({several[0].uuid}, False)

    def test_the_preview_says_what_would_be_done_and_does_nothing(self, link, ours, world):
        several, group = world

        found = link(groups=[group.uuid]).preview()

        words = {(one.word, one.uuid) for one in found.steps}
        assert ("group-missing", group.uuid) in words
        assert ("organisation-missing", several[0].uuid) in words
        assert ours.directory().client.find_group(group.uuid) is None


class Link:
    """A sidecar with one upstream; its clock moves on by a quarter of an hour each turn."""

    def __init__(self, sidecar) -> None:
        self.sidecar = sidecar

    def turn(self, *confirmed):
        self.sidecar.clock.tick(1000)
        admin = person(self.sidecar.eme.organisation.uuid)
        return usecase.run("national", confirmed, caller=admin, system=self.sidecar.eme)

    def preview(self):
        admin = person(self.sidecar.eme.organisation.uuid)
        return usecase.preview("national", (), caller=admin, system=self.sidecar.eme)
