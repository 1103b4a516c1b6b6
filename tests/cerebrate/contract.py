"""What a Cerebrate 1.35 does, and what our client makes of it.

The double and real instances run the same suite: where a real one differs, the double is wrong.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from eme_connector.adapters.cerebrate.connection import Refused
from eme_connector.domain.directory import EncryptionKey
from eme_connector.errors import DeliveryError

CONSTITUENCY = "CSIRT Constituency"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


class CerebrateContract:
    """Subclass it and give a `place` fixture (tests.cerebrate.place.Place)."""

    # what it answers

    @pytest.mark.parametrize("key", ["", "short", "0" * 40, "Bearer " + "0" * 33])
    def test_a_bad_key_is_a_405(self, place, key):
        found = place.call("GET", "/organisations/index", Authorization=key)

        assert found.status_code == 405
        assert found.json()["message"] == "Invalid user credentials."

    def test_a_missing_permission_is_a_405_too(self, place):
        found = place.call("GET", "/broods/index", Authorization=place.reader_key)

        assert found.status_code == 405
        assert "permission" in found.json()["message"]

    def test_without_a_json_accept_it_shows_the_login(self, place):
        found = place.call("GET", "/organisations/index", Accept="*/*")

        assert found.status_code == 302

    def test_a_validation_error_of_an_add_is_a_200(self, place):
        found = place.call("POST", "/organisations/add", {"name": "eme-without-uuid"})

        assert found.status_code == 200
        assert found.json() == {
            "message": "Organisation could not be added.\nReason: uuid: This field is required"
        }

    def test_a_validation_error_of_an_edit_and_a_duplicate_are_bare_500s(self, place):
        one = place.organisation()
        place.put(one)
        number = place.number("organisations", one.uuid)

        edit = place.call("POST", f"/organisations/edit/{number}", {"name": ""})
        again = place.call("POST", "/organisations/add", {"name": "x", "uuid": one.uuid})

        assert [edit.status_code, again.status_code] == [500, 500]
        assert edit.json()["message"] == "An Internal Error Has Occurred."

    def test_a_view_by_uuid_and_a_quick_filter_are_500s(self, place):
        one = place.organisation()
        place.put(one)

        assert place.call("GET", f"/organisations/view/{one.uuid}").status_code == 500
        assert place.call("GET", "/organisations/index?quickFilter=x").status_code == 500

    def test_a_filter_that_it_does_not_know_is_ignored(self, place):
        place.put(place.organisation(), place.organisation())

        all_of_them = place.call("GET", "/organisations/index").json()
        filtered = place.call("GET", "/organisations/index?nosuch=x").json()

        assert len(filtered) == len(all_of_them) >= 2

    def test_lists_are_counted_and_cut(self, place):
        place.put(place.organisation(), place.organisation())

        found = place.call("GET", "/organisations/index?limit=1&page=2")

        assert len(found.json()) == 1
        assert int(found.headers["X-Total-Count"]) >= 3
        assert place.call("GET", "/organisations/index?limit=100&page=90").status_code == 404

    def test_who_is_no_community_admin_gets_short_pages_with_the_whole_count(self, place):
        owner = place.organisation()
        place.put(owner)
        for _ in range(2):
            place.directory().put_group(place.group(owner.uuid))

        found = place.call("GET", "/sharingGroups/index?limit=100", Authorization=place.reader_key)

        assert int(found.headers["X-Total-Count"]) >= 2
        assert len(found.json()) < int(found.headers["X-Total-Count"])

    def test_membership_does_not_touch_modified(self, place):
        owner = place.organisation()
        group = place.group(owner.uuid, [owner.uuid])
        place.put(owner)
        there = place.directory()
        there.put_group(group)
        number = place.number("sharingGroups", group.uuid)
        before = place.call("GET", f"/sharingGroups/view/{number}").json()["modified"]

        there.set_members(group.uuid, {owner.uuid: True})

        assert place.call("GET", f"/sharingGroups/view/{number}").json()["modified"] == before

    def test_an_organisation_that_does_not_exist_is_added_to_a_group_without_a_word(self, place):
        owner = place.organisation()
        place.put(owner)
        there = place.directory()
        group = place.group(owner.uuid)
        there.put_group(group)
        number = place.number("sharingGroups", group.uuid)

        found = place.call(
            "POST", f"/sharingGroups/addOrg/{number}", {"organisation_id": [99999999]}
        )

        assert found.json()["success"] is True
        assert found.json()["data"]["sharing_group_orgs"] == []

    def test_a_deletion_answers_an_empty_list_and_takes_groups_along(self, place):
        owner = place.organisation()
        place.put(owner)
        group = place.group(owner.uuid)
        place.directory().put_group(group)
        number = place.number("organisations", owner.uuid)

        found = place.call("POST", f"/organisations/delete/{number}", {})

        assert found.json() == []
        assert place.directory().client.find_group(group.uuid) is None

    # what the client makes of it

    def test_it_says_what_its_key_may_see(self, place):
        admin, reader = place.directory().access(), place.directory(place.reader_key).access()

        assert (admin.reach, admin.may_write) == ("mirror", True)
        assert (reader.reach, reader.may_write) == ("reader", False)
        assert admin.version.startswith("1.")
        assert len(admin.organisation) == 36

    def test_a_key_that_is_not_known_is_said_so_and_not_tried_again(self, place):
        with pytest.raises(Refused) as caught:
            place.directory("0" * 40).fetch()

        assert (caught.value.reason, caught.value.permanent) == ("key-refused", True)

    def test_what_is_put_is_fetched_and_putting_again_changes_nothing(self, place):
        one = place.organisation(
            nationality="Greece", sector="Transport", type="CI operator",
            url="https://metro.example", contacts="soc@metro.example",
        )  # fmt: skip
        other = place.organisation()
        group = place.group(one.uuid, [one.uuid, other.uuid])
        there = place.directory()
        for _ in range(2):
            there.put_organisation(one)
            there.put_organisation(other)
            there.put_group(group)
            there.set_members(group.uuid, group.members)

        found = there.fetch()

        assert found.organisations[one.uuid] == one
        assert found.organisations[one.uuid].contacts == "soc@metro.example"
        assert found.groups[group.uuid] == group
        assert found.groups[group.uuid].fingerprint == group.fingerprint

    def test_contacts_are_part_of_an_organisation(self, place):
        one = place.organisation(contacts="soc@metro.example")
        place.put(one)

        place.put(replace(one, contacts="cert@metro.example"))

        _, found = place.directory().client.find_organisation(one.uuid)
        assert found.contacts == "cert@metro.example"

    def test_meta_fields_are_set_and_what_would_be_refused_is_not_sent(self, place):
        one = place.organisation()
        place.put(one)
        there = place.directory()
        networks = {
            f"{CONSTITUENCY}/IPv4 address": ("192.0.2.0/24", "198.51.100.0/24"),
            f"{CONSTITUENCY}/AS Number": ("AS64500",),
        }
        if not any(field.template == CONSTITUENCY for field in there.client.template_fields()):
            pytest.skip(f"the meta template {CONSTITUENCY} is not enabled there")

        assert there.put_fields(one.uuid, networks | {"No such/field": ("x",)}) == (
            "No such/field",
        )
        moved = networks | {f"{CONSTITUENCY}/IPv4 address": ("203.0.113.0/24",)}
        assert there.put_fields(one.uuid, moved) == ()

        found = there.fetch().organisations[one.uuid]
        assert found.fields == moved
        assert found.constituency == ("203.0.113.0/24", "AS64500")

    def test_a_name_of_many_alphabets_comes_back(self, place):
        one = place.organisation(name='Μετρό "Čačak" <b>&amp; ポスト')
        place.put(one)

        assert place.directory().fetch().organisations[one.uuid].name == one.name

    def test_members_come_go_and_change_their_flag(self, place):
        one, two, three = (place.organisation() for _ in range(3))
        place.put(one, two, three)
        there = place.directory()
        group = place.group(one.uuid)
        there.put_group(group)

        there.set_members(group.uuid, {one.uuid: True, two.uuid: False})
        there.set_members(group.uuid, {one.uuid: False, three.uuid: True})
        there.remove_members(group.uuid, [two.uuid, str(uuid4())])

        _, found = there.client.find_group(group.uuid)
        assert found.members == {one.uuid: False, three.uuid: True}

    def test_a_group_is_edited_but_never_changes_its_owner(self, place):
        one, two = place.organisation(), place.organisation()
        place.put(one, two)
        there = place.directory()
        group = place.group(one.uuid)
        there.put_group(group)

        there.put_group(replace(group, name="eme-renamed", active=False))
        with pytest.raises(DeliveryError) as caught:
            there.put_group(replace(group, owner=two.uuid))

        assert caught.value.reason == "owner-cannot-change"
        _, found = there.client.find_group(group.uuid)
        assert (found.name, found.active, found.owner) == ("eme-renamed", False, one.uuid)

    def test_who_is_not_there_cannot_become_a_member(self, place):
        owner = place.organisation()
        place.put(owner)
        there = place.directory()
        group = place.group(owner.uuid)
        there.put_group(group)

        with pytest.raises(DeliveryError) as caught:
            there.set_members(group.uuid, {str(uuid4()): False})

        assert caught.value.reason == "organisation-missing"

    def test_a_reader_fetches_its_own_groups_and_every_organisation(self, place):
        mine = place.directory(place.reader_key).access().organisation
        other = place.organisation()
        place.put(other)
        there = place.directory()
        shown, hidden = place.group(other.uuid, [mine]), place.group(other.uuid)
        there.put_group(hidden)
        there.put_group(shown)
        there.set_members(shown.uuid, shown.members)

        found = place.directory(place.reader_key).fetch()

        assert other.uuid in found.organisations
        assert shown.uuid in found.groups
        assert hidden.uuid not in found.groups

    def test_many_groups_come_in_pages_and_none_is_lost(self, place, monkeypatch):
        owner = place.organisation()
        place.put(owner)
        there = place.directory()
        groups = [place.group(owner.uuid) for _ in range(5)]
        for one in groups:
            there.put_group(one)
        a_third = len(there.fetch().groups) // 3 + 1
        monkeypatch.setattr("eme_connector.adapters.cerebrate.client.GROUPS_A_PAGE", a_third)

        assert {one.uuid for one in groups} <= there.fetch().groups.keys()

    def test_a_key_is_published_once_and_seen_when_it_is_revoked(self, place):
        owner = place.organisation()
        place.put(owner)
        there = place.directory()
        wanted = EncryptionKey("", "smime", owner.uuid, CERTIFICATE.format(uuid4().hex))

        first, second = there.publish_key(wanted), there.publish_key(wanted)
        place.remove.append(("encryptionKeys", first.uuid))
        assert first == second
        (found,) = [one for one in there.fetch_keys() if one.owner == owner.uuid]
        assert (found.text, found.kind, found.revoked) == (wanted.text, "smime", False)

        there.client.revoke_key(place.number("encryptionKeys", first.uuid))

        (found,) = [one for one in there.fetch_keys() if one.owner == owner.uuid]
        assert (found.revoked, found.is_usable(0)) == (True, False)
        assert there.publish_key(wanted).revoked

    def test_a_key_for_another_organisation_is_refused_to_who_may_not(self, place):
        owner = place.organisation()
        place.put(owner)

        with pytest.raises(Refused) as caught:
            place.directory(place.reader_key).publish_key(
                EncryptionKey("", "smime", owner.uuid, CERTIFICATE.format("QQ"))
            )

        assert (caught.value.reason, caught.value.permanent) == ("not-allowed", True)

    def test_a_person_comes_with_their_organisations(self, place):
        owner = place.organisation()
        place.put(owner)
        uuid = str(uuid4())
        place.remove.append(("individuals", uuid))
        person = {"uuid": uuid, "email": f"{uuid[:8]}@metro.example", "first_name": "Ana",
                  "last_name": "Pop", "position": "analyst"}  # fmt: skip
        number = place.call("POST", "/individuals/add", person).json()["id"]
        aligned = {"individual_id": number, "type": "Member",
                   "organisation_id": place.number("organisations", owner.uuid)}  # fmt: skip
        place.call("POST", f"/alignments/add/individuals/{number}", aligned)

        (found,) = [one for one in place.directory().client.individuals() if one.uuid == uuid]

        assert (found.position, found.organisations) == ("analyst", {owner.uuid})

    def test_broods_inbox_and_outbox_can_be_read(self, place):
        client = place.directory().client

        assert all(one.url.startswith("http") for one in client.broods())
        assert isinstance(client.inbox(), tuple)
        assert isinstance(client.outbox(), tuple)
