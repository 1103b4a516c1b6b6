"""Groups from one Cerebrate to another, which Cerebrate's own sync breaks: doubles, or real ones.

Where EME_TEST_CEREBRATE_A_URL, _KEY, _READER_KEY and B's are set, two real ones run the same.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.cerebrate.place import Place
from tests.doubles.cerebrate import CerebrateServer
from tests.sync.fleet import Relay, rest, words

PARTS = ("URL", "KEY", "READER_KEY")


def real(side):
    found = [os.environ.get(f"EME_TEST_CEREBRATE_{side}_{part}", "") for part in PARTS]
    return Place(*found) if all(found) else None


@pytest.fixture(params=["double", "real"])
def places(request):
    servers = []
    if request.param == "double":
        servers = [CerebrateServer("ONE"), CerebrateServer("TWO")]
        made = [Place(s.url, s.state.key("admin"), s.state.key("reader")) for s in servers]
    else:
        made = [real("A"), real("B")]
        if None in made:
            pytest.skip("no two real Cerebrates (EME_TEST_CEREBRATE_A_URL …, and B's)")
    yield made
    for one in made:
        one.clean()
    for server in servers:
        server.close()


@pytest.fixture
def relay(places, tmp_path):
    here, there = places
    source = here.directory()
    made = Relay(tmp_path, source.fetch, there=there.directory())
    made.here = source
    yield made
    made.close()


@pytest.fixture
def group(places, relay):
    """A group of three in the first Cerebrate, and the relay of it alone."""
    here, there = places
    several = [here.organisation(sector="Energy", url="https://one.example") for _ in range(3)]
    here.put(*several)
    made = here.group(several[0].uuid)
    relay.here.put_group(made)
    relay.here.set_members(made.uuid, {one.uuid: one is several[1] for one in several})
    there.remove += here.remove
    relay.target("there", groups=frozenset({made.uuid}))
    return made


def test_a_group_arrives_with_its_members_and_their_flags(relay, group):
    report = relay.apply()["there"]
    ours, theirs = relay.here.fetch(), relay.directories["there"].fetch()

    assert report.state == "converged"
    assert theirs.groups[group.uuid] == ours.groups[group.uuid]
    for uuid in ours.groups[group.uuid].members:
        assert theirs.organisations[uuid] == ours.organisations[uuid]


def test_additions_removals_and_texts_arrive_and_a_second_cycle_writes_nothing(relay, group):
    relay.apply()
    before = relay.here.fetch().groups[group.uuid]
    gone, kept = sorted(before.members)[0], sorted(before.members)[1]
    relay.here.remove_members(group.uuid, [gone])
    relay.here.set_members(group.uuid, {kept: not before.members[kept]})
    relay.here.put_group(replace(before, description="new", active=False))
    report = relay.apply()["there"]

    assert sorted(words(report)) == [
        "group-active",
        "group-text",
        "member-extend",
        "member-removed",
    ]
    assert (
        relay.directories["there"].fetch().groups[group.uuid]
        == relay.here.fetch().groups[group.uuid]
    )
    runs = relay.store.runs()
    assert relay.apply()["there"].state == "converged"
    assert relay.store.runs() == runs


def test_what_was_added_there_goes_and_can_be_undone(relay, group, places):
    relay.apply()
    other = places[1].organisation()
    places[1].put(other)
    there = relay.directories["there"]
    there.fetch()
    there.set_members(group.uuid, {other.uuid: False})

    assert words(relay.apply()["there"]) == ["member-unknown"]
    relay.undo("there")
    assert other.uuid in there.fetch().groups[group.uuid].members
    assert rest(relay.apply()["there"]) == [("member-unknown", "held")]
