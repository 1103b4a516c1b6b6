"""Our Cerebrate, read into this sidecar's directory: over HTTP, from the double."""

from __future__ import annotations

import time

import pytest

from eme_connector.domain.directory import RemoteGroup
from eme_connector.usecases import cerebrate as usecase
from eme_connector.usecases.cerebrate_links import links
from tests.build import CERT, CI, GROUP, OTHER_CI, person


@pytest.fixture
def world(cerebrate):
    """Fill the Cerebrate: three organisations and a group of two."""
    state = cerebrate.state
    numbers = {
        uuid: state.organisation(uuid=uuid, name=name, contacts=f"soc@{name}")["id"]
        for uuid, name in [(CI, "CI-1"), (OTHER_CI, "CI-2"), (CERT, "CERT-1")]
    }
    state.group(numbers[CERT], [numbers[CI], numbers[CERT]], uuid=GROUP, name="Transport")
    return numbers


def section(server, key="admin", **fields):
    return {"url": server.url, "key": server.state.key(key), "every_s": 60, **fields}


@pytest.fixture
def cert(make, cerebrate, world):
    return make(CERT, cerebrate=section(cerebrate))


def turn(sidecar, *confirmed, name="cerebrate"):
    """Do one turn, a minute after the one before."""
    sidecar.clock.tick(60)
    return usecase.run(name, confirmed, caller=person(CERT), system=sidecar.eme)


def members(sidecar, uuid=GROUP):
    return sidecar.eme.topology.groups[uuid].members


def test_organisations_groups_and_meta_fields_are_taken_over(cert, cerebrate, world):
    template = cerebrate.state.templates[1]
    cerebrate.state.meta_field(world[CI], template, "IPv4 address", "192.0.2.0/24")

    found = turn(cert)

    assert (found.state, found.detail["organisations"], found.detail["groups"]) == ("done", 4, 1)
    told = cert.store.directory().organisations[CI]
    assert told.contacts == "soc@CI-1"
    assert told.constituency == ("192.0.2.0/24",)
    assert members(cert) == {CI, CERT}


def test_a_second_reading_changes_nothing_and_writes_nothing_there(cert, cerebrate):
    turn(cert)
    version = cert.store.directory_version()
    writes = len(cerebrate.writes())

    assert turn(cert).detail["changed"] is False
    assert cert.store.directory_version() == version
    assert len(cerebrate.writes()) == writes


def test_a_member_more_and_a_member_less_arrive_in_one_turn(cert, cerebrate, world):
    turn(cert)
    cerebrate.state.members[1, world[OTHER_CI]] = True
    del cerebrate.state.members[1, world[CI]]

    assert turn(cert).detail["held"] == []
    assert members(cert) == {OTHER_CI, CERT}
    assert cert.eme.topology.groups[GROUP].extending == {OTHER_CI}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda there: there.stop(), "unreachable"),
        (lambda there: there.break_next.update({"/sharingGroups": 1}), "failed-or-refused"),
        (lambda there: there.break_next.update({"/encryptionKeys": 1}), "failed-or-refused"),
        (lambda there: there.state.authkeys.clear(), "key-refused"),
    ],
)
def test_a_failure_keeps_what_was_known_and_says_why(cert, cerebrate, spoil, reason):
    good = turn(cert)
    spoil(cerebrate)

    found = turn(cert)

    assert (found.state, found.reason) == ("failed", reason)
    assert found.succeeded_at == good.succeeded_at
    assert found.detail["groups"] == 1
    assert members(cert) == {CI, CERT}


def test_a_list_that_is_shorter_than_its_count_is_not_believed(cert, cerebrate):
    turn(cert)
    cerebrate.hide["organisations"] = 1

    found = turn(cert)

    assert (found.state, found.reason) == ("failed", "list-incomplete")
    assert CI in cert.store.directory().organisations


def test_groups_that_come_and_go_between_two_pages_are_read_again(cert, cerebrate, world):
    for number in range(60):
        cerebrate.state.group(world[CERT], [world[CI]], name=f"Group {number}")
    changes = iter([lambda: cerebrate.state.groups.pop(2)])

    def change(method, path):
        if path.startswith("/sharingGroups/index") and "page=1" in path:
            next(changes, lambda: None)()

    cerebrate.after = change

    assert turn(cert).detail["groups"] == 60


def test_one_that_is_slow_is_given_up(make, cerebrate, world):
    cert = make(CERT, cerebrate=section(cerebrate, timeout_s=0.2))
    cerebrate.slow_s = 1

    assert turn(cert).reason == "timeout"


@pytest.fixture
def crowd(cert, cerebrate, world):
    """Let the group have twelve members."""
    for number in range(10):
        one = cerebrate.state.organisation(name=f"CI-{number + 10}")
        cerebrate.state.members[1, one["id"]] = False
    turn(cert)
    assert len(members(cert)) == 12
    return cert


def lose(cerebrate, several):
    for key in list(cerebrate.state.members)[:several]:
        del cerebrate.state.members[key]


def test_a_list_that_shrank_by_much_waits_until_several_turns_agree(crowd, cerebrate):
    lose(cerebrate, 6)

    first, second = turn(crowd), turn(crowd)
    assert len(members(crowd)) == 12
    (held,) = second.detail["held"]
    assert held["uuid"] == GROUP
    assert held["hold"] == "shrank"
    assert "6 members would go" in held["said"]
    assert first.detail["held"][0]["note"] == "seen in 1 of 3 cycles"

    assert turn(crowd).detail["held"] == []
    assert len(members(crowd)) == 6


def test_a_person_can_say_that_it_is_true(crowd, cerebrate):
    lose(cerebrate, 6)
    turn(crowd)

    assert turn(crowd, GROUP).detail["held"] == []

    assert len(members(crowd)) == 6


def test_a_list_that_comes_back_ends_the_doubt(crowd, cerebrate):
    before = dict(cerebrate.state.members)
    lose(cerebrate, 6)
    turn(crowd)
    turn(crowd)
    cerebrate.state.members.update(before)
    assert turn(crowd).detail["held"] == []
    lose(cerebrate, 6)

    assert turn(crowd).detail["held"][0]["note"] == "seen in 1 of 3 cycles"
    assert len(members(crowd)) == 12


def test_turns_by_hand_one_after_the_other_count_once(crowd, cerebrate):
    lose(cerebrate, 6)
    for _ in range(5):
        found = usecase.run("cerebrate", (), caller=person(CERT), system=crowd.eme)

    assert found.detail["held"]
    assert len(members(crowd)) == 12


def test_an_emptied_group_takes_a_person(crowd, cerebrate):
    lose(cerebrate, 12)
    for _ in range(5):
        found = turn(crowd)

    assert found.detail["held"][0]["hold"] == "would-empty"
    assert len(members(crowd)) == 12
    turn(crowd, GROUP)
    assert members(crowd) == frozenset()


def test_an_emptied_list_is_refused(cert, cerebrate):
    turn(cert)
    cerebrate.short["sharinggroups"] = 0

    for _ in range(5):
        found = turn(cert)

    assert (found.state, found.reason) == ("failed", "RemoteEmptied")
    assert members(cert) == {CI, CERT}
    assert turn(cert, "all").state == "done"
    assert GROUP not in cert.eme.topology.groups
    assert turn(cert).state == "done"


def test_a_group_that_is_gone_is_believed_gone_after_several_turns(cert, cerebrate, world):
    cerebrate.state.group(world[CERT], [world[CI]], name="Stays")
    turn(cert)
    del cerebrate.state.groups[1]

    turn(cert)
    turn(cert)
    assert members(cert) == {CI, CERT}
    turn(cert)

    assert GROUP not in cert.eme.topology.groups
    assert not [one for one in cert.store.told_by("cerebrate")
                if isinstance(one.what, RemoteGroup) and one.what.uuid == GROUP]  # fmt: skip


def test_an_organisation_that_is_gone_stays_known(cert, cerebrate, world):
    turn(cert)
    del cerebrate.state.organisations[world[OTHER_CI]]

    turn(cert)

    assert OTHER_CI in cert.store.directory().organisations


def test_every_group_that_changed_has_a_line_in_the_audit_log(cert, cerebrate, world):
    turn(cert)
    cerebrate.state.members[1, world[OTHER_CI]] = False
    turn(cert)

    found = audit(cert, "group-told")

    assert [one["uuid"] for one in found] == [GROUP, GROUP]
    assert found[1]["differences"] == [{"word": "member-missing", "member": OTHER_CI}]


def audit(sidecar, event):
    import json

    from sqlalchemy import select

    from eme_connector.adapters.database.tables import audit as table

    query = select(table.c.detail).where(table.c.event == event).order_by(table.c.id)
    return [json.loads(row.detail) for row in sidecar.store._all(query)]


def test_a_reader_reads_its_own_groups(make, cerebrate, world):
    cerebrate.state.users[2]["organisation_id"] = world[CI]
    cerebrate.state.group(world[CERT], [world[OTHER_CI]], name="Hidden")
    ci = make(CERT, cerebrate=section(cerebrate, "reader"))

    found = turn(ci)

    assert found.detail["reach"] == "reader"
    assert [one.name for one in ci.store.directory().groups.values()] == ["Transport"]


def test_a_key_that_sees_its_own_organisation_only_is_refused(make, cerebrate, world):
    sidecar = make(CERT, cerebrate=section(cerebrate, "nobody"))

    found = turn(sidecar)

    assert (found.state, found.reason) == ("failed", "key-sees-too-little")


def test_without_the_section_there_is_nothing(make):
    sidecar = make(CERT)

    assert usecase.jobs(sidecar.eme) == ()
    assert links(caller=person(CERT), system=sidecar.eme) == ()


def test_the_schedule_of_a_running_sidecar_reads_it(cert):
    schedule = cert.eme.schedule()
    schedule.start()
    until = time.monotonic() + 20
    try:
        while not any(one.state == "done" for one in cert.store.turns()):
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        schedule.stop()

    assert members(cert) == {CI, CERT}


# keys


def test_our_certificate_is_published_once(cert, cerebrate, world):
    assert turn(cert).detail["own_key"] == "published"
    assert turn(cert).detail["own_key"] == "published"

    (row,) = cerebrate.state.keys.values()
    assert (row["type"], row["owner_id"]) == ("smime", world[CERT])
    assert row["encryption_key"] == cert.eme.signer.certificate


def test_a_refusal_to_take_it_does_not_keep_us_from_reading(make, cerebrate, world):
    sidecar = make(CERT, cerebrate=section(cerebrate, "reader"))

    found = turn(sidecar)

    assert found.state == "done"
    assert (found.detail["own_key"], found.detail["own_key_refused"]) == ("refused", "not-allowed")


def test_revoked_it_is_not_published_again(cert, cerebrate):
    turn(cert)
    cerebrate.state.keys[1]["revoked"] = True

    assert turn(cert).detail["own_key"] == "revoked"
    assert turn(cert).detail["own_key"] == "revoked"
    assert len(cerebrate.state.keys) == 1


def test_publishing_can_be_switched_off(make, cerebrate, world):
    sidecar = make(CERT, cerebrate=section(cerebrate, publish_key=False))

    assert turn(sidecar).detail["own_key"] == "off"
    assert cerebrate.state.keys == {}


def test_a_peer_is_revoked_within_one_turn_of_its_revocation_there(make, cert, cerebrate, world):
    from tests.delivery.conftest import introduce

    ci = make(CI)
    peer = introduce(ci, cert, "http://127.0.0.1:9")
    key = cerebrate.state.encryption_key(world[CI], ci.eme.signer.certificate)
    turn(cert)
    assert cert.store.find_peer(peer.fingerprint).revoked_at is None

    key["revoked"] = True
    found = turn(cert)

    assert found.detail["revoked_peers"] == [CI]
    assert cert.store.find_peer(peer.fingerprint).revoked_at is not None
    assert f"peer:{CI}" not in cert.eme.channels()


def test_a_revocation_counts_although_the_groups_cannot_be_read(make, cert, cerebrate, world):
    from tests.delivery.conftest import introduce

    ci = make(CI)
    peer = introduce(ci, cert, "http://127.0.0.1:9")
    key = cerebrate.state.encryption_key(world[CI], ci.eme.signer.certificate)
    turn(cert)
    key["revoked"] = True
    cerebrate.break_next["/sharingGroups"] = 1

    assert turn(cert).state == "failed"

    assert cert.store.find_peer(peer.fingerprint).revoked_at is not None
