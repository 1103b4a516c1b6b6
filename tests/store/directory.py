"""What every store has to do with what Cerebrates tell of organisations, groups and keys."""

from __future__ import annotations

from dataclasses import replace

from eme_connector.domain.directory import (
    EncryptionKey,
    GroupServer,
    RemoteGroup,
    RemoteOrganisation,
    Snapshot,
)
from tests.build import AT, CERT, CI, GROUP, OTHER_CI

ORGANISATION = RemoteOrganisation(
    CI, "CI-1", sector="transport", fields={"EME/eme_role": ("ci", "ατε")}
)
MEMBERS = RemoteGroup(
    GROUP,
    "Trams",
    CERT,
    members={OTHER_CI: False, CI: True},
    servers=frozenset({GroupServer("https://b"), GroupServer("https://a", True)}),
)
KEY = EncryptionKey("55555555-5555-4555-8555-555555555555", "pgp", CERT, "armour", expires=9)


def snapshot_of(*things):
    return Snapshot(
        {one.uuid: one for one in things if isinstance(one, RemoteOrganisation)},
        {one.uuid: one for one in things if isinstance(one, RemoteGroup)},
    )


def save(store, source, *things, at=AT):
    return store.transact(lambda tx: [tx.save_entry(source, one, at) for one in things])


class DirectoryContract:
    """Mixed into the store's contract."""

    def test_what_a_cerebrate_tells_comes_back_whole(self, store):
        assert save(store, "a", ORGANISATION, MEMBERS, KEY) == [True, True, True]

        assert store.directory() == snapshot_of(ORGANISATION, MEMBERS)
        assert store.directory().organisations[CI].fields == {"EME/eme_role": ("ci", "ατε")}
        assert store.encryption_keys() == store.encryption_keys(CERT) == (KEY,)
        assert store.encryption_keys(CI) == ()

    def test_telling_the_same_again_is_no_change(self, store):
        save(store, "a", ORGANISATION, MEMBERS)
        before = store.directory_version()
        again = replace(MEMBERS, members={CI: True, OTHER_CI: False})

        assert save(store, "a", ORGANISATION, again, at=AT + 5) == [False, False]
        assert store.directory_version() == before

    def test_all_that_a_source_tells_can_be_read_believed_or_not(self, store):
        save(store, "b", MEMBERS)
        save(store, "a", replace(MEMBERS, name="Others"), KEY, at=AT + 5)

        assert {one.what.name for one in store.told_by("a") if one.what != KEY} == {"Others"}
        assert KEY in [one.what for one in store.told_by("a")]
        assert len(store.told_by("b")) == 1
        assert store.told_by("c") == ()

    def test_a_change_is_heard_and_counted(self, store):
        heard = []
        stop = store.subscribe(heard.append)
        save(store, "a", MEMBERS)
        first = store.directory_version()
        save(store, "a", replace(MEMBERS, members={}), at=AT + 5)
        stop()

        assert [one for one in heard if "directory" in one] == [frozenset({"directory"})] * 2
        assert store.directory_version() > first
        assert store.directory().groups[GROUP].members == {}

    def test_a_second_cerebrate_cannot_change_who_is_in_a_group(self, store):
        save(store, "b", MEMBERS)
        save(store, "a", replace(MEMBERS, members={CERT: True}), at=AT + 5)
        save(store, "b", replace(MEMBERS, description="new"), at=AT + 9)

        (entry,) = store.directory_entries()
        assert (entry.source, entry.since, entry.at) == ("b", AT, AT + 9)
        assert entry.what == replace(MEMBERS, description="new")
        assert store.transact(lambda tx: tx.find_entry(RemoteGroup, GROUP)) == entry

    def test_what_the_first_one_forgets_the_second_one_tells(self, store):
        other = replace(MEMBERS, members={CERT: True})
        save(store, "b", MEMBERS)
        save(store, "a", other, at=AT + 5)

        assert store.transact(lambda tx: tx.remove_entry("b", RemoteGroup, GROUP))
        assert store.directory().groups == {GROUP: other}
        assert store.transact(lambda tx: tx.remove_entry("a", RemoteGroup, GROUP))
        assert not store.transact(lambda tx: tx.remove_entry("a", RemoteGroup, GROUP))
        assert store.transact(lambda tx: tx.find_entry(RemoteGroup, GROUP)) is None

    def test_a_new_picture_takes_the_place_of_the_old_one_of_that_source(self, store):
        save(store, "a", ORGANISATION, MEMBERS, KEY)
        save(store, "b", replace(ORGANISATION, uuid=OTHER_CI))
        fresh = snapshot_of(replace(ORGANISATION, name="CI-one"))

        def take(tx):
            return tx.replace_entries("a", fresh, [], AT + 5)

        assert store.transact(take) is True
        assert store.transact(take) is False
        assert store.directory().organisations[CI].name == "CI-one"
        assert set(store.directory().organisations) == {CI, OTHER_CI}
        assert store.directory().groups == {}
        assert store.encryption_keys() == ()
        assert {entry.since for entry in store.directory_entries()} == {AT}

    def test_a_key_that_one_cerebrate_calls_revoked_is_revoked(self, store):
        save(store, "a", KEY)
        save(store, "b", replace(KEY, revoked=True), at=AT + 5)

        assert store.encryption_keys(CERT) == (replace(KEY, revoked=True),)
