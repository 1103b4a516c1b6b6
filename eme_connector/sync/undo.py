"""The plan that takes a run's writes back, as far as the target still holds what they made.

What somebody has changed since is left as it is; organisations and groups that the run added
stay, without the members that it gave them; a MISP's servers cannot be taken out by API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation, Snapshot
from eme_connector.domain.relay import Write
from eme_connector.sync.steps import Call, Difference, Plan
from eme_connector.sync.terms import Terms
from eme_connector.sync.values import value_at

LEFT: Mapping[str, str] = {
    "moved-since": "somebody has changed it since",
    "organisation-stays": "organisations are never deleted",
    "group-stays": "the group stays, without the members that the run gave it",
    "servers-stay": "MISP's API cannot take a server out of a group",
    "was-not-done": "the run did not do it",
}
"""Every reason for which something is not undone."""


@dataclass
class _Undo:
    present: Snapshot
    organisations: dict[str, RemoteOrganisation] = field(default_factory=dict)
    heads: dict[str, RemoteGroup] = field(default_factory=dict)
    back: dict[str, dict[str, bool]] = field(default_factory=dict)
    out: dict[str, dict[str, bool]] = field(default_factory=dict)
    steps: dict[str, list[Difference]] = field(default_factory=dict)


def undo(
    writes: Iterable[Write], present: Snapshot, terms: Terms
) -> tuple[Plan, list[tuple[Write, str]]]:
    """Return the plan that takes *writes* back, and what is left with the reason."""
    state, left = _Undo(present), []
    for write in reversed(list(writes)):
        reason = _reason(write, present)
        if reason:
            left.append((write, reason))
        else:
            _take_back(write, state)
    return _plan(state, terms), left


def _reason(write: Write, present: Snapshot) -> str:
    if write.state != "done":
        return "was-not-done"
    if write.word == "unannounced":
        return "was-not-done"
    is_organisation = write.subject.startswith("organisation/")
    if write.before is None and not write.member:
        return "organisation-stays" if is_organisation else "group-stays"
    if write.word == "group-servers":
        return "servers-stay"
    if value_at(present, write) != write.after:
        return "moved-since"
    return ""


def _take_back(write: Write, state: _Undo) -> None:
    kind, _, uuid = write.subject.partition("/")
    state.steps.setdefault(write.subject, []).append(_difference(write, state.present))
    if kind == "organisation":
        known = state.organisations.get(uuid) or state.present.organisations[uuid]
        state.organisations[uuid] = replace(known, **write.before)
    elif write.member and write.before is None:
        state.out.setdefault(uuid, {})[write.member] = False
    elif write.member:
        state.back.setdefault(uuid, {})[write.member] = bool(write.before["extend"])
    else:
        head = state.heads.get(uuid) or state.present.groups[uuid]
        if isinstance(write.before, dict):
            state.heads[uuid] = replace(head, **write.before)
        else:
            field_name = write.word.removeprefix("group-")
            state.heads[uuid] = replace(head, **{field_name: write.before})


def _difference(write: Write, present: Snapshot) -> Difference:
    kind, _, uuid = write.subject.partition("/")
    there = present.organisations if kind == "organisation" else present.groups
    names = {one: known.name for one, known in present.organisations.items()}
    return Difference(
        write.word,
        "remove" if write.before is None else "add" if write.after is None else "update",
        write.subject,
        there[uuid].name if uuid in there else uuid,
        member=write.member,
        member_name=names.get(write.member, ""),
        before=write.after,
        after=write.before,
    )


def _plan(state: _Undo, terms: Terms) -> Plan:
    calls = [
        Call("put-organisation", f"organisation/{uuid}", _steps(state, f"organisation/{uuid}"), one)
        for uuid, one in state.organisations.items()
    ]
    groups: dict[str, list[Call]] = {}
    for uuid, head in state.heads.items():
        steps = [one for one in _steps(state, f"group/{uuid}") if not one.member]
        _of(groups, uuid).append(Call("put-group", f"group/{uuid}", tuple(steps), group=head))
    for uuid, members in state.back.items():
        _of(groups, uuid).append(_members("set-members", uuid, members, state))
    for uuid, members in state.out.items():
        _of(groups, uuid).append(_members("remove-members", uuid, members, state))
    changes = [call for several in groups.values() for call in several]
    announcements = [Call("announce", f"group/{uuid}") for uuid in groups if terms.is_misp]
    found = tuple(one for several in state.steps.values() for one in several)
    return Plan(terms.target, found, (*calls, *changes, *announcements))


def _members(action: str, uuid: str, members: dict[str, bool], state: _Undo) -> Call:
    steps = tuple(one for one in _steps(state, f"group/{uuid}") if one.member in members)
    return Call(action, f"group/{uuid}", steps, members=members)  # type: ignore[arg-type]


def _steps(state: _Undo, subject: str) -> tuple[Difference, ...]:
    return tuple(state.steps.get(subject, ()))


def _of(groups: dict[str, list[Call]], uuid: str) -> list[Call]:
    return groups.setdefault(uuid, [])
