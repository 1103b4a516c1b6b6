"""What source and target agree on after a cycle: the third side of the next one.

Where they agree, memory follows; where they still differ (a step waited, failed or is stuck),
memory keeps what was agreed before, so that the next plan finds the same difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from eme_connector.domain.directory import GroupServer, RemoteGroup, RemoteOrganisation, Snapshot
from eme_connector.domain.relay import Memory
from eme_connector.sync.groups import OWN, TEXTS
from eme_connector.sync.steps import Plan
from eme_connector.sync.terms import Terms

_SCALARS = (*TEXTS, "owner", "active", "roaming")


def agree(
    source: Snapshot, present: Snapshot, memory: Memory, terms: Terms, before: Plan
) -> tuple[dict[str, RemoteOrganisation], dict[str, RemoteGroup]]:
    """Return the organisations and groups agreed on, when *present* was read after *before*."""
    groups = {}
    for uuid, one in source.groups.items():
        there, old = present.groups.get(uuid), memory.groups.get(uuid)
        if there is not None and terms.takes(uuid):
            held = _held(before, uuid) if old is None else frozenset()
            groups[uuid] = _group(one, there, old, terms, held)
        elif old is not None:
            groups[uuid] = old
    for uuid, old in memory.groups.items():
        if uuid not in source.groups and uuid in present.groups:
            groups[uuid] = _gone(old, present.groups[uuid]) if terms.takes(uuid) else old
    return _organisations(source, present, memory, terms), groups


def _organisations(
    source: Snapshot, present: Snapshot, memory: Memory, terms: Terms
) -> dict[str, RemoteOrganisation]:
    found = {}
    for uuid, there in present.organisations.items():
        old, said = memory.organisations.get(uuid), source.organisations.get(uuid)
        if said is not None:
            found[uuid] = _organisation(said, there, old, terms)
        elif old is not None:
            found[uuid] = old
    return found


def _organisation(
    said: RemoteOrganisation,
    there: RemoteOrganisation,
    old: RemoteOrganisation | None,
    terms: Terms,
) -> RemoteOrganisation:
    values = {"name": there.name}
    for field in terms.fields:
        has = getattr(there, field)
        values[field] = has
        if terms.line(getattr(said, field)) != has:
            values[field] = getattr(old, field) if old else ""
    return RemoteOrganisation(said.uuid, **values)  # type: ignore[arg-type]


def _group(
    said: RemoteGroup,
    there: RemoteGroup,
    old: RemoteGroup | None,
    terms: Terms,
    held: frozenset[str],
) -> RemoteGroup:
    told = _told(said, there, terms)
    differing = [name for name in _SCALARS if told[name] != getattr(there, name)]
    values = {name: getattr(old, name) for name in differing} if old else {}
    return replace(
        there,
        **values,
        members=_members(said.members, there.members, old.members if old else {}, held),
        servers=_servers(there, old, terms),
    )


def _told(said: RemoteGroup, there: RemoteGroup, terms: Terms) -> dict[str, object]:
    """Return the scalars as the source says them; a suffixed name counts as the source's."""
    plain = terms.line(said.name.strip() or said.uuid)
    is_suffixed = there.name.startswith(plain) and there.name.endswith(
        (f"_{said.uuid[:8]}", f"_{said.uuid}")
    )
    name = there.name if is_suffixed else plain
    return {
        "name": name,
        "releasability": terms.text(said.releasability) or (name if terms.is_misp else ""),
        "description": terms.text(said.description),
        "owner": said.owner,
        "active": said.active,
        "roaming": terms.is_misp and terms.roaming,
    }


def _members(
    said: Mapping[str, bool],
    there: Mapping[str, bool],
    old: Mapping[str, bool],
    held: Iterable[str],
) -> dict[str, bool]:
    found = {}
    for uuid in said.keys() | there.keys():
        if said.get(uuid) == there.get(uuid):
            found[uuid] = said[uuid]
        elif uuid in old:
            found[uuid] = old[uuid]
        elif uuid in held:
            # first met, and doubted: the doubt has to outlive this cycle
            found[uuid] = there[uuid]
    return found


def _servers(there: RemoteGroup, old: RemoteGroup | None, terms: Terms) -> frozenset[GroupServer]:
    ours = {OWN, *terms.servers} if not terms.roaming else set()
    kept = {one.url for one in old.servers} if old else set()
    return frozenset(one for one in there.servers if one.url in ours | kept)


def _gone(old: RemoteGroup, there: RemoteGroup) -> RemoteGroup:
    """Return the memory of a group that the source gave up: retired once only its owner is left."""
    left = {uuid: extend for uuid, extend in old.members.items() if uuid in there.members}
    if there.members.keys() - {there.owner}:
        return replace(old, members=left)
    return replace(old, owner=there.owner, members=dict(there.members), active=False)


def _held(plan: Plan, group: str) -> frozenset[str]:
    return frozenset(
        one.member
        for one in plan.differences
        if one.member and one.uuid == group and one.kind == "remove" and one.verdict == "held"
    )
