"""Cycles with a store: what is remembered, journalled, resumed, and taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eme_connector.adapters.locks import hold_target
from eme_connector.domain.directory import RemoteOrganisation
from eme_connector.errors import Conflict, NotFound
from eme_connector.sync.undo import LEFT
from eme_connector.usecases.relay_cycle import Office, opened
from eme_connector.usecases.relay_undo import preview_undo
from tests.misp.contract.conftest import _doubles
from tests.sync.directory_contract import directory_of
from tests.sync.fleet import OWN, Relay, Source, rest, words
from tests.sync.model import Cut, Model
from tests.sync.test_properties import unlike
from tests.sync.worlds import dice


@pytest.fixture
def relay(tmp_path):
    made = Relay(tmp_path, Source(), fleet=Model("fleet"))
    made.target("fleet", roaming=True)
    yield made
    made.close()


@pytest.fixture
def model(relay):
    return relay.directories["fleet"]


@pytest.fixture
def trio(relay):
    """Three organisations and the group that they are in, at the source."""
    several = [relay.source.organisation() for _ in range(3)]
    return several, relay.source.group(several[0], *several)


def test_each_change_is_audited_with_who_before_and_after(relay, trio):
    several, group = trio
    relay.apply()
    relay.source.remove(group.uuid, several[2])
    relay.apply()
    event, by, detail = relay.audits()[-1]

    assert (event, by) == ("relayed", "anna")
    assert detail["word"] == "member-removed"
    assert (detail["before"], detail["after"]) == ({"extend": False}, None)
    assert (detail["subject"], detail["member"]) == (f"group/{group.uuid}", several[2].uuid)


def test_a_run_without_anything_to_do_leaves_no_trace(relay, trio):
    relay.apply()
    runs = relay.store.runs()
    relay.apply()

    assert relay.store.runs() == runs


def test_two_runs_never_write_to_one_target(relay, trio):
    target = relay.fleet.targets[0]
    with opened(target, Office(relay.store, lambda: relay.now, OWN, "otto")) as run:
        report = relay.apply()["fleet"]
    assert (report.state, report.reason) == ("failed", "busy")
    assert "otto" in report.detail
    with pytest.raises(Conflict), opened(target, relay.office):
        pass

    relay.now = (run.lease_until + 1) / 1_000_000
    assert relay.apply()["fleet"].state == "converged"


def test_who_holds_the_folder_knows_that_whoever_was_at_it_has_died(relay, trio, tmp_path):
    target = relay.fleet.targets[0]
    office = replace(relay.office, hold=lambda name: hold_target(tmp_path, name))
    with opened(target, office) as dead, pytest.raises(Conflict), opened(target, office):
        pass
    assert relay.store.runs()[0].state == "running"

    with opened(target, office):
        known = {one.id: one.lease_until for one in relay.store.runs()}
    assert known[dead.id] == 0


def test_the_announcement_waits_until_a_later_second(relay, trio):
    relay.apply()

    assert 0.9 < sum(relay.slept) < 1.2


def test_what_failed_is_named_and_tried_again(relay, model, trio):
    several, _ = trio
    model.refuses = lambda action, uuid: "misp-500" if uuid == several[1].uuid else ""
    report = relay.apply()["fleet"]
    assert report.state == "differs"
    assert sorted((one.word, reason) for one, reason in report.outcome.failed) == [
        ("member-missing", "organisation-failed"),
        ("organisation-missing", "misp-500"),
    ]
    assert "relay-failed" in {event for event, *_ in relay.audits()}

    model.refuses = lambda action, uuid: ""
    assert relay.apply()["fleet"].state == "converged"


def test_a_target_that_goes_down_is_left_alone_for_this_cycle(relay, model, trio):
    model.refuses = lambda action, uuid: "unreachable"
    report = relay.apply()["fleet"]

    assert (report.state, report.reason) == ("failed", "unreachable")
    assert model.writes == []


def test_an_announcement_that_failed_is_made_at_the_next_cycle(relay, model, trio):
    model.refuses = lambda action, uuid: "misp-500" if action == "announce" else ""
    relay.apply()
    model.refuses = lambda action, uuid: ""
    report = relay.apply()["fleet"]

    assert words(report) == ["unannounced"]
    assert report.state == "converged"
    assert relay.store.memory("fleet").unannounced == frozenset()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_process_that_dies_at_any_call_is_resumed(relay, model, trio, at, after):
    several, group = trio
    relay.apply()
    relay.source.remove(group.uuid, several[2])
    relay.source.add(group.uuid, relay.source.organisation(), relay.source.organisation())
    relay.source.put(replace(relay.source.groups[group.uuid], description="new"))
    model.writes.clear()
    model.dies_at, model.dies_after = at, after
    with pytest.raises(Cut):
        relay.apply()
    model.dies_at = float("inf")
    assert relay.store.runs()[0].state == "running"
    report = relay.apply()["fleet"]

    assert report.state == "converged"
    assert unlike(relay.source(), model, relay.terms["fleet"]) == []
    assert relay.store.memory("fleet").unannounced == frozenset()
    assert model.writes[-1] == ("announce", group.uuid)
    assert {run.state for run in relay.store.runs()} <= {"done", "failed"}
    written = [one for run in relay.store.runs() for one in relay.store.writes(run.id)]
    assert {one.state for one in written} <= {"done", "failed"}


def test_a_member_that_was_taken_back_at_the_source_is_no_ghost(relay, trio):
    several, group = trio
    relay.apply()
    relay.source.remove(group.uuid, several[2])
    relay.apply()
    assert len(relay.store.memory("fleet").tombstones) == 1
    relay.source.add(group.uuid, several[2])
    relay.apply()

    assert relay.store.memory("fleet").tombstones == frozenset()


# undo


def test_an_undo_takes_back_everything_that_can_be(relay, model, trio):
    several, group = trio
    relay.apply()
    before = dict(model.groups)
    named = dict(model.organisations)
    new = relay.source.organisation()
    relay.source.organisations[several[0].uuid] = replace(several[0], name="Renamed")
    relay.source.remove(group.uuid, several[2])
    relay.source.add(group.uuid, new)
    relay.source.put(replace(relay.source.groups[group.uuid], description="new"))
    relay.apply()
    undone = relay.undo("fleet")

    assert model.groups == before
    assert model.organisations == named | {new.uuid: new}
    assert [reason for _, reason in undone.left] == ["organisation-stays"]
    held = relay.apply()["fleet"].plan.differences
    assert {one.hold for one in held} == {"undone"}
    relay.source.put(replace(relay.source.groups[group.uuid], description="newer"))
    assert {one.subject for one in relay.apply()["fleet"].plan.differences} == {
        f"organisation/{several[0].uuid}"
    }


def test_what_was_changed_since_is_not_undone(relay, model, trio):
    _several, group = trio
    relay.apply()
    relay.source.put(replace(group, description="new"))
    relay.apply()
    model.groups[group.uuid] = replace(model.groups[group.uuid], description="by hand")
    undone = relay.undo("fleet")

    assert [reason for _, reason in undone.left] == ["moved-since"]
    assert model.groups[group.uuid].description == "by hand"


def test_a_group_that_was_made_stays_without_its_members(relay, model, trio):
    _several, group = trio
    relay.apply()
    undone = relay.undo("fleet")

    assert model.groups[group.uuid].members == {}
    assert {reason for _, reason in undone.left} == {"group-stays", "organisation-stays"}
    assert {reason for _, reason in undone.left} <= LEFT.keys()


def test_nothing_is_undone_twice(relay, trio):
    _several, _group = trio
    relay.apply()
    relay.undo("fleet")
    with pytest.raises(NotFound):
        preview_undo(relay.fleet.targets[0], relay.office)


# many targets, many kinds


def test_a_cerebrate_and_two_misps_hold_the_same_after_one_cycle(tmp_path):
    relay = Relay(
        tmp_path,
        Source(),
        one=Model("one"),
        two=Model("two"),
        other=Model("other", "cerebrate"),
    )
    for name in ("one", "two"):
        relay.target(name, roaming=True)
    relay.target("other")
    several = [relay.source.organisation() for _ in range(3)]
    group = relay.source.group(several[0], *several)
    reports = relay.apply()

    assert {one.state for one in reports.values()} == {"converged"}
    held = [dict(one.groups[group.uuid].members) for one in relay.directories.values()]
    assert held == [group.members] * 3
    relay.close()


@pytest.fixture(scope="module")
def pair():
    made = _doubles()
    yield made
    for side in (made.a, made.b):
        side.double.close()


@settings(max_examples=6)
@given(dice, st.randoms())
def test_random_topologies_converge_over_http(pair, tmp_path_factory, dice, random):
    """Names and uuids are fresh for each example: the double keeps what earlier ones left."""
    names: dict[str, str] = {}

    def fresh(uuid):
        return names.setdefault(uuid, f"{random.getrandbits(32):08x}{uuid[8:]}")

    source = Source()
    for snapshot in (dice.source(), dice.source()):
        source.organisations = {
            fresh(uuid): RemoteOrganisation(
                fresh(uuid), f"{one.name} {fresh(uuid)}", one.nationality, one.sector, one.type
            )
            for uuid, one in snapshot.organisations.items()
        }
        source.groups = {
            fresh(uuid): replace(
                one,
                uuid=fresh(uuid),
                name=f"{one.name} {fresh(uuid)}",
                owner=fresh(one.owner),
                members={fresh(member): extend for member, extend in one.members.items()},
            )
            for uuid, one in snapshot.groups.items()
        }
        relay = Relay(
            tmp_path_factory.mktemp("relay"),
            source,
            a=directory_of(pair.a),
            b=directory_of(pair.b),
        )
        relay.sleep = lambda _: pair.clock.advance(2)
        relay.target("a", servers=frozenset({pair.b.url}))
        relay.target("b", roaming=True)
        relay.apply(confirmed=["all"])
        for name, directory in relay.directories.items():
            present = directory.fetch()
            assert unlike(source(), present_model(name, present), relay.terms[name]) == []
            assert all(verdict == "stuck" for _, verdict in rest(relay.diff(name)[name]))
            directory.close()
        relay.close()


def present_model(name, present):
    found = Model(name, "misp", present.servers)
    found.organisations, found.groups = dict(present.organisations), dict(present.groups)
    return found
