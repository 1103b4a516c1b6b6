"""MISPs and Cerebrates in this process, by their rules: what the relay's properties run against.

A directory of this kind refuses, drops and keeps what the real one does: names are unique (a
group's silently gets a random suffix), REST edits never remove, cannot switch a group off and
cannot give it another owner, a server entry has to exist, and what MISPs push to each other only
ever adds.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from eme_connector.domain.directory import RemoteGroup, Snapshot
from eme_connector.errors import DeliveryError


class Cut(Exception):
    """The process dies here."""


class Model:
    """`ports.Directory` in memory; `dies_at` is the number of the write that is the last one."""

    def __init__(self, name: str, kind: str = "misp", servers=(), seed: int = 1) -> None:
        self.name, self.kind, self.calls = name, kind, 0
        self.organisations: dict = {}
        self.groups: dict[str, RemoteGroup] = {}
        self.servers = frozenset({"", *servers})
        self.modified: dict[str, int] = {}
        self.second = 0
        self.writes: list[tuple] = []
        self.dies_at: float = float("inf")
        self.dies_after = False
        self.refuses: Callable[[str, str], str] = lambda action, uuid: ""
        self._random = random.Random(seed)

    def fetch(self) -> Snapshot:
        self.calls += 1
        return Snapshot(dict(self.organisations), dict(self.groups), self.servers)

    def put_organisation(self, organisation) -> None:
        self._write("put-organisation", organisation.uuid, self._put_organisation, organisation)

    def put_group(self, group) -> None:
        self._write("put-group", group.uuid, self._put_group, group)

    def set_members(self, group, members) -> None:
        self._write("set-members", group, self._set_members, group, members)

    def remove_members(self, group, organisations) -> None:
        self._write("remove-members", group, self._remove_members, group, organisations)

    def announce(self, group) -> None:
        self._write("announce", group, self._touch, group)

    def ping(self) -> None:
        return

    def push_to(self, other: Model, uuid: str) -> None:
        """Send a group along with an event: the receiver only adds, if ours is newer (S10-S13)."""
        ours, theirs = self.groups[uuid], other.groups.get(uuid)
        for member in (*ours.members, ours.owner):
            if member not in other.organisations and member in self.organisations:
                other.organisations[member] = self.organisations[member]
        known = frozenset(one for one in ours.servers if one.url in other.servers)
        if theirs is None:
            other.groups[uuid] = replace(ours, servers=known)
        elif self.modified.get(uuid, 0) > other.modified.get(uuid, 0):
            other.groups[uuid] = replace(
                theirs,
                name=ours.name,
                description=ours.description,
                releasability=ours.releasability,
                roaming=ours.roaming,
                members={**theirs.members, **ours.members},
                servers=theirs.servers | known,
            )
        else:
            return
        other._touch(uuid)

    def _write(self, action, uuid, work, *arguments) -> None:
        self.calls += 1
        dies = len(self.writes) + 1 >= self.dies_at
        if dies and not self.dies_after:
            raise Cut
        if reason := self.refuses(action, uuid):
            raise DeliveryError(reason)
        self.writes.append((action, uuid))
        work(*arguments)
        if dies:
            raise Cut

    def _put_organisation(self, organisation) -> None:
        named = {one.name.rstrip(" "): u for u, one in self.organisations.items()}
        holder = named.get(organisation.name.rstrip(" "))
        if self.kind == "misp" and holder not in (None, organisation.uuid):
            raise DeliveryError("name-taken", organisation.name)
        if self.kind == "misp" and any(ord(c) > 0xFFFF for c in organisation.name):
            raise DeliveryError("misp-500")
        before = self.organisations.get(organisation.uuid)
        local = before.local if before else False
        self.organisations[organisation.uuid] = replace(organisation, local=local)

    def _put_group(self, group) -> None:
        before = self.groups.get(group.uuid)
        wanted = (
            group if self.kind == "misp" else replace(group, roaming=False, servers=frozenset())
        )
        if before is None:
            if group.owner not in self.organisations:
                raise DeliveryError("organisation-missing", group.owner)
            self.groups[group.uuid] = replace(wanted, members={})
        elif self.kind == "misp":
            keeps = {one.url: one for one in (*before.servers, *wanted.servers)}
            self.groups[group.uuid] = replace(
                wanted,
                owner=before.owner,
                active=before.active,
                members=before.members,
                servers=frozenset(keeps.values()),
            )
        else:
            self.groups[group.uuid] = replace(wanted, owner=before.owner, members=before.members)
        self._rules_of_misp(group, before)
        if self.groups[group.uuid].name != group.name:
            raise DeliveryError("name-taken", group.name)
        self._touch(group.uuid)

    def _rules_of_misp(self, group, before) -> None:
        if self.kind != "misp":
            return
        kept = self.groups[group.uuid]
        known = frozenset(one for one in kept.servers if one.url in self.servers)
        self.groups[group.uuid] = replace(kept, servers=known)
        others = {one.name.casefold().rstrip() for u, one in self.groups.items() if u != group.uuid}
        if group.name.casefold().rstrip() in others:
            name = (
                f"{group.name}_{self._random.randrange(10_000)}" if before is None else before.name
            )
            self.groups[group.uuid] = replace(self.groups[group.uuid], name=name)

    def _set_members(self, uuid, members) -> None:
        if uuid not in self.groups:
            raise DeliveryError("group-missing", uuid)
        if missing := set(members) - set(self.organisations):
            raise DeliveryError("organisation-missing", str(missing))
        group = self.groups[uuid]
        self.groups[uuid] = replace(group, members={**group.members, **members})

    def _remove_members(self, uuid, organisations) -> None:
        group = self.groups[uuid]
        left = {m: extend for m, extend in group.members.items() if m not in organisations}
        self.groups[uuid] = replace(group, members=left)

    def _touch(self, uuid) -> None:
        self.second += 1
        self.modified[uuid] = self.second


class Notes:
    """A journal that remembers what a store would."""

    def __init__(self) -> None:
        self.lines: list[tuple] = []

    def begin(self, number, call) -> None:
        self.lines.append(("begin", number, call.action, call.uuid))

    def end(self, number, call, reason) -> None:
        self.lines.append(("end", number, call.action, call.uuid, reason))
