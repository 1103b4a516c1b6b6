"""What a MISP does as a directory; the double and a real pair run the same suite.

Everything here has uuids and names of its own: other people's data is neither counted nor touched.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from eme_connector.adapters.egress import Gate
from eme_connector.adapters.misp.client import MispClient
from eme_connector.adapters.misp.connection import Connection
from eme_connector.adapters.misp.directory import MispDirectory
from eme_connector.domain.directory import GroupServer, RemoteGroup, RemoteOrganisation
from eme_connector.errors import DeliveryError


def directory_of(side, *, key=None):
    """Return one side of a pair (tests.misp.contract) as a directory."""
    gate = Gate.of(["127.0.0.0/8"])
    connection = Connection(side.url, key or side.admin, gate, timeout=60)
    return MispDirectory("misp", side.url, MispClient(connection))


def organisation(**fields):
    uuid = str(uuid4())
    return RemoteOrganisation(
        **{"uuid": uuid, "name": f"Relay {uuid}", "sector": "Energy"} | fields
    )


def group(owner, *members, **fields):
    uuid = str(uuid4())
    made = {
        "uuid": uuid,
        "name": f"relay {uuid}",
        "owner": owner.uuid,
        "members": {one.uuid: False for one in members},
        "releasability": "members",
        "description": "of the relay",
        "servers": frozenset({GroupServer("")}),
    }
    return RemoteGroup(**made | fields)


class DirectoryContract:
    """Subclass it and give a `pair` fixture (tests.misp.contract.conftest.Pair)."""

    @pytest.fixture
    def misp(self, pair):
        made = directory_of(pair.a)
        yield made
        made.close()

    def put(self, misp, one):
        """Put a group with its owner and members."""
        for uuid in {one.owner, *one.members}:
            misp.put_organisation(organisation(uuid=uuid, name=f"Relay {uuid}"))
        misp.put_group(one)
        if one.members:
            misp.set_members(one.uuid, one.members)

    def test_an_organisation_is_added_and_edited_and_its_flag_is_kept(self, misp, pair):
        one = organisation(nationality="Greece", type="CSIRT")
        misp.put_organisation(one)
        assert misp.fetch().organisations[one.uuid] == one

        edit = {"local": True}
        pair.a.post(f"/admin/organisations/edit/{one.uuid}", edit)
        misp.put_organisation(replace(one, name=f"{one.name} é", sector="", local=False))
        kept = misp.fetch().organisations[one.uuid]
        assert (kept.name, kept.sector, kept.local) == (f"{one.name} é", "", True)

    def test_a_name_that_another_organisation_has_is_refused_by_name(self, misp):
        one = organisation()
        misp.put_organisation(one)

        with pytest.raises(DeliveryError) as found:
            misp.put_organisation(organisation(name=one.name))
        assert found.value.reason == "name-taken"

    def test_a_group_is_added_with_its_owner_and_no_members(self, misp):
        owner, member = organisation(), organisation()
        one = group(owner, member)
        for each in (owner, member):
            misp.put_organisation(each)
        misp.put_group(one)

        assert misp.fetch().groups[one.uuid] == replace(one, members={})

    def test_members_are_set_in_one_request_and_their_flags_changed(self, misp):
        several = [organisation() for _ in range(3)]
        one = group(several[0], *several)
        self.put(misp, one)
        before = misp.calls
        misp.set_members(one.uuid, {several[1].uuid: True})

        assert misp.calls == before + 1
        assert misp.fetch().groups[one.uuid].members == one.members | {several[1].uuid: True}

    def test_a_member_that_it_does_not_know_is_not_made_out_of_thin_air(self, misp):
        owner, stranger = organisation(), organisation()
        one = group(owner)
        self.put(misp, one)

        with pytest.raises(DeliveryError) as found:
            misp.set_members(one.uuid, {stranger.uuid: False})
        assert found.value.reason == "organisation-missing"
        assert stranger.uuid not in misp.fetch().organisations

    def test_members_leave_one_by_one_and_twice_is_fine(self, misp):
        several = [organisation() for _ in range(3)]
        one = group(several[0], *several)
        self.put(misp, one)
        gone = [several[1].uuid, several[2].uuid]
        misp.remove_members(one.uuid, gone)
        misp.remove_members(one.uuid, gone)

        assert misp.fetch().groups[one.uuid].members == {several[0].uuid: False}

    def test_texts_and_roaming_are_edited_and_members_stay(self, misp):
        several = [organisation() for _ in range(2)]
        one = group(several[0], *several)
        self.put(misp, one)
        edited = replace(one, name=f"{one.name} 2", description="ατε", roaming=True)
        misp.put_group(edited)

        assert misp.fetch().groups[one.uuid] == edited

    def test_a_group_name_that_is_taken_is_told(self, misp):
        owner = organisation()
        one, other = group(owner), group(owner)
        self.put(misp, one)
        self.put(misp, other)

        for taken in (group(owner, name=one.name.upper()), replace(other, name=one.name)):
            with pytest.raises(DeliveryError) as found:
                misp.put_group(taken)
            assert found.value.reason == "name-taken"

    def test_servers_are_added_by_their_exact_url(self, misp, pair):
        owner = organisation()
        one = group(owner)
        self.put(misp, one)
        wanted = one.servers | {GroupServer(pair.b.url)}
        misp.put_group(replace(one, servers=wanted))

        assert {"", pair.b.url} <= misp.fetch().servers
        assert misp.fetch().groups[one.uuid].servers == wanted
        with pytest.raises(DeliveryError) as found:
            misp.put_group(replace(one, servers=frozenset({GroupServer("http://misp.invalid")})))
        assert found.value.reason == "server-unknown"

    def test_all_organisations_of_the_misp_itself_are_let_in_and_out_again(self, misp):
        owner = organisation()
        one = group(owner)
        self.put(misp, one)
        for every in (True, False):
            wide = replace(one, servers=frozenset({GroupServer("", every)}))
            misp.put_group(wide)
            assert misp.fetch().groups[one.uuid].servers == wide.servers

    def test_the_owner_of_a_group_cannot_be_changed(self, misp):
        owner, other = organisation(), organisation()
        one = group(owner)
        self.put(misp, one)
        misp.put_organisation(other)

        with pytest.raises(DeliveryError) as found:
            misp.put_group(replace(one, owner=other.uuid))
        assert found.value.reason == "not-as-asked"
        assert found.value.detail == "owner"

    def test_inactive_groups_are_seen(self, misp):
        owner = organisation()
        one = group(owner, active=False)
        self.put(misp, one)

        assert misp.fetch().groups[one.uuid].active is False

    def test_an_announcement_makes_modified_newer(self, misp, pair):
        owner = organisation()
        one = group(owner)
        self.put(misp, one)
        before = pair.a.group(one.uuid)["SharingGroup"]["modified"]
        pair.later()
        misp.announce(one.uuid)

        assert pair.a.group(one.uuid)["SharingGroup"]["modified"] > before
        assert misp.fetch().groups[one.uuid] == one

    def test_within_one_second_an_announcement_cannot_be_newer(self, misp):
        owner = organisation()
        one = group(owner)
        self.put(misp, one)
        reasons = set()
        for _ in range(30):
            try:
                misp.announce(one.uuid)
            except DeliveryError as exc:
                reasons.add(exc.reason)
        assert reasons == {"not-newer"}

    def test_a_group_that_is_not_there_is_named(self, misp):
        with pytest.raises(DeliveryError) as found:
            misp.remove_members(str(uuid4()), [str(uuid4())])
        assert found.value.reason == "group-missing"

    def test_a_key_that_is_no_site_admins_is_refused_before_anything_else(self, pair):
        for call in ("ping", "fetch"):
            misp = directory_of(pair.a, key=pair.a.keys["org_admin"])
            with pytest.raises(DeliveryError) as found:
                getattr(misp, call)()
            assert found.value.reason == "key-sees-too-little"
            assert misp.calls == 0
            misp.close()
