"""Each difference by its name, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eme_connector.domain.directory import GroupServer, RemoteGroup, RemoteOrganisation, Snapshot
from eme_connector.domain.relay import Doubt, Memory, Tombstone
from eme_connector.errors import RemoteEmptied
from eme_connector.sync.engine import plan
from eme_connector.sync.organisations import fingerprint
from eme_connector.sync.steps import HOLDS, WORDS
from eme_connector.sync.terms import Terms

A, B, C, D = (f"a000000{n}-0000-4000-8000-000000000000" for n in range(4))
G, H, K = (f"b000000{n}-0000-4000-8000-000000000000" for n in range(3))
CERT, PARTNER = "https://misp.cert.example", "https://misp.partner.example"
TERMS = Terms("fleet", servers=frozenset({CERT}), cycles=3, spacing=10)
OURS = frozenset({GroupServer(""), GroupServer(CERT)})
ALL = {u: RemoteOrganisation(u, f"Organisation {u[:8]}", sector="Energy") for u in (A, B, C, D)}
SOURCE = RemoteGroup(G, "Trams", A, {A: True, B: False}, "members", "of the city")
THERE = replace(SOURCE, servers=OURS)
seen_words: set[str] = set()
seen_holds: set[str] = set()


def snapshot(*groups, organisations=ALL, servers=("", CERT)):
    return Snapshot(dict(organisations), {one.uuid: one for one in groups}, frozenset(servers))


def planned(source, there, *, memory=None, terms=TERMS, at=0, confirmed=()):
    """Return the plan; *source* and *there* are groups or whole snapshots."""
    sides = [one if isinstance(one, Snapshot) else snapshot(*one) for one in (source, there)]
    memory = memory if memory is not None else Memory()
    found = plan(sides[0], sides[1], memory, terms, at=at, confirmed=confirmed)
    for one in (*found.differences, *found.left):
        seen_words.add(one.word)
        seen_holds.add(one.hold)
    return found


def told(found, *, left=False):
    """Return (word, kind, verdict) of each difference."""
    return [
        (one.word, one.kind, one.verdict) for one in (found.left if left else found.differences)
    ]


def actions(found):
    return [(one.action, one.uuid) for one in found.calls]


def agreed(*groups, **more):
    return Memory(dict(ALL), {one.uuid: one for one in groups}, **more)


def test_what_is_equal_needs_no_call():
    found = planned([SOURCE], [THERE])

    assert found.is_converged
    assert found.calls == ()


def test_a_new_group_comes_with_its_organisations_and_is_announced_last():
    few = {A: ALL[A]}
    found = planned([SOURCE], snapshot(organisations=few))

    assert told(found) == [
        ("organisation-missing", "add", "do"),
        ("group-missing", "add", "do"),
        ("member-missing", "add", "do"),
        ("member-missing", "add", "do"),
    ]
    assert actions(found) == [
        ("put-organisation", B),
        ("put-group", G),
        ("set-members", G),
        ("announce", G),
    ]
    assert found.calls[1].group == replace(THERE, members=SOURCE.members)


def test_a_member_that_the_source_removed_goes_at_once():
    before = replace(THERE, members={**SOURCE.members, C: False})
    found = planned([SOURCE], [before], memory=agreed(before))

    assert told(found) == [("member-removed", "remove", "do")]
    assert actions(found) == [("remove-members", G), ("announce", G)]


def test_a_member_that_came_back_is_called_so():
    there = replace(THERE, members={**SOURCE.members, C: False})
    memory = agreed(THERE, tombstones=frozenset({Tombstone(G, C, 1, came_back=1)}))
    found = planned([SOURCE], [there], memory=memory)

    assert told(found) == [("member-resurrected", "remove", "do")]
    assert found.differences[0].note == "came back 2 times"


def test_a_member_that_somebody_added_at_the_target_goes_too():
    there = replace(THERE, members={**SOURCE.members, C: False})

    assert told(planned([SOURCE], [there], memory=agreed(THERE))) == [
        ("member-unknown", "remove", "do")
    ]


def test_an_extend_flag_is_as_the_source_says():
    there = replace(THERE, members={A: False, B: False})
    found = planned([SOURCE], [there], memory=agreed(THERE))

    assert told(found) == [("member-extend", "update", "do")]
    assert found.calls[0].members == {A: True}


def test_texts_changed_on_both_sides_are_a_conflict():
    source = replace(SOURCE, description="of the region")
    there = replace(THERE, description="by hand")
    found = planned([source], [there], memory=agreed(THERE))

    assert told(found) == [("group-text", "conflict", "do")]
    assert found.differences[0].before == {"description": "by hand"}
    assert found.calls[0].group == replace(THERE, description="of the region")


def test_nobody_can_change_an_owner_or_switch_a_group_off_in_misp():
    there = replace(THERE, owner=B)
    found = planned([replace(SOURCE, active=False)], [there])
    cerebrate = planned(
        [replace(SOURCE, active=False)],
        [SOURCE],
        terms=replace(TERMS, kind="cerebrate", servers=frozenset()),
    )

    assert told(found) == [
        ("group-owner", "update", "stuck"),
        ("group-active", "update", "stuck"),
    ]
    assert found.calls == ()
    assert told(cerebrate) == [("group-active", "update", "do")]


def test_servers_are_added_once_the_target_knows_them():
    alone = replace(THERE, servers=frozenset({GroupServer("", all_orgs=True)}))
    unknown = planned([SOURCE], snapshot(alone, servers=[""]))
    known = planned([SOURCE], [alone])

    assert told(unknown) == [
        ("group-servers", "update", "do"),
        ("server-unknown", "add", "stuck"),
    ]
    assert told(known) == [("group-servers", "update", "do")]
    assert known.calls[0].group.servers == OURS


def test_other_servers_are_the_targets_own_business_unless_we_put_them_there():
    partner = GroupServer(PARTNER)
    there = replace(THERE, servers=OURS | {partner})
    theirs = planned([SOURCE], [there], memory=agreed(THERE))
    ours = planned([SOURCE], [there], memory=agreed(there))

    assert theirs.is_converged
    assert told(theirs, left=True) == [("server-here-only", "keep-local", "leave")]
    assert told(ours) == [("server-surplus", "remove", "stuck")]


def test_roaming_is_what_the_configuration_says():
    roaming = replace(TERMS, roaming=True, servers=frozenset())
    found = planned([SOURCE], [THERE], terms=roaming)

    assert told(found) == [("group-roaming", "update", "do")]
    assert found.calls[0].group == replace(THERE, roaming=True)


def test_an_organisation_keeps_what_the_source_says_nothing_about():
    quiet = {**ALL, B: replace(ALL[B], sector="", name="Renamed")}
    local = {**ALL, B: replace(ALL[B], sector="Water", nationality="Greece", local=True)}
    found = planned(snapshot(SOURCE, organisations=quiet), snapshot(THERE, organisations=local))

    assert told(found) == [("organisation-differs", "update", "do")]
    assert found.calls[0].organisation == replace(local[B], name="Renamed")


def test_what_the_source_takes_back_is_taken_back_at_the_target():
    quiet = {**ALL, B: replace(ALL[B], sector="")}
    found = planned(snapshot(SOURCE, organisations=quiet), [THERE], memory=agreed(THERE))

    assert found.differences[0].after == {"sector": ""}


def test_an_organisation_whose_name_is_taken_gets_a_suffix():
    other = RemoteOrganisation(D, ALL[B].name)
    there = {A: ALL[A], D: other}
    found = planned(snapshot(SOURCE), snapshot(organisations=there))

    assert told(found)[0] == ("name-taken", "add", "do")
    assert found.calls[0].organisation.name == f"{ALL[B].name}_{B[:8]}"
    assert D not in [one.uuid for one in found.calls]


def test_organisations_that_swap_names_pass_through_a_suffix():
    source = {**ALL, A: replace(ALL[A], name="Two"), B: replace(ALL[B], name="One")}
    there = {**ALL, A: replace(ALL[A], name="One"), B: replace(ALL[B], name="Two")}
    found = planned(snapshot(SOURCE, organisations=source), snapshot(THERE, organisations=there))
    names = [(one.uuid, one.organisation.name) for one in found.calls]

    assert names == [(B, f"One_{B[:8]}"), (A, "Two"), (B, "One")]


def test_who_is_unknown_to_both_sides_is_named():
    few = {A: ALL[A]}
    orphan = replace(SOURCE, uuid=H, name="Other", owner=D, members={})
    found = planned(snapshot(SOURCE, orphan, organisations=few), snapshot(organisations=few))

    assert ("member-unnamed", "add", "stuck") in told(found)
    assert ("group-without-owner", "add", "stuck") in told(found)


def test_what_only_the_target_has_is_left_alone():
    local = replace(THERE, uuid=H, name="Local")
    narrow = replace(TERMS, groups=frozenset({G}))
    found = planned([SOURCE, replace(SOURCE, uuid=K, name="Third")],
                    [THERE, local, replace(THERE, uuid=K, name="Third")], terms=narrow)  # fmt: skip
    alone = planned(
        snapshot(SOURCE, organisations={A: ALL[A], B: ALL[B]}), [THERE], memory=agreed(THERE)
    )

    assert found.is_converged
    assert told(found, left=True) == [
        ("group-here-only", "keep-local", "leave"),
        ("group-not-relayed", "keep-local", "leave"),
    ]
    assert told(alone, left=True) == [("organisation-here-only", "keep-local", "leave")] * 2


def test_what_was_not_announced_is_announced_later():
    found = planned([SOURCE], [THERE], memory=agreed(THERE, unannounced=frozenset({G})))

    assert told(found) == [("unannounced", "update", "do")]
    assert actions(found) == [("announce", G)]


# doubts


def many(n):
    return {f"c000{i:04d}-0000-4000-8000-000000000000": False for i in range(n)}


def crowd(members):
    return {u: RemoteOrganisation(u, u) for u in members} | ALL


def test_a_list_that_shrank_waits_until_it_was_seen_often_enough():
    big = replace(THERE, members={A: True, **many(8)})
    small = replace(SOURCE, members={A: True, **many(4)})
    sides = (
        snapshot(small, organisations=crowd(many(8))),
        snapshot(big, organisations=crowd(many(8))),
    )
    memory = agreed(big)
    verdicts = []
    for at in (0, 5, 10, 20):
        found = planned(*sides, memory=memory, at=at)
        verdicts.append({one.verdict for one in found.differences})
        memory = replace(memory, doubts={one.subject: one for one in found.doubts})
    again = planned(*sides, memory=agreed(big), confirmed=[G])

    assert verdicts == [{"held"}, {"held"}, {"held"}, {"do"}]
    assert {one.verdict for one in again.differences} == {"do"}


def test_a_doubt_begins_anew_when_the_source_says_something_else():
    big = replace(THERE, members={A: True, **many(8)})
    doubt = Doubt(f"group/{G}", "shrank", "another fingerprint", 2, 0, 0)
    found = planned(
        snapshot(replace(SOURCE, members={A: True}), organisations=crowd(many(8))),
        snapshot(big, organisations=crowd(many(8))),
        memory=agreed(big, doubts={doubt.subject: doubt}),
        at=100,
    )

    assert found.count("held") == 8
    assert found.differences[0].note == "seen in 1 of 3 cycles"


def test_additions_do_not_wait_for_doubted_removals():
    big = replace(THERE, members={A: True, **many(8)})
    found = planned(
        snapshot(replace(SOURCE, members={A: True, B: False}), organisations=crowd(many(8))),
        snapshot(big, organisations=crowd(many(8))),
        memory=agreed(big),
    )

    assert [one.word for one in found.steps] == ["member-missing"]
    assert found.count("held") == 8


def test_a_group_is_never_emptied_by_waiting():
    memory = agreed(THERE)
    for at in range(0, 100, 10):
        found = planned([replace(SOURCE, members={})], [THERE], memory=memory, at=at)
        assert [one.hold for one in found.differences] == ["would-empty"] * 2
        memory = replace(memory, doubts={one.subject: one for one in found.doubts})

    assert planned([replace(SOURCE, members={})], [THERE], memory=memory, confirmed=[G]).calls


def test_a_source_that_shrank_everywhere_waits_for_a_person():
    groups = [replace(THERE, uuid=u, name=u, members={A: True, **many(8)}) for u in (G, H, K)]
    source = [replace(SOURCE, uuid=u, name=u, members={A: True, **many(4)}) for u in (G, H, K)]
    everybody = crowd(many(8))
    sides = (snapshot(*source, organisations=everybody), snapshot(*groups, organisations=everybody))
    memory = agreed(*groups)
    for at in range(0, 100, 10):
        found = planned(*sides, memory=memory, at=at)
        assert {one.hold for one in found.differences} == {"source-shrank"}
        memory = replace(memory, doubts={one.subject: one for one in found.doubts})


def test_a_source_that_lists_nothing_is_refused():
    with pytest.raises(RemoteEmptied, match="none of the 1 groups"):
        planned([], [THERE], memory=agreed(THERE))
    with pytest.raises(RemoteEmptied, match="organisation"):
        planned(snapshot(SOURCE, organisations={}), [THERE], memory=agreed(THERE))


def test_a_group_that_is_gone_keeps_its_owner_alone_after_some_cycles():
    gone = replace(THERE, uuid=H, name="Gone")
    memory = agreed(THERE, gone)
    for at in (0, 10):
        found = planned([SOURCE], [THERE, gone], memory=memory, at=at)
        assert [(one.word, one.hold) for one in found.differences] == [
            ("group-gone", "gone"),
            ("member-removed", "gone"),
        ]
        memory = replace(memory, doubts={one.subject: one for one in found.doubts})
    found = planned([SOURCE], [THERE, gone], memory=memory, at=20)
    retired = replace(gone, members={A: True})
    after = planned(
        [SOURCE], [THERE, retired], memory=agreed(THERE, replace(retired, active=False))
    )

    assert told(found) == [("member-removed", "remove", "do")]
    assert actions(found) == [("remove-members", H), ("announce", H)]
    assert after.is_converged
    assert told(after, left=True) == [("group-gone", "remove", "leave")]


def test_what_a_person_undid_waits_until_the_source_changes():
    doubt = Doubt(f"group/{G}", "undone", SOURCE.fingerprint, 0, 0, 0)
    other = Doubt(f"organisation/{B}", "undone", fingerprint(ALL[B], TERMS), 0, 0, 0)
    memory = Memory(doubts={one.subject: one for one in (doubt, other)})
    there = snapshot(organisations={A: ALL[A]})
    held = planned([SOURCE], there, memory=memory)
    changed = planned([replace(SOURCE, description="new")], there, memory=memory)

    assert {one.hold for one in held.differences} == {"undone"}
    assert held.calls == ()
    assert {one.uuid for one in changed.differences if one.hold} == {B}
    assert planned([SOURCE], there, memory=memory, confirmed=["all"]).count("held") == 0


def test_only_what_is_new_is_taken_where_the_terms_say_so():
    new = replace(SOURCE, uuid=H, name="New")
    there = replace(THERE, members={A: True})
    found = planned([SOURCE, new], [there], terms=replace(TERMS, only_new=True))

    assert {one.uuid for one in found.differences} == {H}
    assert ("member-missing", "add", "leave") in told(found, left=True)


def test_equal_plans_have_one_digest_and_others_another():
    there = replace(THERE, members={A: True})
    one = planned([SOURCE], [there])

    assert one.digest == planned([SOURCE], [there], at=99).digest
    assert one.digest != planned([SOURCE], [replace(there, description="x")]).digest


def test_every_word_and_every_hold_was_met_above():
    """Runs last in this file: a word that nothing produces is one too many."""
    assert set(WORDS) - seen_words == set()
    assert seen_words - set(WORDS) == set()
    assert seen_holds - {""} == set(HOLDS)
