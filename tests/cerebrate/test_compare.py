"""Two directories beside each other."""

from __future__ import annotations

from dataclasses import replace

from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation, Snapshot
from eme_connector.sync.compare import Side, compare

A = RemoteOrganisation("a", "Alpha", sector="Energy")
B = RemoteOrganisation("b", "Beta")
C = RemoteOrganisation("c", "Gamma")
GROUP = RemoteGroup("g", "Trams", "a", {"a": True, "b": False}, description="d")


def snapshot(*things):
    return Snapshot(
        {one.uuid: one for one in things if isinstance(one, RemoteOrganisation)},
        {one.uuid: one for one in things if isinstance(one, RemoteGroup)},
    )


def test_every_entry_of_either_side_has_a_row_by_name():
    rows = compare(snapshot(B, A, GROUP), snapshot(C, replace(A, sector="Transport")))

    assert [(one.kind, one.name, one.state) for one in rows] == [
        ("organisation", "Alpha", "differs"),
        ("organisation", "Beta", "only-there"),
        ("organisation", "Gamma", "only-here"),
        ("group", "Trams", "only-there"),
    ]
    assert rows[0].sides == (Side("sector", "Energy", "Transport"),)
    assert rows[3].members == 2


def test_what_is_equal_is_the_same_whatever_its_contacts_are():
    assert [one.state for one in compare(snapshot(A, GROUP), snapshot(A, GROUP))] == ["same"] * 2
    (row,) = compare(snapshot(A), snapshot(replace(A, contacts="soc@alpha.example")))
    assert row.state == "same"


def test_members_are_named_on_the_side_that_has_them():
    here = replace(GROUP, members={"a": False, "c": True}, description="other")

    row = compare(snapshot(A, B, C, GROUP), snapshot(A, B, C, here))[-1]

    assert row.sides == (
        Side("description", "d", "other"),
        Side("members", "Beta", "Gamma"),
        Side("may extend", "Alpha", ""),
    )
