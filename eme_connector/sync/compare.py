"""Two directories beside each other, for people who look before anything is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation, Snapshot

State = Literal["same", "differs", "only-there", "only-here"]
_ORGANISATION = ("name", "nationality", "sector", "type", "url")
_GROUP = ("name", "releasability", "description", "active", "owner")


@dataclass(frozen=True, slots=True)
class Side:
    """One thing that differs: what it is called, what is there and what is here."""

    field: str
    there: str
    here: str


@dataclass(frozen=True, slots=True)
class Row:
    """An organisation or a group, and how the two sides have it."""

    kind: Literal["organisation", "group"]
    uuid: str
    name: str
    state: State
    sides: tuple[Side, ...] = ()
    members: int = 0


def compare(there: Snapshot, here: Snapshot) -> tuple[Row, ...]:
    """Return a row for every organisation, then every group, of either side; by name."""
    known = {**here.organisations, **there.organisations}
    names = {uuid: one.name for uuid, one in known.items()}
    rows = []
    for uuid in there.organisations.keys() | here.organisations.keys():
        rows.append(_organisation(there.organisations.get(uuid), here.organisations.get(uuid)))
    for uuid in there.groups.keys() | here.groups.keys():
        rows.append(_group(there.groups.get(uuid), here.groups.get(uuid), names))
    order = {"organisation": 0, "group": 1}
    return tuple(sorted(rows, key=lambda one: (order[one.kind], one.name.casefold(), one.uuid)))


def _organisation(there: RemoteOrganisation | None, here: RemoteOrganisation | None) -> Row:
    one = there or here
    assert one is not None
    sides = _sides(there, here, _ORGANISATION) if there and here else ()
    return Row("organisation", one.uuid, one.name, _state(there, here, sides), sides)


def _group(there: RemoteGroup | None, here: RemoteGroup | None, names: Mapping[str, str]) -> Row:
    one = there or here
    assert one is not None
    sides: tuple[Side, ...] = ()
    if there and here:
        sides = _sides(there, here, _GROUP) + _members(there.members, here.members, names)
    return Row("group", one.uuid, one.name, _state(there, here, sides), sides, len(one.members))


def _sides(there: object, here: object, fields: tuple[str, ...]) -> tuple[Side, ...]:
    both = [(name, getattr(there, name), getattr(here, name)) for name in fields]
    return tuple(Side(name, str(a), str(b)) for name, a, b in both if a != b)


def _members(
    there: Mapping[str, bool], here: Mapping[str, bool], names: Mapping[str, str]
) -> tuple[Side, ...]:
    def told(uuids: set[str]) -> str:
        return ", ".join(sorted(names.get(uuid, uuid) for uuid in uuids))

    found = []
    more, fewer = there.keys() - here.keys(), here.keys() - there.keys()
    if more or fewer:
        found.append(Side("members", told(set(more)), told(set(fewer))))
    both = there.keys() & here.keys()
    may_there = {one for one in both if there[one] and not here[one]}
    may_here = {one for one in both if here[one] and not there[one]}
    if may_there or may_here:
        found.append(Side("may extend", told(may_there), told(may_here)))
    return tuple(found)


def _state(there: object, here: object, sides: tuple[Side, ...]) -> State:
    if there is None:
        return "only-here"
    if here is None:
        return "only-there"
    return "differs" if sides else "same"
