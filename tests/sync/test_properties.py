"""Whatever the source and the target look like, they are the same after one cycle."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from eme_connector.domain.relay import Memory
from eme_connector.errors import RemoteEmptied
from eme_connector.sync.after import after
from eme_connector.sync.agree import agree
from eme_connector.sync.engine import plan
from eme_connector.sync.relay import apply
from tests.sync.model import Cut, Model, Notes
from tests.sync.worlds import dice

MANY = settings(max_examples=settings().max_examples * 5)


def world_of(dice):
    how = dice.terms()
    return how, dice.source(), dice.model(how)


def cycle(source, model, how, memory, *, confirmed=("all",), at=0):
    """Run one cycle as the use case does; return its plan, its outcome and the new memory."""
    found = plan(source, model.fetch(), memory, how, at=at, confirmed=confirmed)
    outcome = apply(found, model, Notes(), sleep=lambda _: None)
    organisations, groups = agree(source, model.fetch(), memory, how, found)
    doubts = {one.subject: one for one in found.doubts}
    return found, outcome, Memory(organisations, groups, doubts=doubts)


@MANY
@given(dice)
def test_what_is_held_after_successful_calls_is_known_without_a_look(dice):
    how, source, model = world_of(dice)
    present = model.fetch()
    found = plan(source, present, Memory(), how, at=0, confirmed=["all"])
    outcome = apply(found, model, Notes(), sleep=lambda _: None)

    assert outcome.failed == []
    assert after(present, found.calls) == model.fetch()


def unlike(source, model, how):
    """Return what differs between source and target, told without the engine."""
    found = []
    for uuid, one in source.groups.items():
        if how.groups and uuid not in how.groups:
            continue
        there = model.groups.get(uuid)
        if there is None:
            found.append((uuid, "missing"))
            continue
        if dict(there.members) != dict(one.members):
            found.append((uuid, "members", there.members, one.members))
        if how.kind == "misp":
            urls = {server.url for server in there.servers}
            if there.roaming != how.roaming:
                found.append((uuid, "roaming"))
            if not how.roaming and not {"", *(how.servers & model.servers)} <= urls:
                found.append((uuid, "servers", urls))
            if any(server.all_orgs for server in there.servers if server.url == ""):
                found.append((uuid, "all organisations"))
        elif (there.active, there.description) != (one.active, one.description):
            found.append((uuid, "text"))
        if not there.name.startswith((one.name.strip() or uuid)[:4]):
            found.append((uuid, "name", there.name, one.name))
    return found


@MANY
@given(dice)
def test_after_one_cycle_the_target_is_as_the_source(dice):
    how, source, model = world_of(dice)
    cycle(source, model, how, Memory())

    assert unlike(source, model, how) == []


@MANY
@given(dice)
def test_a_second_cycle_writes_nothing(dice):
    how, source, model = world_of(dice)
    *_, memory = cycle(source, model, how, Memory())
    before = len(model.writes)
    found, _, after = cycle(source, model, how, memory, confirmed=())

    assert len(model.writes) == before
    assert found.steps == ()
    assert all(one.verdict == "stuck" for one in found.differences)
    assert (after.groups, after.organisations) == (memory.groups, memory.organisations)


@MANY
@given(dice)
def test_a_change_at_the_source_arrives_in_one_cycle(dice):
    how, source, model = world_of(dice)
    later = dice.source()
    *_, memory = cycle(source, model, how, Memory())
    cycle(later, model, how, memory)

    assert unlike(later, model, how) == []
    for uuid in memory.groups.keys() - later.groups.keys():
        assert set(model.groups[uuid].members) <= {model.groups[uuid].owner}


@MANY
@given(dice, st.integers(1, 40), st.booleans())
def test_what_is_interrupted_anywhere_ends_in_the_same_state(dice, at, after):
    how, source, model = world_of(dice)
    later = dice.source()
    *_, memory = cycle(source, model, how, Memory())
    twin = _twin(model)
    cycle(later, twin, how, memory)

    model.writes.clear()
    model.dies_at, model.dies_after = at, after
    owed = frozenset()
    try:
        cycle(later, model, how, memory)
    except Cut:
        owed = frozenset(later.groups)
    model.dies_at = float("inf")
    resumed = Memory(memory.organisations, memory.groups, unannounced=owed)
    cycle(later, model, how, resumed)

    assert model.groups == twin.groups
    assert model.organisations == twin.organisations
    if how.kind == "misp":
        changed = {uuid for action, uuid in model.writes if action.endswith("-members")}
        for uuid in changed & later.groups.keys():
            last = [action for action, one in model.writes if one == uuid]
            assert last[-1] == "announce"


@MANY
@given(dice)
def test_nothing_of_the_target_is_deleted_or_taken_from_others(dice):
    how, source, model = world_of(dice)
    before = {uuid: one for uuid, one in model.groups.items() if uuid not in source.groups}
    organisations = dict(model.organisations)
    cycle(source, model, how, Memory())

    assert {uuid: model.groups[uuid] for uuid in before} == before
    assert organisations.keys() <= model.organisations.keys()
    for uuid in organisations.keys() - source.organisations.keys():
        assert model.organisations[uuid] == organisations[uuid]


@MANY
@given(dice)
def test_nobody_is_emptied_without_a_person(dice):
    how, source, model = world_of(dice)
    later = dice.source()
    *_, memory = cycle(source, model, how, Memory())
    before = {uuid: set(one.members) for uuid, one in model.groups.items()}
    for at in range(1, 6):
        try:
            *_, memory = cycle(later, model, how, memory, confirmed=(), at=at)
        except RemoteEmptied:
            break

    emptied = {u for u, one in model.groups.items() if before.get(u) and not one.members}
    assert emptied == set()


def _twin(model):
    twin = Model(model.name, model.kind, model.servers)
    twin.organisations.update(model.organisations)
    twin.groups.update(model.groups)
    return twin
