"""The plan: what has to be written so that a target holds what the source holds (C4).

Pure: source now, target now and what both last agreed on go in, named differences and calls in
the order of writing come out. The source wins. Order: organisations (a group's members have to
exist), groups, members to add, members to remove, and at the end the announcement to peers.
Identity is the uuid; content is compared, never anybody's `modified`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from eme_connector.domain.directory import RemoteGroup, RemoteOrganisation, Snapshot
from eme_connector.domain.relay import Memory
from eme_connector.sync import groups, names, organisations
from eme_connector.sync.groups import Sides
from eme_connector.sync.safety import Caution, gone_reason, refuse_emptied, shrunken
from eme_connector.sync.steps import Call, Difference, Plan, confirmation, group_subject
from eme_connector.sync.terms import Terms

BATCH = 200
"""Members that one call adds at most."""


def plan(
    source: Snapshot,
    present: Snapshot,
    memory: Memory,
    terms: Terms,
    *,
    at: int,
    confirmed: Collection[str] = (),
) -> Plan:
    """Return the plan for one target; *at* is now in µs, *confirmed* uuids of groups, or `all`.

    Raises:
        RemoteEmptied: the source lists nothing of what it listed before.
    """
    caution = Caution(memory, terms, at, confirmed)
    refuse_emptied(source, memory, caution)
    return _Planner(source, present, memory, terms, caution).plan()


@dataclass(frozen=True)
class _Planner:
    source: Snapshot
    present: Snapshot
    memory: Memory
    terms: Terms
    caution: Caution

    def plan(self) -> Plan:
        about_organisations = [(self._only_new(one), put) for one, put in self._organisations()]
        per_group = [[self._only_new(one) for one in self._group(uuid)] for uuid in self._order()]
        found = [one for one, _ in about_organisations]
        found += [one for several in per_group for one in several]
        owed = self._unannounced(found)
        found += owed
        return Plan(
            self.terms.target,
            tuple(one for one in found if one.verdict != "leave"),
            (*organisations.calls(about_organisations), *self._calls(per_group, owed)),
            tuple(self.caution.doubts),
            (*(one for one in found if one.verdict == "leave"), *self._left()),
        )

    @cached_property
    def groups(self) -> dict[str, RemoteGroup]:
        """The source's groups that are relayed to this target."""
        return {u: one for u, one in self.source.groups.items() if self.terms.takes(u)}

    @cached_property
    def gone(self) -> list[str]:
        """Groups that were relayed, and that the source does not list any more."""
        known = [uuid for uuid in self.memory.groups if self.terms.takes(uuid)]
        return [uuid for uuid in known if uuid not in self.source.groups]

    @cached_property
    def relayed(self) -> dict[str, RemoteOrganisation]:
        """The source's organisations that are relayed to this target."""
        return organisations.relayed(self.source, self.groups.values(), self.terms)

    @cached_property
    def wanted(self) -> dict[str, RemoteOrganisation]:
        """Those organisations as the target is to hold them."""
        return organisations.wanted(self.relayed, self.present, self.memory, self.terms)

    @cached_property
    def known(self) -> dict[str, str]:
        """Names of all organisations that the target knows, or will after this plan."""
        there = {uuid: one.name for uuid, one in self.present.organisations.items()}
        return there | {uuid: one.name for uuid, one in self.wanted.items()}

    @cached_property
    def plain_names(self) -> dict[str, str]:
        """What groups are called at the source, as the target can keep it."""
        return {u: self.terms.line(one.name.strip() or u) for u, one in self.groups.items()}

    @cached_property
    def final_names(self) -> dict[str, str]:
        """What groups are to be called at the target."""
        there = {uuid: one.name for uuid, one in self.present.groups.items()}
        return names.assign(self.plain_names, there, self.terms.group_key)

    @cached_property
    def suspects(self) -> dict[str, str]:
        """Groups whose removals are doubted, with the reason."""
        bases: dict[str, Iterable[str]] = {}
        for uuid in self.groups:
            had = self.memory.groups.get(uuid) or self.present.groups.get(uuid)
            if had is not None:
                bases[uuid] = had.members
        return shrunken(self.groups, bases, self.terms)

    @cached_property
    def tombs(self) -> dict[str, dict[str, int]]:
        """How often each removed member came back, by group and organisation."""
        found: dict[str, dict[str, int]] = {}
        for one in self.memory.tombstones:
            found.setdefault(one.group, {})[one.organisation] = one.came_back
        return found

    def sides(self, uuid: str) -> Sides:
        """Return everybody's copy of one group."""
        return Sides(
            uuid,
            self.final_names.get(uuid, ""),
            self.groups.get(uuid),
            self.present.groups.get(uuid),
            self.memory.groups.get(uuid),
            self.tombs.get(uuid, {}),
            self.present,
            self.known,
            self.terms,
        )

    def _order(self) -> list[str]:
        """Groups that lose a member go first: that is what must not wait."""

        def loses(uuid: str) -> bool:
            there, group = self.present.groups.get(uuid), self.groups.get(uuid)
            return there is not None and bool(
                there.members.keys() - (group.members.keys() if group else set())
            )

        return sorted([*self.groups, *self.gone], key=lambda uuid: (not loses(uuid), uuid))

    def _organisations(self) -> list[tuple[Difference, RemoteOrganisation]]:
        plain = {uuid: self.terms.name_of(one) for uuid, one in self.relayed.items()}
        found = organisations.differences(self.wanted, plain, self.present, self.memory, self.terms)
        held = []
        for one, put in found:
            content = organisations.fingerprint(self.relayed[one.uuid], self.terms)
            hold = self.caution.undone([one], content)
            held.append((_hold([one], hold)[0] if hold else one, put))
        return held

    def _group(self, uuid: str) -> list[Difference]:
        sides = self.sides(uuid)
        if sides.source is None:
            return self._gone(sides)
        if sides.present is None and sides.source.owner not in self.known:
            return [sides.difference("group-without-owner", "add", verdict="stuck")]
        content = sides.source.fingerprint
        found = groups.head(sides, self.plain_names[uuid])
        found += groups.members(sides, sides.source.members)
        if undone := self.caution.undone(found, content):
            return _hold(found, undone)
        reason = self.suspects.get(uuid, "")
        if reason and any(one.kind == "remove" and one.member for one in found):
            return self._doubted(found, sides, reason, content)
        return found

    def _doubted(
        self, found: list[Difference], sides: Sides, reason: str, content: str
    ) -> list[Difference]:
        removals = [one for one in found if one.kind == "remove" and one.member]
        hold = self.caution.hold(removals, reason, content)
        if not hold:
            return found
        held = _hold(removals, hold, self.caution.cycles(sides.subject))
        return [one for one in found if one not in removals] + held

    def _gone(self, sides: Sides) -> list[Difference]:
        """Leave the owner in a group that the source has given up, and nobody else."""
        agreed, present = sides.agreed, sides.present
        assert agreed is not None
        if present is None:
            return []
        left = {u: extend for u, extend in present.members.items() if u == present.owner}
        found = groups.members(sides, left)
        if not self.terms.is_misp and present.active:
            found.append(sides.difference("group-active", "update", before=True, after=False))
        if not found:
            return [sides.difference("group-gone", "remove", verdict="leave")]
        if is_retired(agreed):
            return found
        if undone := self.caution.undone(found, "gone"):
            return _hold(found, undone)
        relayed = [one for u, one in self.memory.groups.items() if self.terms.takes(u)]
        known = sum(not is_retired(one) for one in relayed)
        fresh = sum(not is_retired(self.memory.groups[uuid]) for uuid in self.gone)
        reason = gone_reason(fresh, known, self.terms) if left else "would-empty"
        hold = self.caution.hold(found, reason, "gone")
        head = sides.difference("group-gone", "remove", verdict="leave")
        if not hold:
            return [head, *found]
        held = _hold(found, hold, self.caution.cycles(sides.subject))
        return [
            replace(head, verdict="held", hold=hold, note=held[0].note, confirm=held[0].confirm),
            *held,
        ]

    def _only_new(self, one: Difference) -> Difference:
        """Leave what is there already alone, where the terms say so."""
        there = self.present.groups.keys() | self.present.organisations.keys()
        if not self.terms.only_new or one.uuid not in there:
            return one
        return replace(one, verdict="leave")

    def _unannounced(self, found: list[Difference]) -> list[Difference]:
        changed = {one.uuid for one in found if one.verdict == "do"}
        return [
            self.sides(uuid).difference("unannounced", "update")
            for uuid in sorted(self.memory.unannounced - changed)
            if uuid in self.present.groups and self.terms.is_misp
        ]

    def _left(self) -> list[Difference]:
        found = []
        for uuid, one in sorted(self.present.groups.items()):
            word = "group-here-only"
            if uuid in self.source.groups or uuid in self.memory.groups:
                word = "group-not-relayed"
            if uuid not in self.groups and uuid not in self.gone:
                subject = group_subject(uuid)
                found.append(Difference(word, "keep-local", subject, one.name, verdict="leave"))
        return found + organisations.here_only(self.source, self.present, self.memory)

    def _calls(self, per_group: list[list[Difference]], owed: list[Difference]) -> list[Call]:
        doing = {
            several[0].uuid: [one for one in several if one.verdict == "do"]
            for several in per_group
            if several
        }
        changes = [one for uuid, steps in doing.items() for one in self._member_calls(uuid, steps)]
        return [
            *self._put_calls(doing),
            *(one for one in changes if one.action == "set-members"),
            *(one for one in changes if one.action == "remove-members"),
            *self._announcements([uuid for uuid, steps in doing.items() if steps], owed),
        ]

    def _put_calls(self, doing: Mapping[str, list[Difference]]) -> list[Call]:
        """Return the calls for everything but members, so that no name is in the way."""
        heads = {uuid: [one for one in steps if not one.member] for uuid, steps in doing.items()}
        puts = {uuid: groups.put(self.sides(uuid), steps) for uuid, steps in heads.items()
                if steps and uuid in self.groups}  # fmt: skip
        puts |= {
            uuid: replace(self.present.groups[uuid], active=False)
            for uuid, steps in heads.items()
            if steps and uuid not in self.groups
        }
        there = {uuid: one.name for uuid, one in self.present.groups.items()}
        final = {uuid: one.name for uuid, one in puts.items()}
        found = []
        last: dict[str, str] = {}
        for uuid, name in names.order(final, there, self.terms.group_key):
            put = replace(puts[uuid], name=name)
            found.append(Call("put-group", group_subject(uuid), (), group=put))
            last[uuid] = name
        found += [
            Call("put-group", group_subject(uuid), (), group=put)
            for uuid, put in puts.items()
            if uuid not in last
        ]
        return [_with_steps(one, heads[one.uuid], last.get(one.uuid)) for one in found]

    def _member_calls(self, uuid: str, steps: list[Difference]) -> list[Call]:
        adds = [one for one in steps if one.member and one.after is not None]
        removals = tuple(one for one in steps if one.member and one.after is None)
        found = []
        for at in range(0, len(adds), BATCH):
            some = tuple(adds[at : at + BATCH])
            members = {one.member: bool(one.after["extend"]) for one in some}
            found.append(Call("set-members", group_subject(uuid), some, members=members))
        if removals:
            members = {one.member: False for one in removals}
            found.append(Call("remove-members", group_subject(uuid), removals, members=members))
        return found

    def _announcements(self, changed: list[str], owed: list[Difference]) -> list[Call]:
        if not self.terms.is_misp:
            return []
        fresh = [Call("announce", group_subject(uuid)) for uuid in changed]
        return fresh + [Call("announce", one.subject, (one,)) for one in owed]


def is_retired(group: RemoteGroup) -> bool:
    """Say whether *group*, as last agreed, is one that the source had given up."""
    return not group.active and not group.members.keys() - {group.owner}


def _hold(steps: list[Difference], hold: str, note: str = "") -> list[Difference]:
    confirm = confirmation(steps)
    return [
        one
        if one.verdict == "stuck" or one.kind == "keep-local"
        else replace(one, verdict="held", hold=hold, note=note or one.note, confirm=confirm)
        for one in steps
    ]


def _with_steps(call: Call, steps: list[Difference], last: str | None) -> Call:
    """Give the last call of a group its differences; an earlier one only moves a name aside."""
    assert call.group is not None
    is_last = last is None or call.group.name == last
    return replace(call, steps=tuple(steps)) if is_last else call
