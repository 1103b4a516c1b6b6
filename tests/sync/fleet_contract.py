"""What MISPs do to sharing groups by themselves, and what the relay makes of it (S10-S14, S17).

Two MISPs that push to each other; the double and a real pair run the same suite. The relay's
source stands in this process.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from eme_connector.domain.directory import GroupServer, RemoteOrganisation
from tests.sync.directory_contract import directory_of
from tests.sync.fleet import Relay, Source, rest, wait_a_second, words


class FleetContract:
    """Subclass it and give a `pair` fixture (tests.misp.contract.conftest.Pair)."""

    @pytest.fixture
    def ours(self, pair):
        """The organisations that run A and B, as the source knows them."""
        return tuple(RemoteOrganisation(side.organisation, side.name) for side in (pair.a, pair.b))

    @pytest.fixture
    def relay(self, tmp_path, pair, ours):
        made = Relay(tmp_path, Source(*ours), a=directory_of(pair.a), b=directory_of(pair.b))
        made.sleep = wait_a_second(pair.clock)
        yield made
        made.close()
        for one in made.directories.values():
            one.close()

    @pytest.fixture
    def both(self, relay, pair):
        """A relay to both MISPs."""
        relay.target("a", servers=frozenset({pair.b.url}))
        relay.target("b", servers=frozenset({pair.a.url}))
        return relay

    @pytest.fixture
    def one(self, relay, pair):
        """A relay to A alone: B is a peer outside of the fleet."""
        relay.target("a", servers=frozenset({pair.b.url}))
        return relay

    def publish(self, side, group, uuid=None):
        """Put an event into the group and publish it; a later call edits it, to be sent again."""
        head = side.group(group)["SharingGroup"]
        event = {"uuid": uuid or str(uuid4()), "info": f"relay {uuid4()}", "distribution": "4",
                 "sharing_group_id": head["id"], "threat_level_id": "2", "analysis": "0",
                 "date": "2026-11-25", "Attribute": [self.attribute()]}  # fmt: skip
        path = f"/events/edit/{uuid}" if uuid else "/events/add"
        made = side.post(path, event)
        assert made.status == 200, made.text
        done = side.post(f"/events/publish/{event['uuid']}")
        assert done.status == 200, done.text
        return event["uuid"]

    def attribute(self):
        # an event without attributes is published, and not pushed
        value = f"198.18.{uuid4().int % 256}.{uuid4().int % 256}"
        return {"type": "ip-dst", "category": "Network activity", "value": value}

    def test_a_group_is_the_same_on_both_after_one_cycle(self, both, pair, ours):
        third = both.source.organisation(sector="Energy")
        group = both.source.group(ours[0], *ours, third)
        reports = both.apply()

        assert {one.state for one in reports.values()} == {"converged"}
        for side, url in ((pair.a, pair.b.url), (pair.b, pair.a.url)):
            assert side.members(group.uuid) == set(group.members)
            head = side.group(group.uuid)
            assert head["Organisation"]["uuid"] == ours[0].uuid
            urls = {row["Server"]["url"] for row in head["SharingGroupServer"]}
            assert urls == {side.url, url}

    def test_what_is_converged_costs_a_look_and_no_write(self, both, ours):
        both.source.group(ours[0], *ours)
        both.apply()
        again = both.apply()

        assert {one.state for one in again.values()} == {"converged"}
        assert all(one.requests <= 5 for one in again.values())
        assert [run.calls for run in both.store.runs("a")] == [
            run.calls for run in both.store.runs("a")[-1:]
        ]

    def test_s10_an_added_member_reaches_peers_outside_of_the_fleet(self, one, pair, ours):
        third = one.source.organisation()
        group = one.source.group(ours[0], *ours)
        one.apply()
        event = self.publish(pair.a, group.uuid)
        assert pair.b.members(group.uuid) == {ours[0].uuid, ours[1].uuid}

        one.source.add(group.uuid, third)
        report = one.apply()["a"]
        assert words(report) == ["organisation-missing", "member-missing"]
        pair.later()
        self.publish(pair.a, group.uuid, event)
        assert third.uuid in pair.b.members(group.uuid)

    def test_s11_a_change_in_the_second_of_a_publish_reaches_them_too(self, one, pair, ours):
        third = one.source.organisation()
        group = one.source.group(ours[0], *ours)
        one.source.group(ours[0], third)
        one.apply()
        event = self.publish(pair.a, group.uuid)
        one.source.add(group.uuid, third)
        assert one.apply()["a"].state == "converged"

        pair.later()
        self.publish(pair.a, group.uuid, event)
        assert third.uuid in pair.b.members(group.uuid)

    def test_s12_a_removed_member_leaves_every_misp(self, both, pair, ours):
        third = both.source.organisation()
        group = both.source.group(ours[0], *ours, third)
        both.apply()
        event = self.publish(pair.a, group.uuid)
        both.source.remove(group.uuid, third)
        reports = both.apply()

        assert [words(one) for one in reports.values()] == [["member-removed"]] * 2
        pair.later()
        self.publish(pair.a, group.uuid, event)
        for side in (pair.a, pair.b):
            assert side.members(group.uuid) == {ours[0].uuid, ours[1].uuid}

    def test_s13_a_member_that_sync_brings_back_is_removed_again(self, one, pair, ours):
        third = one.source.organisation()
        group = one.source.group(ours[0], *ours, third)
        one.apply()
        self.publish(pair.a, group.uuid)
        one.source.remove(group.uuid, third)
        one.apply()
        assert third.uuid not in pair.a.members(group.uuid)

        # B still has it, changes the group by hand, and publishes: A takes the member back
        pair.later()
        pair.b.post(f"/sharing_groups/edit/{group.uuid}", {"description": "by hand"})
        self.publish(pair.b, group.uuid)
        assert third.uuid in pair.a.members(group.uuid)

        report = one.apply()["a"]
        assert "member-resurrected" in words(report)
        assert report.state == "converged"
        assert third.uuid not in pair.a.members(group.uuid)
        (stone,) = [t for t in one.store.memory("a").tombstones if t.group == group.uuid]
        assert stone.came_back == 1

    def test_s13_with_both_in_the_fleet_nobody_comes_back(self, both, pair, ours):
        third = both.source.organisation()
        group = both.source.group(ours[0], *ours, third)
        both.apply()
        self.publish(pair.a, group.uuid)
        both.source.remove(group.uuid, third)
        both.apply()
        pair.later()
        self.publish(pair.b, group.uuid)
        self.publish(pair.a, group.uuid)

        for side in (pair.a, pair.b):
            assert third.uuid not in side.members(group.uuid)
        assert {one.state for one in both.diff().values()} == {"converged"}

    def test_s14_what_a_rest_edit_would_ignore_is_done_or_named(self, both, pair, ours):
        others = [both.source.organisation() for _ in range(2)]
        group = both.source.group(ours[0], *ours, *others)
        both.apply()
        shorter = {ours[0].uuid: True, ours[1].uuid: False, others[0].uuid: False}
        both.source.put(replace(group, members=shorter, active=False, description="new"))
        reports = both.apply()

        for report in reports.values():
            assert sorted(words(report)) == ["group-text", "member-extend", "member-removed"]
            assert rest(report) == [("group-active", "stuck")]
        assert pair.b.members(group.uuid) == set(shorter)

    def test_what_no_edit_changes_is_right_once_an_admin_has_deleted_the_group(
        self, both, pair, ours
    ):
        group = both.source.group(ours[0], *ours)
        both.apply()
        both.source.put(replace(group, owner=ours[1].uuid, active=False))
        stuck = [("group-owner", "stuck"), ("group-active", "stuck")]
        assert rest(both.apply()["a"]) == stuck

        org = {one["uuid"]: one["id"] for one in pair.a.organisations()}[ours[1].uuid]
        for said in (
            {"org_id": org, "active": False},
            {"organisation_uuid": ours[1].uuid, "active": "0", "roaming": False},
            {"Organisation": {"uuid": ours[1].uuid, "name": ours[1].name}, "description": "d"},
        ):
            pair.later()
            assert pair.a.post(f"/sharing_groups/edit/{group.uuid}", said).status == 200
        assert rest(both.diff()["a"]) == stuck

        assert pair.a.post(f"/sharing_groups/delete/{group.uuid}").status == 200
        report = both.apply()["a"]
        assert report.state == "converged"
        assert words(report) == ["group-missing", "member-missing", "member-missing"]
        assert pair.a.group(group.uuid)["Organisation"]["uuid"] == ours[1].uuid

    def test_s17_a_server_is_let_in_once_its_entry_is_there(self, both, pair, ours):
        lost = f"{pair.b.url}/lost"
        both.target("a", servers=frozenset({lost}))
        group = both.source.group(ours[0], *ours)
        reports = both.apply()
        assert rest(reports["a"]) == [("server-unknown", "stuck")]

        org = {one["uuid"]: one["id"] for one in pair.a.organisations()}[ours[1].uuid]
        made = pair.a.post("/servers/add", {"url": lost, "name": lost, "remote_org_id": org,
                                            "authkey": "a" * 40})  # fmt: skip
        assert made.status == 200, made.text
        try:
            report = both.apply()["a"]
            assert words(report) == ["group-servers"]
            assert report.state == "converged"
            servers = both.directories["a"].fetch().groups[group.uuid].servers
            assert servers == {GroupServer(""), GroupServer(lost)}
        finally:
            pair.a.post(f"/servers/delete/{made.body['Server']['id']}")

    def test_an_event_that_the_other_side_publishes_arrives(self, both, pair, ours):
        group = both.source.group(ours[0], *ours)
        both.apply()
        event = self.publish(pair.b, group.uuid)

        assert pair.a.has(event)

    def test_a_local_addition_is_taken_out_and_can_be_undone(self, both, pair, ours):
        third = both.source.organisation()
        group = both.source.group(ours[0], *ours)
        both.source.group(ours[0], third)
        both.apply()
        add = {"sg_id": group.uuid, "org_id": third.uuid, "extend": False}
        assert pair.a.post("/sharing_groups/addOrg", add).status == 200
        report = both.apply()["a"]
        assert words(report) == ["member-unknown"]

        undone = both.undo("a")
        assert undone.left == []
        assert third.uuid in pair.a.members(group.uuid)
        waits = rest(both.apply()["a"])
        assert waits == [("member-unknown", "held")], waits
        assert both.apply(confirmed=[group.uuid])["a"].state == "converged"
        assert third.uuid not in pair.a.members(group.uuid)
